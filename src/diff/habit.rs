//! Whether it pays to sum a range first, learnt from the ranges before it.

use std::sync::atomic::{AtomicU32, Ordering};

/// How often ranges differed lately: per mille, moving average.
#[derive(Default)]
pub(super) struct Habit(AtomicU32);

impl Habit {
    /// Takes note of one more range.
    pub(super) fn saw(&self, differs: bool) {
        let old = self.0.load(Ordering::Relaxed);
        let new = (old * 3 + if differs { 1_000 } else { 0 }) / 4;
        self.0.store(new, Ordering::Relaxed);
    }

    /// Whether to sum a range before its rows are read.
    pub(super) fn sums_pay(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 600
    }
}
