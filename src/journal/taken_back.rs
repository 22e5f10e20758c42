//! What the undos of a bundle's restores took back, and what they left where it was: a later restore of the bundle asks for it.

use std::collections::{HashMap, HashSet};

use crate::ident::{Key, RunId, UnitId};

use super::JournalError;
use super::undos::{READING, Undos, key, units, unsigned};

/// A row that an undo left where it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeptRow {
    /// Its table, as shown.
    pub table: String,
    /// Its unit.
    pub unit: UnitId,
    /// Its key or place; empty where the journal has none.
    pub key: Key,
}

/// Units that were taken back, and what stayed of them.
#[derive(Debug, Default)]
pub struct TakenBack {
    /// By restore: each unit, and when it was last taken back, in microseconds of live's clock.
    pub(super) units: HashMap<String, HashMap<UnitId, i64>>,
    /// Rows that are still there.
    pub(super) kept: HashSet<KeptRow>,
}

impl TakenBack {
    /// Whether a unit that a restore brought, or a part of one, was taken back, by the number that the journal has.
    pub fn took_back(&self, restore: &str, unit: UnitId) -> bool {
        self.when(restore, unit).is_some()
    }

    /// When that was, in microseconds of live's clock.
    pub(super) fn when(&self, restore: &str, unit: UnitId) -> Option<i64> {
        self.units.get(restore)?.get(&unit).copied()
    }

    /// Whether a row of a restore was taken back.
    pub fn holds(&self, restore: &RunId, row: &KeptRow) -> bool {
        self.took_back(&restore.0, row.unit) && !self.kept.contains(row)
    }
}

impl Undos<'_> {
    /// What the undos of a bundle's restores took back, each restore's units as its last undo left them.
    pub async fn undone(&self, bundle: &str) -> Result<TakenBack, JournalError> {
        let sql = "select r.settings ->> 'undoes', b.units, b.run, b.batch, (extract(epoch from b.began) * 1000000)::int8
                     from reinstate.batch b join reinstate.run r using (run)
                    where r.bundle = $1 and r.kind = 'undo' order by r.started, b.run, b.batch";
        let mut undone = TakenBack::default();
        let mut owners: HashMap<(String, UnitId), Vec<KeptRow>> = HashMap::new();
        let batches = self.session.ask(READING, sql, &[bundle]).await?;
        if batches.is_empty() {
            return Ok(undone);
        }
        let mut left = self.left(bundle).await?;
        for row in &batches {
            let of: String = row.get(0);
            let units = units(row, 1);
            let rows = left.remove(&(row.get(2), row.get(3))).unwrap_or_default();
            for unit in &units {
                owners.remove(&(of.clone(), *unit));
            }
            for kept in rows {
                // Rows of which nobody knows the unit went with the last unit of their batch.
                let owner = match kept.key.0.is_empty() {
                    true => units.iter().copied().max().unwrap_or_default(),
                    false => kept.unit,
                };
                owners.entry((of.clone(), owner)).or_default().push(kept);
            }
            let when: i64 = row.get(4);
            let taken = undone.units.entry(of).or_default();
            taken.extend(units.into_iter().map(|unit| (unit, when)));
        }
        undone.kept = owners.into_values().flatten().collect();
        Ok(undone)
    }

    /// The rows that a bundle's undos kept, by undo and batch.
    async fn left(
        &self,
        bundle: &str,
    ) -> Result<HashMap<(String, i64), Vec<KeptRow>>, JournalError> {
        let sql = "select k.run, k.batch, k.table_name, u.unit, u.key
                     from reinstate.undo_rows k join reinstate.run r using (run),
                          unnest(k.units, k.keys, k.states) as u (unit, key, state)
                    where r.bundle = $1 and r.kind = 'undo' and u.state <> 'already_gone'";
        let mut left: HashMap<(String, i64), Vec<KeptRow>> = HashMap::new();
        for row in self.session.ask(READING, sql, &[bundle]).await? {
            let kept = KeptRow {
                table: row.get(2),
                unit: unsigned(row.get(3)),
                key: key(row.get(4)),
            };
            left.entry((row.get(0), row.get(1))).or_default().push(kept);
        }
        Ok(left)
    }
}
