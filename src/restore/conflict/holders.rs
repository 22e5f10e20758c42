//! The live rows that take the place of rows of the bundle: by what they are referred to.

use std::collections::HashMap;

use crate::catalog::Table;
use crate::ident::{Key, qualified_list};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::super::excluded::reference::Reference;
use super::super::look::numbered;
use super::super::{TargetTable, Targets};
use super::replacements::Replacements;
use super::sides::fields;

/// By key of a live row and reference: what a child holds that refers to it; none where it cannot be referred to.
pub(super) type Values = HashMap<(Key, usize), Option<Key>>;

impl Replacements {
    /// By what live's rows of a table are referred to. Rows that live lacks are not in the answer.
    pub(super) async fn values(
        &self,
        session: &Session,
        targets: &Targets,
        table: usize,
        keys: &[Key],
    ) -> Result<Values, PgError> {
        let target = &targets.tables[table];
        let mut found = Values::new();
        for (number, reference) in self.to_table(table) {
            let columns = &reference.relation.parent_columns;
            if !target.identify(columns) {
                found.extend(keys.iter().map(|key| ((key.clone(), number), None)));
                continue;
            }
            let sql = format!(
                "copy (select k.n, {} from {} join {} t on {}) to stdout",
                qualified_list("t", columns),
                target.locator.list(keys.iter()),
                target.live.from_sql(),
                target.locator.matches("t"),
            );
            let doing = format!("reading what refers to rows of {}", target.name);
            let mut lines = CopyLines::start(session, &doing, &sql).await?;
            while let Some(line) = lines.next().await? {
                let Some((n, rest)) = numbered(&line) else {
                    continue;
                };
                if let Some(key) = keys.get(n) {
                    let values: Option<Vec<String>> = fields(&rest).into_iter().collect();
                    found.insert((key.clone(), number), values.map(Key));
                }
            }
        }
        Ok(found)
    }
}

/// Locks live rows against being deleted or getting other keys, without waiting (SQLSTATE 55P03 where somebody holds one).
pub(super) async fn lock(
    session: &Session,
    target: &TargetTable,
    keys: &[Key],
) -> Result<(), PgError> {
    let sql = format!(
        "select from {} join {} t on {} order by {} for key share of t nowait",
        target.locator.list(keys.iter()),
        target.live.from_sql(),
        target.locator.matches("t"),
        target.locator.columns("t").join(", "),
    );
    let doing = format!("locking rows of {} that are in the way", target.name);
    session.ask(&doing, &sql, &[]).await?;
    Ok(())
}

/// Why a reference cannot be written into a child, if so.
pub(super) fn unwritable(targets: &Targets, reference: &Reference) -> Option<String> {
    let child = &targets.tables[reference.child];
    let other = |column: &&String| {
        child.retyped.iter().any(|r| r.column == **column) || child.dropped.contains(*column)
    };
    let column = reference.relation.child_columns.iter().find(other)?;
    Some(format!(
        "{}.{column}, which refers to it, is not what it was in the backup",
        child.name
    ))
}

impl TargetTable {
    /// Whether no two rows of live have the same values in these columns.
    pub(super) fn identify(&self, columns: &[String]) -> bool {
        let sorted = |columns: &[String]| {
            let mut columns = columns.to_vec();
            columns.sort();
            columns
        };
        let wanted = sorted(columns);
        let unique = |table: &Table| {
            let mut uniques = table.uniques.iter().filter(|u| !u.special);
            uniques.any(|u| sorted(&u.columns) == wanted)
        };
        sorted(&self.key) == wanted || unique(&self.live)
    }

    /// Values of these columns, where they all belong to the key.
    pub(super) fn values_in_key(&self, key: &Key, columns: &[String]) -> Option<Key> {
        let place = |column: &String| self.key.iter().position(|k| k == column);
        let value = |column: &String| key.0.get(place(column)?).cloned();
        columns
            .iter()
            .map(value)
            .collect::<Option<Vec<_>>>()
            .map(Key)
    }
}
