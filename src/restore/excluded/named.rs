//! The keys that exclusions name, and which rows those are: by live's own `=`.

use std::collections::{BTreeSet, HashSet};

use crate::bundle::Bundle;
use crate::catalog::{Column, Locator, Relation, Schema, Table, typed_list};
use crate::evidence::Exclusion;
use crate::evidence::listing::{Origin, ROWS_A_QUESTION};
use crate::ident::{Key, TableName, quote_ident};
use crate::pg::{PgError, Session};

use super::super::RestoreError;

/// What all exclusions of one table name.
pub(super) struct Named {
    pub(super) table: Table,
    /// Its place in the bundle, if it is there.
    pub(super) place: Option<usize>,
    key: Vec<String>,
    /// As live writes them.
    listed: HashSet<Key>,
    /// Keys with the same text are the same, and no others are.
    by_text: bool,
}

/// Asks live, or reads the files, for every exclusion that has to do with the bundle; refuses what it cannot place. The
/// tables whose exclusions ask the snapshot, which only `extract` does, are returned beside.
pub(super) async fn ask(
    session: &Session,
    bundle: &Bundle,
    live: &Schema,
    relations: &[Relation],
    exclusions: &[Exclusion],
) -> Result<(Vec<Named>, Vec<TableName>), RestoreError> {
    let reached = reached(bundle, relations);
    let (mut named, mut not_asked): (Vec<Named>, _) = (Vec::new(), Vec::new());
    for exclusion in exclusions {
        let Some(table) = live.tables.get(&exclusion.table) else {
            let reason = match bundle.by_now(&exclusion.table) {
                Some(hint) => format!("live has no such table{hint}"),
                None => "live has no such table: is its name written right? It is asked again whenever rows come back, or \
                         are compared"
                    .to_owned(),
            };
            return Err(exclusion.wrong(&reason).into());
        };
        if !reached.contains(&exclusion.table) {
            continue;
        }
        if matches!(exclusion.rows, Origin::Snapshot(_)) {
            not_asked.push(exclusion.table.clone());
            continue;
        }
        let at = match named.iter().position(|n| n.table.name == exclusion.table) {
            Some(at) => at,
            None => {
                named.push(Named::of(bundle, table));
                named.len() - 1
            }
        };
        named[at].list(session, exclusion).await?;
    }
    named.retain(|n| !n.listed.is_empty());
    Ok((named, not_asked))
}

/// The bundle's tables, and all that they hang from.
fn reached(bundle: &Bundle, relations: &[Relation]) -> BTreeSet<TableName> {
    let tables = bundle.manifest.tables.iter();
    let mut reached: BTreeSet<TableName> = tables.map(|t| t.table.clone()).collect();
    loop {
        let before = reached.len();
        for relation in relations {
            if reached.contains(&relation.child) {
                reached.insert(relation.parent.clone());
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

impl Named {
    fn of(bundle: &Bundle, table: &Table) -> Self {
        let tables = &bundle.manifest.tables;
        let place = tables.iter().position(|t| t.table == table.name);
        let key = place.map_or(&table.key, |p| &tables[p].key).clone();
        let mut columns = key.iter().filter_map(|k| table.column(k));
        Self {
            by_text: columns.all(Column::one_text),
            table: table.clone(),
            place,
            key,
            listed: HashSet::new(),
        }
    }

    /// Adds what an exclusion names.
    async fn list(&mut self, session: &Session, exclusion: &Exclusion) -> Result<(), RestoreError> {
        if self.key.is_empty() {
            return Err(exclusion.keyless().into());
        }
        let doing = exclusion.doing();
        let texts = self
            .key
            .iter()
            .map(|k| format!("a.{}::text", quote_ident(k)));
        let texts: Vec<String> = texts.collect();
        let mut keys = exclusion.keys(session, (&self.table, &self.key)).await?;
        while let Some(portion) = keys.next().await? {
            let sql = format!(
                "select array[{}] from {}",
                texts.join(", "),
                typed_list(&self.table, &self.key, "a", portion.iter())
            );
            let rows = session.ask(&doing, &sql, &[]).await?;
            // A text that is no label of an enum names nothing.
            let written = rows.iter().map(|r| r.get::<_, Vec<Option<String>>>(0));
            let written = written.filter_map(|k| k.into_iter().collect::<Option<Vec<_>>>());
            self.listed.extend(written.map(Key));
        }
        Ok(())
    }

    /// Whether the server has to say which keys are the same.
    pub(super) fn asks(&self) -> bool {
        !self.by_text
    }

    /// Whether a key is listed as it is written.
    pub(super) fn lists(&self, key: &Key) -> bool {
        self.listed.contains(key)
    }

    /// Which of `keys` are listed, in whatever form.
    pub(super) async fn among(
        &self,
        session: &Session,
        keys: impl Iterator<Item = &Key>,
    ) -> Result<Vec<Key>, PgError> {
        let (mut found, others): (Vec<&Key>, Vec<&Key>) = keys.partition(|k| self.lists(k));
        if self.asks() {
            let listed: Vec<&Key> = self.listed.iter().collect();
            let equal: Vec<String> = self
                .key
                .iter()
                .filter_map(|k| self.table.column(k))
                .map(|c| {
                    let name = quote_ident(&c.name);
                    format!("a.{name} {} b.{name}", c.equals())
                })
                .collect();
            let join = Join {
                left: (&self.table, &self.key, "a"),
                right: (&self.table, &self.key, "b"),
                on: equal.join(" and "),
            };
            found.extend(join.left(session, &others, &listed).await?);
        }
        Ok(found.into_iter().cloned().collect())
    }
}

/// Two lists of values, as columns of tables.
pub(super) struct Join<'a> {
    /// A table, its columns, and an alias.
    pub(super) left: (&'a Table, &'a [String], &'static str),
    /// The same.
    pub(super) right: (&'a Table, &'a [String], &'static str),
    /// What must hold.
    pub(super) on: String,
}

impl Join<'_> {
    /// Those on the left that some on the right belong to; a few thousand of both at a time.
    pub(super) async fn left<'k>(
        &self,
        session: &Session,
        left: &[&'k Key],
        right: &[&Key],
    ) -> Result<Vec<&'k Key>, PgError> {
        let doing = format!("comparing keys of {}", self.left.0.name);
        let mut found: BTreeSet<usize> = BTreeSet::new();
        for (c, chunk) in left.chunks(ROWS_A_QUESTION).enumerate() {
            for others in right.chunks(ROWS_A_QUESTION) {
                let ((table, columns, alias), right) = (self.left, self.right);
                let sql = format!(
                    "select distinct {alias}.reinstate_n from {} join {} on {}",
                    typed_list(table, columns, alias, chunk.iter().copied()),
                    typed_list(right.0, right.1, right.2, others.iter().copied()),
                    self.on,
                );
                for row in session.ask(&doing, &sql, &[]).await? {
                    let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
                    found.insert(c * ROWS_A_QUESTION + n);
                }
            }
        }
        Ok(found.into_iter().map(|n| left[n]).collect())
    }
}

/// What tells a table's rows apart in live.
pub(super) fn locator(table: &Table) -> Locator {
    Locator::of(table, &table.key)
}
