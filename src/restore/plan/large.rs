//! A unit that comes in parts, in a plan: slice by slice, and left out whole where anything is in its way.

use super::LargeUnit;
use super::alone;
use super::planner::Planner;
use crate::bundle::{Bundle, UnitRecord};
use crate::ident::UnitId;
use crate::pg::Session;
use crate::restore::excluded::{self, Excluded};
use crate::restore::large_objects::BYTES_A_MILLISECOND;
use crate::restore::prepare::Prepared;
use crate::restore::sequences::{self, Sequence};
use crate::restore::split::{Needs, Reading, Splitting};
use crate::restore::{Batch, RestoreError, States};

/// What a row takes, for the estimate: a batch of the usual 50 ms holds that many.
pub(super) const MICROSECONDS_A_ROW: u64 = 50;

/// What a plan looks at units with.
pub(super) struct Looking<'a> {
    pub(super) session: &'a Session,
    pub(super) bundle: &'a Bundle,
    pub(super) prepared: &'a Prepared,
    pub(super) splitting: &'a Splitting,
}

impl Planner<'_> {
    /// Plans one such unit.
    pub(super) async fn large(
        &mut self,
        looking: &Looking<'_>,
        unit: &UnitRecord,
        excluded: &mut Excluded,
        numbering: &mut [Sequence],
    ) -> Result<(), RestoreError> {
        let Looking {
            session,
            bundle,
            prepared,
            splitting,
        } = looking;
        let history = &prepared.history;
        let known = |u: UnitId| history.done.contains(&u) || history.earlier.contains(&u);
        let restored = known(unit.unit);
        if !restored && !prepared.chosen(unit.unit) {
            self.parents.pending(unit.unit);
            for (table, rows) in &unit.rows {
                self.tally.of(&self.targets.tables[*table].name).pending += rows;
            }
            return Ok(());
        }
        let begun = history.begun.get(&unit.unit).copied().unwrap_or_default();
        let back = match restored {
            true => u64::MAX,
            false => begun.rows.max(begun.earlier_rows),
        };
        let all = Needs::of(unit);
        let mut reading = Reading::open(bundle, unit.unit)?;
        let whole = std::mem::take(&mut self.tally);
        let before = self.objects.bytes;
        let mut come_back = whole;
        let mut left = back;
        loop {
            let wanted = (super::ROWS_A_LOOK as u64).min(if left > 0 { left } else { u64::MAX });
            let Some(slice) = reading.take(wanted, &[])? else {
                break;
            };
            let is_back = left > 0;
            left = left.saturating_sub(slice.len());
            let mut rows = slice.of(unit);
            all.give(&mut rows, &self.replacements.references);
            let marks = excluded.marks(self.targets, &rows);
            if is_back {
                std::mem::swap(&mut self.tally, &mut come_back);
                self.excluded(&rows, &marks, true);
                let rows = vec![rows];
                self.back(session, Batch::new(rows, self.targets)).await?;
                std::mem::swap(&mut self.tally, &mut come_back);
                continue;
            }
            self.excluded(&rows, &marks, false);
            self.lost(&rows, &marks);
            if excluded::whole(&marks) {
                continue;
            }
            let rows = excluded.without(rows, &marks);
            sequences::meet(numbering, &rows);
            let rows = match prepared.only {
                Some(_) => alone(rows, |u| known(u) || prepared.chosen(u)),
                None => rows,
            };
            let batch = Batch::new(vec![rows], self.targets);
            self.coming(session, batch, Some(splitting)).await?;
        }
        let rows = self.tally.total().inserted;
        let bytes = self.objects.bytes - before;
        if self.out.contains(&unit.unit) {
            self.parents.unit(unit.unit, false, false);
            self.tally.0.values_mut().for_each(leave_out);
        } else if rows > 0 {
            let root = &self.targets.tables[unit.root.table].name;
            self.batches.large(LargeUnit {
                unit: unit.unit,
                root: format!("{root} {}", unit.root.key),
                rows,
                milliseconds: rows * MICROSECONDS_A_ROW / 1_000 + bytes / BYTES_A_MILLISECOND,
                large_object_bytes: bytes,
                in_parts: true,
                unsplit: splitting.unsplit(self.targets, &unit.rows),
            });
        }
        for (table, states) in std::mem::take(&mut self.tally.0) {
            come_back.of(&table).add(&states);
        }
        self.tally = come_back;
        Ok(())
    }
}

/// What would have come of the unit does not.
fn leave_out(states: &mut States) {
    *states = States {
        excluded: states.excluded,
        quarantined: states.sum() - states.excluded,
        ..States::default()
    };
}
