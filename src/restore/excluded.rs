//! Rows of the bundle that must not come back, by what the exclusions say *now*: requests for erasure arrive on day two.
//!
//! What hangs from such a row does not come either: rows of its unit, or of units after it, that refer to it along a
//! relation of the bundle. The rest of a unit comes. Rows that came back before they were excluded are left as they are.
//!
//! Memory: the keys that the exclusions name, and the values by which excluded rows are referred to.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{RestoreError, Targets};
use crate::bundle::{Bundle, ManifestTable, UnitRows};
use crate::evidence::Exclusion;
use crate::evidence::listing::{Origin, key_texts, read_file};
use crate::ident::{Key, TableName};
use crate::pg::copy::{raw_fields, unescape};
use crate::pg::{PgError, Session};

/// Keys of a file that one question holds.
const KEYS_A_QUESTION: usize = 5_000;

/// A relation of the bundle between two of its tables.
struct Reference {
    child: usize,
    child_fields: Vec<usize>,
    /// Polymorphic: fields and the values that they must have.
    when: Vec<(usize, String)>,
    parent: usize,
    parent_fields: Vec<usize>,
    /// Its place in the manifest.
    relation: usize,
}

/// The rows that must not come back.
pub struct Excluded {
    /// Keys named, by table of the manifest.
    named: HashMap<usize, HashSet<Key>>,
    references: Vec<Reference>,
    /// By relation of the manifest: what refers to an excluded row holds these values.
    gone: HashMap<usize, HashSet<Key>>,
    /// Exclusions that could not be asked here.
    pub not_asked: Vec<TableName>,
}

/// Which rows of a unit are excluded, table by table as the unit has them.
pub type Marks = Vec<Vec<bool>>;

impl Excluded {
    /// Asks live, or reads the files. Queries on the snapshot were asked by `extract` and are not asked again.
    pub async fn ask(
        session: &Session,
        bundle: &Bundle,
        targets: &Targets,
        exclusions: &[Exclusion],
    ) -> Result<Self, RestoreError> {
        let manifest = &bundle.manifest;
        let mut excluded = Self {
            named: HashMap::new(),
            references: references(bundle),
            gone: HashMap::new(),
            not_asked: Vec::new(),
        };
        for exclusion in exclusions {
            let place = manifest
                .tables
                .iter()
                .position(|t| t.table == exclusion.table);
            let Some(table) = place.filter(|t| !manifest.tables[*t].key.is_empty()) else {
                continue;
            };
            if matches!(exclusion.rows, Origin::Snapshot(_)) {
                excluded.not_asked.push(exclusion.table.clone());
                continue;
            }
            let keys = keys(session, targets, table, exclusion).await?;
            excluded.named.entry(table).or_default().extend(keys);
        }
        excluded.named.retain(|_, keys| !keys.is_empty());
        Ok(excluded)
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Marks the rows of a unit. Units must be asked about in the order of the bundle, each once: what hangs from an
    /// excluded row is never in an earlier unit.
    pub fn marks(&mut self, targets: &Targets, unit: &UnitRows) -> Marks {
        let mut marks: Marks = unit
            .1
            .iter()
            .map(|(_, lines)| vec![false; lines.len()])
            .collect();
        if self.is_empty() {
            return marks;
        }
        // Until nothing new follows: within a unit, children can stand before their parents.
        while self.mark_once(targets, unit, &mut marks) {}
        marks
    }

    fn mark_once(&mut self, targets: &Targets, unit: &UnitRows, marks: &mut Marks) -> bool {
        let mut more = false;
        for ((table, lines), marks) in unit.1.iter().zip(marks) {
            for (line, marked) in lines.iter().zip(marks) {
                if !*marked && self.excludes(targets, *table, line) {
                    *marked = true;
                    more = true;
                    self.note(*table, line);
                }
            }
        }
        more
    }

    fn excludes(&self, targets: &Targets, table: usize, line: &Bytes) -> bool {
        let named = self.named.get(&table);
        if named.is_some_and(|keys| keys.contains(&targets.tables[table].key_of(line))) {
            return true;
        }
        let of_table = self.references.iter().filter(|r| r.child == table);
        of_table.into_iter().any(|reference| {
            let Some(gone) = self.gone.get(&reference.relation) else {
                return false;
            };
            let holds = |(field, value): &(usize, String)| {
                pick(line, &[*field])
                    .first()
                    .is_some_and(|v| v.as_ref() == Some(value))
            };
            reference.when.iter().all(holds)
                && values(line, &reference.child_fields).is_some_and(|v| gone.contains(&v))
        })
    }

    /// Remembers how others refer to an excluded row.
    fn note(&mut self, table: usize, line: &Bytes) {
        for reference in self.references.iter().filter(|r| r.parent == table) {
            if let Some(values) = values(line, &reference.parent_fields) {
                self.gone
                    .entry(reference.relation)
                    .or_default()
                    .insert(values);
            }
        }
    }

    /// The unit without the rows marked, and without the need for what it then does not refer to.
    pub fn without(&self, unit: UnitRows, marks: &Marks) -> UnitRows {
        let (mut record, tables) = unit;
        let kept: Vec<(usize, Vec<Bytes>)> = tables
            .into_iter()
            .zip(marks)
            .map(|((table, lines), marks)| {
                let lines = lines.into_iter().zip(marks).filter(|(_, m)| !**m);
                (table, lines.map(|(line, _)| line).collect())
            })
            .collect();
        let gone =
            |relation: usize, key: &Key| self.gone.get(&relation).is_some_and(|g| g.contains(key));
        record.needs.retain(|n| !gone(n.relation, &n.key));
        record.rows = kept
            .iter()
            .map(|(t, lines)| (*t, lines.len() as u64))
            .collect();
        (record, kept)
    }
}

/// How many rows are marked, by table of the manifest.
pub fn count(unit: &UnitRows, marks: &Marks) -> Vec<(usize, u64)> {
    unit.1
        .iter()
        .zip(marks)
        .map(|((table, _), marks)| (*table, marks.iter().filter(|m| **m).count() as u64))
        .filter(|(_, rows)| *rows > 0)
        .collect()
}

/// Whether every row of a unit is marked.
pub fn whole(marks: &Marks) -> bool {
    marks.iter().flatten().all(|m| *m)
}

async fn keys(
    session: &Session,
    targets: &Targets,
    table: usize,
    exclusion: &Exclusion,
) -> Result<Vec<Key>, RestoreError> {
    let target = &targets.tables[table];
    let mut keys = Vec::new();
    let Origin::File(path) = &exclusion.rows else {
        let texts = key_texts("a", &target.live, &target.key);
        let mut take = |key: Key| keys.push(key);
        exclusion
            .query(session, &target.key, &texts, &mut take)
            .await?;
        return Ok(keys);
    };
    let listing = read_file(path, &target.key, &[], &[]).map_err(|e| exclusion.wrong(&e))?;
    for chunk in listing.keys.chunks(KEYS_A_QUESTION) {
        keys.extend(as_live_writes(session, targets, table, chunk).await?);
    }
    Ok(keys)
}

/// Keys as people write them, as live writes them.
async fn as_live_writes(
    session: &Session,
    targets: &Targets,
    table: usize,
    keys: &[Key],
) -> Result<Vec<Key>, PgError> {
    let target = &targets.tables[table];
    let texts: Vec<String> = target
        .key
        .iter()
        .filter_map(|k| target.live.column(k))
        .enumerate()
        .map(|(i, column)| format!("k.k{i}::{}::text", column.lookup_type))
        .collect();
    let sql = format!(
        "select array[{}] from {}",
        texts.join(", "),
        target.locator.list(keys.iter())
    );
    let doing = format!("reading the [[exclude]] of {}", target.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    Ok(rows.iter().map(|r| Key(r.get(0))).collect())
}

/// Where columns stand in a table's lines; none where one does not.
fn fields(table: &ManifestTable, columns: &[String]) -> Option<Vec<usize>> {
    let place = |column: &String| table.stored_columns().position(|c| c.name == *column);
    columns.iter().map(place).collect()
}

fn references(bundle: &Bundle) -> Vec<Reference> {
    let tables = &bundle.manifest.tables;
    let at = |name: &TableName| tables.iter().position(|t| t.table == *name);
    let relations = bundle.manifest.relations.iter().enumerate();
    relations
        .filter_map(|(relation, r)| {
            let (child, parent) = (at(&r.child)?, at(&r.parent)?);
            let place = |column: &String| fields(&tables[child], std::slice::from_ref(column));
            let when = r
                .when
                .iter()
                .map(|(column, value)| Some((*place(column)?.first()?, value.clone())));
            Some(Reference {
                child,
                child_fields: fields(&tables[child], &r.child_columns)?,
                when: when.collect::<Option<Vec<_>>>()?,
                parent,
                parent_fields: fields(&tables[parent], &r.parent_columns)?,
                relation,
            })
        })
        .collect()
}

fn values(line: &Bytes, fields: &[usize]) -> Option<Key> {
    pick(line, fields)
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .map(Key)
}

/// Fields of a line, as the bundle has them.
fn pick(line: &[u8], fields: &[usize]) -> Vec<Option<String>> {
    let all: Vec<&[u8]> = raw_fields(line).collect();
    let value = |field: &usize| all.get(*field).and_then(|f| unescape(f));
    fields.iter().map(value).collect()
}
