//! What a run takes up next, as it reads the bundle forward.

use crate::bundle::{BundleRows, UnitRecord};
use crate::ident::UnitId;

use super::run::Worker;
use super::{Batch, RestoreError, excluded, large_objects};

/// What is to be done next, in this order.
#[derive(Default)]
pub(super) struct Next {
    /// Units that fit into a batch.
    pub(super) batch: Option<Batch>,
    /// A unit that has come back in parts, with references that are still to be filled.
    pub(super) unfilled: Option<UnitId>,
    /// A unit that comes in parts.
    pub(super) large: Option<UnitRecord>,
    /// How many units are taken up.
    pub(super) units: u64,
    /// Nothing comes after that.
    pub(super) end: bool,
}

impl Worker<'_> {
    /// The next units that nobody has restored yet, about as many rows as a batch takes.
    pub(super) fn next(&mut self, rows: &mut BundleRows) -> Result<Next, RestoreError> {
        let mut units = Vec::new();
        let mut next = Next::default();
        let mut size = 0;
        let room = self
            .settings
            .max_units
            .map_or(u64::MAX, |max| max - self.units_done);
        while size < self.batch_rows && next.units < room {
            let Some(unit) = rows.next_record()? else {
                next.end = true;
                break;
            };
            self.last_read = unit.unit;
            let history = &self.prepared.history;
            let restored =
                history.done.contains(&unit.unit) || history.earlier.contains(&unit.unit);
            if restored && history.postponed.iter().any(|p| p.part.unit == unit.unit) {
                next.unfilled = Some(unit.unit);
            }
            if self
                .splitting
                .splits(unit.rows.iter().map(|(_, rows)| rows).sum())
            {
                if restored || !self.prepared.chosen(unit.unit) {
                    continue;
                }
                next.units += 1;
                next.large = Some(unit);
                break;
            }
            let unit = rows.with_rows(unit)?;
            let marks = self.excluded.marks(&self.prepared.targets, &unit);
            if restored {
                self.replacements.pass_over(&self.prepared.targets, &unit);
            }
            if restored || excluded::whole(&marks) || !self.prepared.chosen(unit.0.unit) {
                continue;
            }
            let unit = self.excluded.without(unit, &marks);
            size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
            size += large_objects::weight(&self.prepared.targets, &unit);
            next.units += 1;
            units.push(unit);
        }
        if !units.is_empty() {
            next.batch = Some(Batch::new(units, &self.prepared.targets));
        }
        Ok(next)
    }
}
