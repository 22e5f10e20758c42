//! Rows of the bundle that must not come back, by what the exclusions say *now*: requests for erasure arrive on day two.
//!
//! What hangs from such a row does not come either: rows that refer to it at any depth, along relations of the bundle, of
//! live and of the configuration, whether it is a row of the bundle or one that live still has. The rest of a unit comes.
//! Rows that came back before they were excluded are left as they are.
//!
//! Keys and references are compared by live's own `=`. Where texts say the same, which is so of most types, they decide; else the
//! bundle is read once beforehand, and the server asked about what it holds.
//!
//! Memory: the keys that the exclusions name, and the values by which excluded rows are referred to; of references that lead
//! out of the bundle to a table with exclusions, or whose texts do not decide, all their values.

mod named;
mod outside;
mod recorded;
pub(in crate::restore) mod reference;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{RestoreError, Targets};
use crate::bundle::{Bundle, UnitRows};
use crate::catalog::{Relation, Schema};
use crate::evidence::Exclusion;
use crate::ident::{Key, TableName};
use crate::pg::Session;

use named::{Join, Named};
use outside::{Outside, leading};
pub use recorded::{Dropped, dropped};
use reference::{Reference, references, relations};

/// Rows of one unit that are in memory at once.
const ROWS_AT_ONCE: u64 = 10_000;

/// What must not come back, as the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The exclusions.
    pub exclusions: &'a [Exclusion],
    /// References that no foreign key states.
    pub declared: &'a [Relation],
}

/// The rows that must not come back.
#[derive(Clone)]
pub struct Excluded {
    /// Keys named, by table of the manifest, as the bundle's rows have them.
    named: HashMap<usize, HashSet<Key>>,
    references: Vec<Reference>,
    /// By reference: what refers to an excluded row holds these values.
    gone: Vec<HashSet<Key>>,
    /// Exclusions that could not be asked here.
    pub not_asked: Vec<TableName>,
}

/// Which rows of a unit are excluded, table by table as the unit has them.
pub type Marks = Vec<Vec<bool>>;

/// What the server has to be asked about: keys by table, and values by reference.
struct Seen {
    keys: HashMap<usize, HashSet<Key>>,
    values: Vec<HashSet<Key>>,
}

impl Excluded {
    /// Asks live, or reads the files. Queries on the snapshot were asked by `extract` and are not asked again.
    pub async fn ask(
        session: &Session,
        bundle: &Bundle,
        targets: &Targets,
        live: &Schema,
        rules: Rules<'_>,
    ) -> Result<Self, RestoreError> {
        let relations = relations(bundle, live, rules.declared);
        let (named, not_asked) =
            named::ask(session, bundle, live, &relations, rules.exclusions).await?;
        let references = references(bundle, live, &relations);
        let mut excluded = Self {
            named: HashMap::new(),
            gone: vec![HashSet::new(); references.len()],
            references,
            not_asked,
        };
        if named.is_empty() {
            return Ok(excluded);
        }
        let leading = leading(&relations, &named);
        let outside = Outside::new(session, live, &relations, &leading);
        let wanted = |r: &Reference| leading.contains(&r.relation.parent);
        let seen = excluded.see(bundle, targets, &named, &wanted)?;
        for named in &named {
            let Some(place) = named.place else { continue };
            let keys = match seen.keys.get(&place) {
                Some(keys) => named.among(session, keys.iter()).await?,
                None => Vec::new(),
            };
            excluded.named.entry(place).or_default().extend(keys);
        }
        let hanging = outside.excluded(&excluded.references, &seen.values, &named);
        for (reference, values) in hanging.await? {
            excluded.gone[reference].insert(values);
        }
        excluded
            .settle(session, bundle, targets, live, &seen)
            .await?;
        Ok(excluded)
    }

    /// Reads the bundle once: the keys of tables that are named, and what rows refer to over the references wanted.
    fn see(
        &self,
        bundle: &Bundle,
        targets: &Targets,
        named: &[Named],
        wanted: &dyn Fn(&Reference) -> bool,
    ) -> Result<Seen, RestoreError> {
        let mut seen = Seen {
            keys: HashMap::new(),
            values: vec![HashSet::new(); self.references.len()],
        };
        let wanted: Vec<bool> = self.references.iter().map(wanted).collect();
        let mut rows = bundle.read()?;
        while let Some((_, tables)) = rows.next_rows(ROWS_AT_ONCE)? {
            for (table, lines) in &tables {
                let of_table = named.iter().find(|n| n.place == Some(*table));
                for line in lines {
                    if let Some(named) = of_table {
                        let key = targets.tables[*table].key_of(line);
                        if named.asks() || named.lists(&key) {
                            seen.keys.entry(*table).or_default().insert(key);
                        }
                    }
                    for (number, reference) in self.references.iter().enumerate() {
                        if wanted[number] && reference.child == *table {
                            seen.values[number].extend(reference.referred(line));
                        }
                    }
                }
            }
        }
        Ok(seen)
    }

    /// Learns how excluded rows are referred to in another form than their own, until nothing new follows.
    async fn settle(
        &mut self,
        session: &Session,
        bundle: &Bundle,
        targets: &Targets,
        live: &Schema,
        seen: &Seen,
    ) -> Result<(), RestoreError> {
        let mut asking: Vec<usize> = (0..self.references.len()).collect();
        asking.retain(|n| {
            let reference = &self.references[*n];
            reference.parent.is_some() && !reference.by_text && !seen.values[*n].is_empty()
        });
        let mut known: HashMap<usize, HashSet<Key>> = HashMap::new();
        while !asking.is_empty() {
            self.mark_all(bundle, targets)?;
            let mut more = false;
            for number in &asking {
                let known = known.entry(*number).or_default();
                let new: Vec<Key> = self.gone[*number].difference(known).cloned().collect();
                known.extend(new.iter().cloned());
                let values = &seen.values[*number];
                for value in same(session, live, &self.references[*number], &new, values).await? {
                    known.insert(value.clone());
                    more |= self.gone[*number].insert(value);
                }
            }
            if !more {
                break;
            }
        }
        self.mark_all(bundle, targets)
    }

    /// Follows what hangs from excluded rows through the whole bundle, so that slices of a unit can be asked about one by one.
    fn mark_all(&mut self, bundle: &Bundle, targets: &Targets) -> Result<(), RestoreError> {
        while !self.is_empty() {
            let before = self.gone.iter().map(HashSet::len).sum::<usize>();
            let mut rows = bundle.read()?;
            while let Some(unit) = rows.next_rows(ROWS_AT_ONCE)? {
                self.marks(targets, &unit);
            }
            if before == self.gone.iter().map(HashSet::len).sum::<usize>() {
                break;
            }
        }
        Ok(())
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.named.values().all(HashSet::is_empty) && self.gone.iter().all(HashSet::is_empty)
    }

    /// Marks the rows of a unit. Units must be asked about in the order of the bundle: what hangs from an excluded row is
    /// never in an earlier unit.
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
        let mut references = self.references.iter().zip(&self.gone);
        references.any(|(reference, gone)| {
            reference.child == table
                && !gone.is_empty()
                && reference.referred(line).is_some_and(|v| gone.contains(&v))
        })
    }

    /// Remembers how others refer to an excluded row.
    fn note(&mut self, table: usize, line: &Bytes) {
        for (reference, gone) in self.references.iter().zip(&mut self.gone) {
            if reference.parent == Some(table) {
                gone.extend(reference.referable(line));
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
        let gone = |relation: usize, key: &Key| {
            let mut references = self.references.iter().zip(&self.gone);
            references.any(|(r, gone)| r.manifest == Some(relation) && gone.contains(key))
        };
        record.needs.retain(|n| !gone(n.relation, &n.key));
        record.rows = kept
            .iter()
            .map(|(t, lines)| (*t, lines.len() as u64))
            .collect();
        (record, kept)
    }
}

/// Which of the values that children hold refer to parents by one of `gone`, in whatever form.
async fn same(
    session: &Session,
    live: &Schema,
    reference: &Reference,
    gone: &[Key],
    values: &HashSet<Key>,
) -> Result<Vec<Key>, RestoreError> {
    let mut relation = reference.relation.clone();
    let tables = &live.tables;
    let sides = tables
        .get(&relation.child)
        .zip(tables.get(&relation.parent));
    let Some((child, parent)) = sides.filter(|_| !gone.is_empty()) else {
        return Ok(Vec::new());
    };
    relation.when.clear();
    let join = Join {
        left: (child, &relation.child_columns, "c"),
        right: (parent, &relation.parent_columns, "p"),
        on: relation.refers(child, parent),
    };
    let (values, gone): (Vec<&Key>, Vec<&Key>) = (values.iter().collect(), gone.iter().collect());
    let found = join.left(session, &values, &gone).await?;
    Ok(found.into_iter().cloned().collect())
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
