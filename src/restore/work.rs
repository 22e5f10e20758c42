//! Works off batches: halves where the server refuses, and every unit ends restored, left out, or waiting.
//!
//! Units go in the order of the bundle, in which each comes after those that it depends on. That order holds whatever
//! is taken out of a batch: what depends on a unit that is left out is left out too, and what depends on one that waits
//! waits with it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::bundle::UnitRecord;
use crate::event::Event;
use crate::ident::UnitId;
use crate::journal::{QuarantinedUnit, Store};

use super::batch::Obstructed;
use super::retry::{BATCH_ROWS, Outcome};
use super::run::Worker;
use super::waiting::Turn;
use super::{Batch, Met, RestoreError, Targets};

impl Worker<'_> {
    /// Tries a batch, then its parts, until each unit is restored, left out or waiting.
    pub(super) async fn work_off(&mut self, batch: Batch) -> Result<(), RestoreError> {
        let mut queue = VecDeque::from([batch]);
        while let Some(batch) = queue.pop_front() {
            let batch = self.sort_out(batch).await?;
            if batch.units.len() < 2 {
                self.attempt_alone(batch, Turn::first()).await?;
                continue;
            }
            let limit = self.limit;
            match self.attempt(&batch, limit).await? {
                Outcome::Done => {}
                Outcome::InTheWay(conflicts) => {
                    let stuck: HashSet<usize> = conflicts.iter().map(|c| c.unit).collect();
                    let parts = batch.obstructed(&stuck);
                    let Obstructed {
                        free,
                        stuck,
                        behind,
                    } = parts;
                    queue.push_front(behind);
                    // The stuck ones look again, alone: they then find their own reason.
                    for unit in stuck.into_iter().rev() {
                        queue.push_front(unit);
                    }
                    queue.push_front(free);
                }
                Outcome::Refused(error) => self.halve(batch, error.to_string(), &mut queue),
                Outcome::TooSlow => {
                    self.batch_rows = (self.batch_rows / 2).max(BATCH_ROWS.0);
                    let reason = format!("it took longer than {limit:?}");
                    self.halve(batch, reason, &mut queue);
                }
            }
        }
        Ok(())
    }

    fn halve(&self, batch: Batch, reason: String, queue: &mut VecDeque<Batch>) {
        let (first, second) = batch.halve();
        let units = first.units.len() as u64;
        (self.sink)(Event::BatchRetried { reason, units });
        queue.push_front(second);
        queue.push_front(first);
    }

    /// Tries the waiting units whose turn it is. While many wait nothing else is begun, for they are held in memory.
    pub(super) async fn try_waiting(&mut self) -> Result<(), RestoreError> {
        loop {
            while let Some((batch, turn)) = self.waiting.next_due() {
                let batch = self.sort_out(batch).await?;
                self.attempt_alone(batch, turn).await?;
            }
            if !self.waiting.crowded() {
                return Ok(());
            }
            self.waiting.pause().await;
        }
    }

    /// At most one unit: restored, left out with its reason, or waiting while somebody else holds its rows.
    async fn attempt_alone(&mut self, batch: Batch, turn: Turn) -> Result<(), RestoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let limit = self.settings.max_unit_time.max(self.limit);
        match self.attempt(&batch, limit).await? {
            Outcome::Done => Ok(()),
            Outcome::InTheWay(conflicts) => match conflicts.first() {
                Some(first) => {
                    let met = Met::of(&batch, conflicts.iter(), "quarantined");
                    self.met.extend(met);
                    self.leave_out(&batch, &first.reason, Some(first.sqlstate))
                        .await
                }
                None => Ok(()),
            },
            Outcome::Refused(error) if error.is_transient() && !turn.last() => {
                self.waiting.add(batch, turn.next());
                Ok(())
            }
            Outcome::Refused(error) => {
                let reason = error.refusal();
                self.leave_out(&batch, &reason, error.sqlstate()).await
            }
            Outcome::TooSlow => {
                let reason =
                    format!("it took longer than {limit:?}; --max-unit-time allows it more");
                self.leave_out(&batch, &reason, None).await
            }
        }
    }

    /// Takes out the units that depend, directly or not, on one that is left out or waits: they follow it.
    async fn sort_out(&mut self, batch: Batch) -> Result<Batch, RestoreError> {
        let mut orphans: HashMap<UnitId, UnitId> = HashMap::new();
        let mut followers: HashSet<UnitId> = HashSet::new();
        for unit in &batch.units {
            let left_out = |d: &&UnitId| self.out.contains(d) || orphans.contains_key(d);
            let waits = |d: &UnitId| self.waiting.holds(*d) || followers.contains(d);
            if let Some(other) = unit.depends_on.iter().find(left_out) {
                orphans.insert(unit.unit, *other);
            } else if unit.depends_on.iter().any(waits) {
                followers.insert(unit.unit);
            }
        }
        let (rest, orphaned) = batch.split(|unit| !orphans.contains_key(&unit.unit));
        for single in orphaned.singles() {
            let other = single.units.first().and_then(|u| orphans.get(&u.unit));
            let other = other.copied().unwrap_or_default();
            let reason = format!("depends on unit {other}, which is left out");
            self.leave_out(&single, &reason, None).await?;
        }
        let (rest, behind) = rest.split(|unit| !followers.contains(&unit.unit));
        for single in behind.singles() {
            self.waiting.add(single, Turn::first());
        }
        Ok(rest)
    }

    /// Records that units are left out.
    async fn leave_out(
        &mut self,
        batch: &Batch,
        reason: &str,
        sqlstate: Option<&str>,
    ) -> Result<(), RestoreError> {
        for (position, unit) in batch.units.iter().enumerate() {
            let rows = rows_by_table(batch, position, &self.prepared.targets);
            self.leave_out_unit(unit, rows, reason, sqlstate).await?;
        }
        Ok(())
    }

    /// Records that rows of a unit are left out, by table as shown, over a new connection where the old one is lost.
    pub(super) async fn leave_out_unit(
        &mut self,
        unit: &UnitRecord,
        rows: BTreeMap<String, u64>,
        reason: &str,
        sqlstate: Option<&str>,
    ) -> Result<(), RestoreError> {
        let targets = &self.prepared.targets;
        let left = QuarantinedUnit {
            unit: unit.unit,
            root_table: targets.tables[unit.root.table].name.to_string(),
            root_key: unit.root.key.clone(),
            reason: reason.to_owned(),
            sqlstate: sqlstate.map(str::to_owned),
            rows,
        };
        while let Err(error) = Store::new(&self.session).quarantine(&self.run, &left).await {
            self.reconnect(error).await?;
        }
        (self.sink)(Event::UnitQuarantined {
            unit: unit.unit,
            root: format!("{} {}", left.root_table, unit.root.key),
            reason: reason.to_owned(),
            sqlstate: sqlstate.map(str::to_owned),
        });
        self.out.insert(unit.unit);
        self.quarantined.push(left);
        Ok(())
    }
}

fn rows_by_table(batch: &Batch, position: usize, targets: &Targets) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for (table, of_table) in targets.tables.iter().zip(&batch.rows) {
        let n = of_table.iter().filter(|r| r.unit == position).count() as u64;
        if n > 0 {
            rows.insert(table.name.to_string(), n);
        }
    }
    rows
}
