//! The estimate: how many batches, and which units are one for themselves.

use super::LargeUnit;
use super::large::MICROSECONDS_A_ROW;
use crate::ident::UnitId;
use crate::restore::large_objects::BYTES_A_MILLISECOND;

/// Rows that fit in a batch, for the estimate; the real number adapts.
const ROWS_A_BATCH: u64 = 1_000;

/// Counts the batches as a run fills them: whole units, until a batch has its rows.
#[derive(Default)]
pub(super) struct Batches {
    full: u64,
    filling: u64,
    large: Vec<LargeUnit>,
}

impl Batches {
    /// A unit with so many rows, and so many bytes of large objects.
    pub(super) fn add(
        &mut self,
        (rows, bytes): (u64, u64),
        unit: UnitId,
        root: impl FnOnce() -> String,
    ) {
        let milliseconds = rows * MICROSECONDS_A_ROW / 1_000 + bytes / BYTES_A_MILLISECOND;
        let weight = milliseconds * 1_000 / MICROSECONDS_A_ROW;
        let weight = rows.max(weight);
        self.filling += weight;
        if self.filling >= ROWS_A_BATCH {
            self.full += 1;
            self.filling = 0;
        }
        if weight > ROWS_A_BATCH {
            self.large.push(LargeUnit {
                unit,
                root: root(),
                rows,
                milliseconds,
                large_object_bytes: bytes,
                in_parts: false,
                unsplit: None,
            });
        }
    }

    /// One that comes in parts, whose rows have been added.
    pub(super) fn large(&mut self, unit: LargeUnit) {
        self.large.retain(|l| l.unit != unit.unit);
        self.large.push(unit);
    }

    pub(super) fn counted(mut self) -> (u64, Vec<LargeUnit>) {
        self.large
            .sort_by(|a, b| b.rows.cmp(&a.rows).then(a.unit.cmp(&b.unit)));
        (self.full + u64::from(self.filling > 0), self.large)
    }
}
