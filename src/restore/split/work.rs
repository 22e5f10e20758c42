//! Works off a unit that comes in parts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Needs, Reading, Slice, TAKEN, whole_only};
use crate::bundle::UnitRecord;
use crate::journal::{Begun, Part};
use crate::restore::retry::{BATCH_ROWS, Outcome};
use crate::restore::run::{Stopped, Worker};
use crate::restore::waiting::Turn;
use crate::restore::{Batch, Met, RestoreError};

/// Rows that one look before the first part takes.
const ROWS_A_LOOK: u64 = 2_000;

/// Why a unit stays out, or stays in parts.
struct Obstacle {
    reason: String,
    sqlstate: Option<String>,
}

impl Obstacle {
    fn new(reason: impl Into<String>, sqlstate: Option<&str>) -> Self {
        Self {
            reason: reason.into(),
            sqlstate: sqlstate.map(str::to_owned),
        }
    }
}

/// How one part ended.
enum Ended {
    Done,
    Cut(Slice, Slice),
    Barred(Obstacle),
}

impl Worker<'_> {
    /// Brings a unit back in parts, from the first that has not come back; true when it was stopped before the last.
    pub(in crate::restore) async fn split(
        &mut self,
        unit: UnitRecord,
    ) -> Result<Stopped, RestoreError> {
        // What it depends on comes first.
        while unit.depends_on.iter().any(|d| self.waiting.holds(*d)) {
            if self.interrupt.asked() {
                return Ok(true);
            }
            self.waiting.pause().await;
            self.try_waiting().await?;
        }
        let begun = self.prepared.history.begun.get(&unit.unit);
        let begun = begun.copied().unwrap_or_default();
        let begun = self.carry_earlier(&unit, begun).await?;
        if self.interrupt.asked() {
            return Ok(true);
        }
        if let Some(other) = unit.depends_on.iter().find(|d| self.out.contains(d)) {
            let reason = format!("depends on unit {other}, which is left out");
            self.bar(&unit, begun.rows, Obstacle::new(reason, None))
                .await?;
            return Ok(false);
        }
        let kept = self
            .prepared
            .targets
            .tables
            .iter()
            .find(|t| t.kept.any(unit.unit));
        if let Some(table) = kept {
            let reason = format!(
                "an undo kept rows of {}, which has no key, of a unit that had come in parts: nobody can tell which of the others \
                 are missing; --max-unit-rows lets it come whole",
                table.name
            );
            self.bar(&unit, begun.rows, Obstacle::new(reason, None))
                .await?;
            return Ok(false);
        }
        if let Some(obstacle) = self.in_its_way(&unit, begun).await? {
            self.bar(&unit, begun.rows, obstacle).await?;
            return Ok(false);
        }
        self.parts(&unit, begun).await
    }

    /// Looks at all rows that are still to come, without locks: better not to begin than to stop in the middle.
    async fn in_its_way(
        &mut self,
        unit: &UnitRecord,
        begun: Begun,
    ) -> Result<Option<Obstacle>, RestoreError> {
        let mut reading = Reading::open(self.bundle, unit.unit)?;
        reading.skip_to(begun.rows.max(begun.earlier_rows))?;
        let all = Needs::of(unit);
        while let Some(slice) = reading.take(ROWS_A_LOOK, &[])? {
            let batch = self.batch_of(unit, &all, slice, None);
            let targets = &self.prepared.targets;
            let settled = self
                .replacements
                .settle(&self.session, targets, &batch, false);
            let settled = settled.await?;
            // A parent within the unit is not there yet.
            if let Some(first) = settled.looked.conflicts.first() {
                let met = Met::of(&batch, settled.looked.conflicts.iter(), "quarantined");
                let obstacle = Obstacle::new(&first.reason, Some(first.sqlstate));
                self.met.extend(met);
                return Ok(Some(obstacle));
            }
            if let Some(row) = self.splitting.circular(&settled.resolved) {
                return Ok(Some(Obstacle::new(whole_only(row), Some(TAKEN))));
            }
        }
        Ok(None)
    }

    async fn parts(&mut self, unit: &UnitRecord, begun: Begun) -> Result<Stopped, RestoreError> {
        let all = Needs::of(unit);
        let mut reading = Reading::open(self.bundle, unit.unit)?;
        reading.skip_to(begun.rows)?;
        let (mut reached, mut number) = (begun.rows, begun.parts);
        let mut queue: VecDeque<Slice> = VecDeque::new();
        loop {
            if self.interrupt.asked() {
                return Ok(true);
            }
            let slice = match queue.pop_front() {
                Some(slice) => slice,
                None => match reading.take(self.part_rows(), &self.splitting.solid)? {
                    Some(slice) => slice,
                    None => break,
                },
            };
            let (rows, last) = (slice.len(), slice.last);
            let part = Part {
                unit: unit.unit,
                part: number,
                first_row: slice.first_row,
                rows,
                last,
            };
            match self.part(unit, &all, slice, part).await? {
                Ended::Done => {
                    (reached, number) = (part.first_row + rows, number + 1);
                    let known = self.prepared.history.begun.entry(unit.unit).or_default();
                    (known.rows, known.parts) = (reached, number);
                    if last {
                        break;
                    }
                }
                Ended::Cut(first, second) => {
                    queue.push_front(second);
                    queue.push_front(first);
                }
                Ended::Barred(obstacle) => {
                    self.bar(unit, reached, obstacle).await?;
                    return Ok(false);
                }
            }
        }
        self.prepared.history.done.insert(unit.unit);
        self.fill_unit(unit.unit).await?;
        Ok(false)
    }

    /// Rows of the next part: what a batch takes, and no more than a unit may have.
    fn part_rows(&self) -> u64 {
        (self.batch_rows as u64).min(self.splitting.max_rows)
    }

    /// The rows of a slice that may come, with what they need.
    fn batch_of(
        &mut self,
        unit: &UnitRecord,
        all: &Needs<'_>,
        slice: Slice,
        part: Option<Part>,
    ) -> Batch {
        let targets = &self.prepared.targets;
        let mut rows = slice.of(unit);
        all.give(&mut rows, &self.replacements.references);
        let marks = self.excluded.marks(targets, &rows);
        let rows = self.excluded.without(rows, &marks);
        Batch {
            part,
            ..Batch::new(vec![rows], targets)
        }
    }

    /// One part: done, cut in two because it took too long, or barred.
    async fn part(
        &mut self,
        unit: &UnitRecord,
        all: &Needs<'_>,
        slice: Slice,
        part: Part,
    ) -> Result<Ended, RestoreError> {
        let batch = self.batch_of(unit, all, slice.clone(), Some(part));
        let (first, second) = slice.halve(&self.splitting.solid);
        let small = part.rows <= BATCH_ROWS.0 as u64;
        let limit = match second.is_none() || small {
            true => self.settings.max_unit_time.max(self.limit),
            false => self.limit,
        };
        let mut turn = Turn::first();
        loop {
            match self.attempt(&batch, limit).await? {
                Outcome::Done => return Ok(Ended::Done),
                Outcome::InTheWay(conflicts) => {
                    self.met
                        .extend(Met::of(&batch, conflicts.iter(), "quarantined"));
                    let obstacle = conflicts
                        .first()
                        .map(|c| Obstacle::new(&c.reason, Some(c.sqlstate)));
                    return Ok(obstacle.map_or(Ended::Done, Ended::Barred));
                }
                Outcome::Refused(error) if error.is_transient() && !turn.last() => {
                    turn = turn.next();
                    tokio::time::sleep(turn.pause_before()).await;
                }
                Outcome::Refused(error) => {
                    let obstacle = Obstacle::new(error.refusal(), error.sqlstate());
                    return Ok(Ended::Barred(obstacle));
                }
                Outcome::TooSlow => {
                    return Ok(match second.filter(|_| !small) {
                        Some(second) => {
                            self.batch_rows = (self.batch_rows / 2).max(BATCH_ROWS.0);
                            Ended::Cut(first, second)
                        }
                        None => Ended::Barred(Obstacle::new(too_slow(limit), None)),
                    });
                }
            }
        }
    }

    /// Counts the rows of a unit that earlier runs brought back, as they are now; how far it has come then.
    async fn carry_earlier(
        &mut self,
        unit: &UnitRecord,
        mut begun: Begun,
    ) -> Result<Begun, RestoreError> {
        if begun.rows >= begun.earlier_rows {
            return Ok(begun);
        }
        let all = Needs::of(unit);
        let mut reading = Reading::open(self.bundle, unit.unit)?;
        reading.skip_to(begun.rows)?;
        while begun.rows < begun.earlier_rows && !self.interrupt.asked() {
            let wanted = (begun.earlier_rows - begun.rows).min(ROWS_A_LOOK);
            let Some(slice) = reading.take(wanted, &[])? else {
                break;
            };
            let part = Part {
                unit: unit.unit,
                part: begun.parts,
                first_row: slice.first_row,
                rows: slice.len(),
                last: slice.last,
            };
            let batch = self.batch_of(unit, &all, slice, Some(part));
            self.carry(batch).await?;
            (begun.rows, begun.parts) = (begun.rows + part.rows, begun.parts + 1);
        }
        self.prepared.history.begun.insert(unit.unit, begun);
        Ok(begun)
    }

    /// Rows that an earlier run brought back, counted as they are now.
    async fn carry(&mut self, batch: Batch) -> Result<(), RestoreError> {
        let targets = &self.prepared.targets;
        let (batch, resolved) = self.replacements.recall(targets, batch, &mut Vec::new());
        loop {
            let number = self.prepared.history.last_batch + 1;
            match self.inserter().carry(number, &batch, &resolved).await {
                Ok(()) => {
                    self.prepared.history.last_batch = number;
                    self.reconnects = 0;
                    return Ok(());
                }
                Err(error) if self.lost(&error) => self.reconnect(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Leaves a unit out, or as far as it has come.
    async fn bar(
        &mut self,
        unit: &UnitRecord,
        reached: u64,
        obstacle: Obstacle,
    ) -> Result<(), RestoreError> {
        let rows = self.remaining(unit, reached)?;
        let reason = match reached {
            0 => obstacle.reason,
            rows => format!(
                "{}. {rows} rows of it have come back before, in parts: an undo takes them back, a later run goes on from there",
                obstacle.reason
            ),
        };
        self.leave_out_unit(unit, rows, &reason, obstacle.sqlstate.as_deref())
            .await
    }

    /// How many rows from `reached` on could come, by table as shown.
    fn remaining(
        &mut self,
        unit: &UnitRecord,
        reached: u64,
    ) -> Result<BTreeMap<String, u64>, RestoreError> {
        let mut reading = Reading::open(self.bundle, unit.unit)?;
        reading.skip_to(reached)?;
        let mut remaining = BTreeMap::new();
        let targets = &self.prepared.targets;
        while let Some(slice) = reading.take(ROWS_A_LOOK, &[])? {
            let rows = slice.of(unit);
            let marks = self.excluded.marks(targets, &rows);
            for ((table, _), marks) in rows.1.iter().zip(&marks) {
                let free = marks.iter().filter(|m| !**m).count() as u64;
                if free > 0 {
                    let name = targets.tables[*table].name.to_string();
                    *remaining.entry(name).or_default() += free;
                }
            }
        }
        Ok(remaining)
    }
}

fn too_slow(limit: Duration) -> String {
    format!("it took longer than {limit:?}; --max-unit-time allows it more")
}
