//! Rows that an undo left where they were, when their unit is restored once more: people have edited them, or built upon
//! them. They count as there already, whatever they hold now.

use std::collections::{BTreeMap, HashSet};

use crate::ident::{Key, UnitId};
use crate::journal::KeptRow;
use crate::pg::copy::{CopyLines, raw_fields, unescape};
use crate::pg::{PgError, Session};

use super::batch::{Batch, BatchRow};
use super::{TargetTable, Targets};

/// Keys that one question holds.
const KEYS_A_QUESTION: usize = 5_000;

/// The rows of one table that an undo kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// By key, as the bundle writes keys.
    keys: HashSet<Key>,
    /// Without a key: all rows of these units, for an undo keeps them together.
    units: HashSet<UnitId>,
}

impl Kept {
    /// Whether rows of a unit, in a table without a key, are among them.
    pub(super) fn any(&self, unit: UnitId) -> bool {
        self.units.contains(&unit)
    }

    /// Whether a row of a batch is one of them.
    pub(super) fn holds(&self, row: &BatchRow, batch: &Batch) -> bool {
        (!self.keys.is_empty() && self.keys.contains(&row.key))
            || (!self.units.is_empty()
                && batch
                    .units
                    .get(row.unit)
                    .is_some_and(|u| self.units.contains(&u.unit)))
    }
}

/// Notes them in the tables. Those with a key that are gone meanwhile are forgotten.
pub(super) async fn note(
    session: &Session,
    targets: &mut Targets,
    rows: &HashSet<KeptRow>,
) -> Result<(), PgError> {
    let mut by_table: BTreeMap<&str, Vec<&KeptRow>> = BTreeMap::new();
    for row in rows {
        by_table.entry(&row.table).or_default().push(row);
    }
    for target in &mut targets.tables {
        let Some(rows) = by_table.get(target.name.to_string().as_str()) else {
            continue;
        };
        if !target.keyed() {
            target.kept.units = rows.iter().map(|row| row.unit).collect();
            continue;
        }
        let keys: Vec<&Key> = rows.iter().map(|row| &row.key).collect();
        for chunk in keys.chunks(KEYS_A_QUESTION) {
            let found = as_the_bundle_writes(session, target, chunk).await?;
            target.kept.keys.extend(found);
        }
    }
    Ok(())
}

/// The journal has keys as text; a bundle has them as COPY writes them (a boolean is `t`, not `true`).
async fn as_the_bundle_writes(
    session: &Session,
    target: &TargetTable,
    keys: &[&Key],
) -> Result<Vec<Key>, PgError> {
    let sql = format!(
        "copy (select {} from {} join {} t on {}) to stdout",
        target.locator.columns("t").join(", "),
        target.locator.list(keys.iter().copied()),
        target.live.from_sql(),
        target.locator.matches("t"),
    );
    let doing = format!("looking for kept rows of {}", target.name);
    let mut lines = CopyLines::start(session, &doing, &sql).await?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().await? {
        let fields = raw_fields(&line).map(|f| unescape(f).unwrap_or_default());
        found.push(Key(fields.collect()));
    }
    Ok(found)
}
