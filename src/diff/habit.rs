//! What ranges were like lately: it tells which question is the cheapest for the next one.

use std::sync::atomic::{AtomicU32, Ordering};

/// What is remembered of the ranges before.
pub(super) struct Habits {
    /// Whether ranges differ at all.
    pub(super) ranges: Habit,
    /// Whether rows of a range that both sides have differ.
    pub(super) contents: Habit,
}

impl Default for Habits {
    /// Before anything is known, keys travel beside the sums: should the range agree that costs a fifth more, should it
    /// differ it saves reading the range twice.
    fn default() -> Self {
        Self {
            ranges: Habit(AtomicU32::new(OFTEN)),
            contents: Habit(AtomicU32::new(0)),
        }
    }
}

/// From here on it is to be expected.
const OFTEN: u32 = 600;

/// How often something differed: per mille, moving average.
pub(super) struct Habit(AtomicU32);

impl Habit {
    /// Takes note of one more range.
    pub(super) fn saw(&self, differs: bool) {
        let old = self.0.load(Ordering::Relaxed);
        let new = (old * 3 + if differs { 1_000 } else { 0 }) / 4;
        self.0.store(new, Ordering::Relaxed);
    }

    /// Whether the next one will probably agree.
    pub(super) fn seldom_differ(&self) -> bool {
        self.0.load(Ordering::Relaxed) < OFTEN
    }
}
