//! What met what, counted over all seeds: a schedule in which nobody met anybody proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Meetings by name, and the longest time that a statement of the application took beyond what the application's own sessions held.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counts: BTreeMap<&'static str, u64>,
    longest: Duration,
}

/// What must have happened at least once in the usual number of seeds.
const REQUIRED: &[&str] = &[
    "returned: written to",
    "returned: child added",
    "returned: deleted",
    "returned: locked",
    "returned: upserted",
    "returned: pointed at",
    "returned, the restore still at work",
    "champ returned: written to",
    "key refused: returned",
    "e-mail refused: returned",
    "key created first",
    "e-mail taken first",
    "child refused",
    "snapshot refused",
    "parent locked during a batch",
    "application waited for us",
    "we waited for the application",
    "batch gave way to a lock",
    "batch tried again",
    "killed half way",
    "undo killed half way",
    "rows pending",
    "rows quarantined",
    "rows remapped",
    "rows skipped",
    "references filled",
    "undo removed",
    "undo kept: changed",
    "undo kept: referenced",
];

impl Tally {
    pub(super) fn met(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(super) fn add(&mut self, what: &'static str, so_many: u64) {
        *self.counts.entry(what).or_default() += so_many;
    }

    pub(super) fn waited(&mut self, so_long: Duration) {
        self.longest = self.longest.max(so_long);
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (what, so_many) in &other.counts {
            self.add(what, *so_many);
        }
        self.waited(other.longest);
    }

    /// What should have happened and has not.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let never = |what: &&&str| !self.counts.contains_key(**what);
        REQUIRED.iter().filter(never).copied().collect()
    }
}

/// In one line.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, so_many) in &self.counts {
            write!(f, "{what} {so_many}; ")?;
        }
        write!(f, "longest wait {} ms", self.longest.as_millis())
    }
}
