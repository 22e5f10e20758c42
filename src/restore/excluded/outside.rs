//! Rows of live that are excluded, or hang from one that is, and that rows of the bundle refer to: by live's relations, upward
//! from what the bundle's rows refer to, as far as a table with exclusions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::catalog::{Locator, Relation, Schema, Table, typed_list};
use crate::evidence::listing::ROWS_A_QUESTION;
use crate::ident::{Key, TableName};
use crate::pg::{PgError, Session};

use super::named::{Named, locator};
use super::reference::Reference;

/// What hangs from a row of live.
enum Hung {
    /// Rows of the bundle that refer to it by these values, over that reference.
    Bundled(usize, Key),
    /// Another row of live.
    Row(usize),
}

/// Rows of live on the way.
pub(super) struct Outside<'a> {
    session: &'a Session,
    live: &'a Schema,
    relations: Vec<&'a Relation>,
    rows: HashMap<(TableName, Key), usize>,
    hung: Vec<Vec<Hung>>,
}

/// The tables with exclusions, and those that hang from one.
pub(super) fn leading(relations: &[Relation], named: &[Named]) -> BTreeSet<TableName> {
    let mut tables: BTreeSet<TableName> = named.iter().map(|n| n.table.name.clone()).collect();
    loop {
        let before = tables.len();
        for relation in relations {
            if tables.contains(&relation.parent) {
                tables.insert(relation.child.clone());
            }
        }
        if tables.len() == before {
            return tables;
        }
    }
}

impl<'a> Outside<'a> {
    /// Rows of `leading` tables are looked for over `relations`, as far as live has both their tables.
    pub(super) fn new(
        session: &'a Session,
        live: &'a Schema,
        relations: &'a [Relation],
        leading: &BTreeSet<TableName>,
    ) -> Self {
        let leads = |r: &&Relation| leading.contains(&r.parent) && sides(live, r).is_some();
        Self {
            session,
            live,
            relations: relations.iter().filter(leads).collect(),
            rows: HashMap::new(),
            hung: Vec::new(),
        }
    }

    /// By what the bundle's rows refer to rows of live that are excluded or hang from one: reference and values. `values` are
    /// what they refer to at all, by reference.
    pub(super) async fn excluded(
        mut self,
        references: &[Reference],
        values: &[HashSet<Key>],
        named: &[Named],
    ) -> Result<Vec<(usize, Key)>, PgError> {
        let mut found = Vec::new();
        for (number, reference) in references.iter().enumerate() {
            let relation = &reference.relation;
            if self.relations.iter().any(|r| r.same_reference(relation)) {
                let values: Vec<&Key> = values[number].iter().collect();
                found.extend(self.parents(number, relation, &values).await?);
            }
        }
        while !found.is_empty() {
            found = self.upward(found).await?;
        }
        let mut excluded: Vec<usize> = Vec::new();
        for named in named {
            let of_table = self.rows.keys().filter(|(t, _)| *t == named.table.name);
            for key in named.among(self.session, of_table.map(|(_, k)| k)).await? {
                excluded.extend(self.rows.get(&(named.table.name.clone(), key)));
            }
        }
        Ok(self.downward(excluded))
    }

    fn enter(&mut self, table: &TableName, key: &Key) -> (usize, bool) {
        let next = self.hung.len();
        let id = *self
            .rows
            .entry((table.clone(), key.clone()))
            .or_insert(next);
        if id == next {
            self.hung.push(Vec::new());
        }
        (id, id == next)
    }

    /// The rows of live that the bundle's refer to over one reference; returns those that are new.
    async fn parents(
        &mut self,
        number: usize,
        relation: &Relation,
        values: &[&Key],
    ) -> Result<Vec<(TableName, Key)>, PgError> {
        let Some((child, parent)) = sides(self.live, relation) else {
            return Ok(Vec::new());
        };
        let mut unconditional = relation.clone();
        unconditional.when.clear();
        let mut found = Vec::new();
        for chunk in values.chunks(ROWS_A_QUESTION) {
            let list = chunk.iter().copied();
            let sql = format!(
                "select c.reinstate_n, array[{}] from {} join {} p on {}",
                locator(parent).texts("p").join(", "),
                typed_list(child, &relation.child_columns, "c", list),
                parent.from_sql(),
                unconditional.refers(child, parent),
            );
            for row in self.session.ask(&doing(relation), &sql, &[]).await? {
                let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
                let key = Key(row.get(1));
                let (id, new) = self.enter(&relation.parent, &key);
                self.hung[id].push(Hung::Bundled(number, chunk[n].clone()));
                if new {
                    found.push((relation.parent.clone(), key));
                }
            }
        }
        Ok(found)
    }

    /// The parents of rows of live; returns those that are new.
    async fn upward(
        &mut self,
        rows: Vec<(TableName, Key)>,
    ) -> Result<Vec<(TableName, Key)>, PgError> {
        let mut by_table: BTreeMap<TableName, Vec<Key>> = BTreeMap::new();
        for (table, key) in rows {
            by_table.entry(table).or_default().push(key);
        }
        let mut found = Vec::new();
        for relation in self.relations.clone() {
            let keys = by_table.get(&relation.child).map_or(&[][..], Vec::as_slice);
            let Some((child, parent)) = sides(self.live, relation) else {
                continue;
            };
            for chunk in keys.chunks(ROWS_A_QUESTION) {
                let sql = upward(relation, (child, parent), &locator(child), chunk);
                for row in self.session.ask(&doing(relation), &sql, &[]).await? {
                    let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
                    let key = Key(row.get(1));
                    let (hangs, _) = self.enter(&relation.child, &chunk[n]);
                    let (id, new) = self.enter(&relation.parent, &key);
                    self.hung[id].push(Hung::Row(hangs));
                    if new {
                        found.push((relation.parent.clone(), key));
                    }
                }
            }
        }
        Ok(found)
    }

    /// What hangs from excluded rows, at any depth.
    fn downward(self, mut excluded: Vec<usize>) -> Vec<(usize, Key)> {
        let mut hung: Vec<Option<Vec<Hung>>> = self.hung.into_iter().map(Some).collect();
        let mut bundled = Vec::new();
        while let Some(row) = excluded.pop() {
            for hung in hung[row].take().into_iter().flatten() {
                match hung {
                    Hung::Bundled(reference, values) => bundled.push((reference, values)),
                    Hung::Row(row) => excluded.push(row),
                }
            }
        }
        bundled
    }
}

fn upward(
    relation: &Relation,
    (child, parent): (&Table, &Table),
    locator_of_child: &Locator,
    keys: &[Key],
) -> String {
    format!(
        "select k.n, array[{}] from {} join {} c on {} join {} p on {}",
        locator(parent).texts("p").join(", "),
        locator_of_child.list(keys.iter()),
        child.from_sql(),
        locator_of_child.matches("c"),
        parent.from_sql(),
        relation.refers(child, parent),
    )
}

fn doing(relation: &Relation) -> String {
    format!(
        "looking for excluded rows from {} to {}",
        relation.child, relation.parent
    )
}

/// Both tables of a relation, where live has them with all its columns.
fn sides<'a>(live: &'a Schema, relation: &Relation) -> Option<(&'a Table, &'a Table)> {
    let has = |name: &TableName, columns: &[String]| {
        let table = live.tables.get(name)?;
        columns
            .iter()
            .all(|c| table.column(c).is_some())
            .then_some(table)
    };
    Some((
        has(&relation.child, &relation.child_columns)?,
        has(&relation.parent, &relation.parent_columns)?,
    ))
}
