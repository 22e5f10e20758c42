//! The last count of a run: every row of the bundle in exactly one state.

use std::collections::BTreeMap;

use super::look::{Presence, look};
use super::run::Worker;
use super::{Batch, RestoreError, Tally};
use crate::journal::Store;

/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;

impl Worker<'_> {
    /// Every row of the bundle, by state, from the journal and a last look at what earlier runs brought back.
    pub(super) async fn tally(&self, stopped: bool) -> Result<Tally, RestoreError> {
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
        for (name, rows) in store.quarantined_rows(&self.run).await? {
            if let Some(i) = by_name.get(&name) {
                tally.of(&targets.tables[*i].name).quarantined += rows;
            }
        }
        self.earlier(&mut tally).await?;
        for target in &targets.tables {
            let states = tally.of(&target.name);
            let known = states.sum();
            if stopped {
                states.pending = target.rows.saturating_sub(known);
            }
        }
        Ok(tally)
    }

    /// What earlier runs brought back is there, or somebody has deleted it since.
    async fn earlier(&self, tally: &mut Tally) -> Result<(), RestoreError> {
        let earlier = &self.prepared.history.earlier;
        if earlier.is_empty() {
            return Ok(());
        }
        let mut rows = self.bundle.read()?;
        loop {
            let (mut units, mut size) = (Vec::new(), 0);
            while size < ROWS_A_LOOK {
                let Some(unit) = rows.next_unit()? else { break };
                if earlier.contains(&unit.0.unit)
                    && !self.prepared.history.done.contains(&unit.0.unit)
                {
                    size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
                    units.push(unit);
                }
            }
            if units.is_empty() {
                return Ok(());
            }
            let targets = &self.prepared.targets;
            let batch = Batch::new(units, targets);
            let looked = look(&self.session, targets, &batch, false).await?;
            for (table, presence) in targets.tables.iter().zip(&looked.presence) {
                let gone = presence
                    .iter()
                    .filter(|p| **p == Presence::Absent && table.keyed())
                    .count() as u64;
                let states = tally.of(&table.name);
                states.gone_since += gone;
                states.already_present += presence.len() as u64 - gone;
            }
        }
    }
}
