//! The last count of a run: every row of the bundle in exactly one state.

use std::collections::BTreeMap;

use super::excluded::{self, Marks};
use super::look::{Presence, look};
use super::run::Worker;
use super::{Batch, Replacements, Resolution, RestoreError, Tally};
use crate::bundle::UnitRows;
use crate::journal::{ResolvedRows, Store};

/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;

impl Worker<'_> {
    /// Every row of the bundle, by state, from the journal and a last look at what earlier runs brought back.
    pub(super) async fn tally(&self, stopped: bool) -> Result<Tally, RestoreError> {
        // Tables without a key are read as a whole, however long that takes.
        self.session.give_up_after(None);
        let store = Store::new(&self.session);
        let mut tally = Tally::default();
        let targets = &self.prepared.targets;
        let by_name: BTreeMap<String, usize> = targets
            .tables
            .iter()
            .enumerate()
            .map(|(i, t)| (t.name.to_string(), i))
            .collect();
        for table in store.totals(&self.run).await? {
            let Some(i) = by_name.get(&table.table) else {
                continue;
            };
            let states = tally.of(&targets.tables[*i].name);
            states.inserted += table.inserted;
            states.already_present += table.already_present;
            states.gone_since += table.gone_since;
        }
        let resolved = ResolvedRows::new(&self.session).totals(&self.run).await?;
        for ((name, state), rows) in resolved {
            let state = match state.as_str() {
                "remapped" => Resolution::Remapped,
                "skipped" => Resolution::Skipped,
                _ => Resolution::Rewritten,
            };
            if let Some(i) = by_name.get(&name) {
                tally.of(&targets.tables[*i].name).resolved(state, rows);
            }
        }
        for (name, rows) in store.quarantined_rows(&self.run).await? {
            if let Some(i) = by_name.get(&name) {
                tally.of(&targets.tables[*i].name).quarantined += rows;
            }
        }
        let mut excluded = self.look_back(&mut tally, stopped).await?;
        for (i, target) in targets.tables.iter().enumerate() {
            let states = tally.of(&target.name);
            let known = states.sum();
            // A row that came back before it was excluded counts as what it is.
            let rest = target.rows.saturating_sub(known);
            states.excluded += rest.min(std::mem::take(&mut excluded[i]));
            let known = states.sum();
            if stopped || self.prepared.only.is_some() {
                states.pending = target.rows.saturating_sub(known);
            }
        }
        Ok(tally)
    }

    /// Goes through the bundle once more: what earlier runs brought back is there, or somebody has deleted it since.
    /// Returns the rows that must not come back, by table, of all other units that were read.
    async fn look_back(&self, tally: &mut Tally, stopped: bool) -> Result<Vec<u64>, RestoreError> {
        let targets = &self.prepared.targets;
        let mut excluded_rows = vec![0; targets.tables.len()];
        let earlier = &self.prepared.history.earlier;
        if earlier.is_empty() && self.excluded.is_empty() {
            return Ok(excluded_rows);
        }
        let mut excluded = self.asked.clone();
        let mut replacements = self.replacements.clone();
        let mut rows = self.bundle.read()?;
        let (mut units, mut size) = (Vec::new(), 0);
        while let Some(unit) = rows.next_rows(ROWS_A_LOOK as u64)? {
            let number = unit.0.unit;
            let marks = excluded.marks(targets, &unit);
            if earlier.contains(&number) && !self.prepared.history.done.contains(&number) {
                size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
                units.push((unit, marks));
            } else if self.prepared.chosen(number) && (!stopped || number <= self.last_read) {
                for (table, rows) in excluded::count(&unit, &marks) {
                    excluded_rows[table] += rows;
                }
            }
            if size >= ROWS_A_LOOK {
                self.look_at(std::mem::take(&mut units), &mut replacements, tally)
                    .await?;
                size = 0;
            }
        }
        self.look_at(units, &mut replacements, tally).await?;
        Ok(excluded_rows)
    }

    /// Units that earlier runs brought back.
    async fn look_at(
        &self,
        units: Vec<(UnitRows, Marks)>,
        replacements: &mut Replacements,
        tally: &mut Tally,
    ) -> Result<(), RestoreError> {
        if units.is_empty() {
            return Ok(());
        }
        let targets = &self.prepared.targets;
        let mut marked: Vec<Vec<bool>> = vec![Vec::new(); targets.tables.len()];
        let mut plain = Vec::with_capacity(units.len());
        for (unit, marks) in units {
            for ((table, _), marks) in unit.1.iter().zip(marks) {
                marked[*table].extend(marks);
            }
            plain.push(unit);
        }
        let batch = Batch::new(plain, targets);
        let (batch, resolved) = replacements.recall(targets, batch, &mut marked);
        for row in resolved {
            tally
                .of(&targets.tables[row.table].name)
                .resolved(row.state, 1);
        }
        let looked = look(&self.session, targets, &batch, false).await?;
        for (i, (table, presence)) in targets.tables.iter().zip(&looked.presence).enumerate() {
            let states = tally.of(&table.name);
            for (presence, marked) in presence.iter().zip(&marked[i]) {
                match presence {
                    Presence::Absent if *marked => states.excluded += 1,
                    Presence::Absent if table.keyed() => states.gone_since += 1,
                    _ => states.already_present += 1,
                }
            }
        }
        Ok(())
    }
}
