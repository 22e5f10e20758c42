//! What earlier batches and runs decided, from the journal: a unit that has come back is as they left it, and what depends on it
//! follows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bundle::UnitRows;
use crate::ident::Key;
use crate::journal::ResolvedRow;
use crate::pg::{PgError, Session};

use super::super::{Batch, Targets};
use super::follow::Following;
use super::replacements::{Fate, Recorded, Replacements, Resolution, Resolved};

/// Keys that one question holds.
const KEYS_A_QUESTION: usize = 5_000;

/// Resolved rows, as the journal has them.
pub(in crate::restore) fn resolved_rows(
    targets: &Targets,
    batch: &Batch,
    resolved: &[Resolved],
) -> Vec<ResolvedRow> {
    let row = |row: &Resolved| ResolvedRow {
        unit: batch.number(row.unit),
        table: targets.tables[row.table].name.to_string(),
        key: row.key.clone(),
        state: row.state.name().to_owned(),
        live_key: row.live_key.clone(),
        reason: row.reason.clone(),
    };
    resolved.iter().map(row).collect()
}

impl Replacements {
    /// Takes note of what the journal says of units that have come back.
    pub async fn learn(
        &mut self,
        session: &Session,
        targets: &Targets,
        rows: &[ResolvedRow],
    ) -> Result<(), PgError> {
        let mut by_table: BTreeMap<usize, Vec<&ResolvedRow>> = BTreeMap::new();
        for row in rows {
            self.touched.insert(row.unit);
            let place = targets
                .tables
                .iter()
                .position(|t| t.name.to_string() == row.table);
            if let Some(table) = place.filter(|t| targets.tables[*t].keyed()) {
                by_table.entry(table).or_default().push(row);
            }
        }
        for (table, rows) in by_table {
            for rows in rows.chunks(KEYS_A_QUESTION) {
                self.learn_table(session, targets, table, rows).await?;
            }
        }
        Ok(())
    }

    async fn learn_table(
        &mut self,
        session: &Session,
        targets: &Targets,
        table: usize,
        rows: &[&ResolvedRow],
    ) -> Result<(), PgError> {
        let remapped = rows
            .iter()
            .filter(|r| r.state == Resolution::Remapped.name());
        let live: BTreeSet<Key> = remapped.filter_map(|r| r.live_key.clone()).collect();
        let live: Vec<Key> = live.into_iter().collect();
        let found = match live.is_empty() {
            true => Default::default(),
            false => self.values(session, targets, table, &live).await?,
        };
        let references: Vec<(usize, Vec<String>)> = self
            .to_table(table)
            .map(|(n, r)| (n, r.relation.parent_columns.clone()))
            .collect();
        for row in rows {
            let state = match row.state.as_str() {
                "remapped" => Resolution::Remapped,
                "skipped" => Resolution::Skipped,
                _ => continue,
            };
            let mut values = HashMap::new();
            for ((number, columns), live) in references.iter().zip(row.live_key.iter().cycle()) {
                let held = found.get(&(live.clone(), *number)).cloned().flatten();
                // What is gone from live since is still what the unit was pointed to.
                let held = held.or_else(|| targets.tables[table].values_in_key(live, columns));
                values.insert(*number, held);
            }
            let recorded = Recorded {
                state,
                live_key: row.live_key.clone(),
                reason: row.reason.clone(),
                values,
            };
            let of_unit = self.recorded.entry(row.unit).or_default();
            of_unit.insert((table, row.key.clone()), recorded);
        }
        Ok(())
    }

    /// A batch of units that have come back, as they went in, and what became of the other rows. `marked` is kept in step
    /// with the rows.
    pub fn recall(
        &mut self,
        targets: &Targets,
        batch: Batch,
        marked: &mut Vec<Vec<bool>>,
    ) -> (Batch, Vec<Resolved>) {
        if self.is_empty() {
            return (batch, Vec::new());
        }
        let mut following = Following::new(self, targets, Cow::Owned(batch));
        following.restored = true;
        following.marked = std::mem::take(marked);
        following.recorded();
        following.follow();
        let Following {
            batch,
            fates,
            resolved,
            marked: rest,
            ..
        } = following;
        let batch = batch.into_owned();
        *marked = rest;
        self.fates.extend(fates);
        (batch, resolved)
    }

    /// Takes note of a unit that has come back and is passed over.
    pub(in crate::restore) fn pass_over(&mut self, targets: &Targets, unit: &UnitRows) {
        if !self.is_empty() {
            self.recall(
                targets,
                Batch::new(vec![unit.clone()], targets),
                &mut Vec::new(),
            );
        }
    }
}

impl Following<'_, '_> {
    /// Takes out the rows that did not go in.
    fn recorded(&mut self) {
        let mut gone: BTreeMap<(usize, usize), Recorded> = BTreeMap::new();
        for (table, rows) in self.batch.rows.iter().enumerate() {
            for (n, row) in rows.iter().enumerate() {
                let of_unit = self.base.recorded.get(&self.batch.units[row.unit].unit);
                if let Some(found) = of_unit.and_then(|u| u.get(&(table, row.key.clone()))) {
                    gone.insert((table, n), found.clone());
                }
            }
        }
        for ((table, n), recorded) in &gone {
            let row = &self.batch.rows[*table][*n];
            let name = format!("{} {}", self.targets.tables[*table].name, row.key);
            let stored = row.stored.clone();
            let fate = |number: usize| match &recorded.live_key {
                Some(live) => {
                    let held = recorded.values.get(&number).cloned().flatten();
                    self.base.replaced(self.targets, number, live, held)
                }
                None => Fate::Skipped { row: name.clone() },
            };
            let mut fates = std::mem::take(&mut self.fates);
            self.base.note(&mut fates, *table, &stored, fate);
            self.fates = fates;
            let (live, reason) = (recorded.live_key.clone(), recorded.reason.clone());
            self.record((*table, *n), recorded.state, live, reason);
        }
        if !gone.is_empty() {
            self.remove(gone.into_keys().collect());
        }
    }
}
