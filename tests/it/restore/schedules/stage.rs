//! What all who take part in an act can see: whether the restore has begun and ended, and what was lost before.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An act: one command, with the application at work around it.
pub(super) struct Stage {
    pub(super) conninfo: String,
    /// Dossiers that were lost.
    pub(super) lost: BTreeSet<u64>,
    /// The command is an undo.
    pub(super) undoing: bool,
    arrived: AtomicBool,
    begun: AtomicBool,
    over: AtomicBool,
}

impl Stage {
    pub(super) fn new(conninfo: String, lost: BTreeSet<u64>, undoing: bool) -> Self {
        Self {
            conninfo,
            lost,
            undoing,
            arrived: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// The command is connected.
    pub(super) fn arrive(&self) {
        self.arrived.store(true, Ordering::SeqCst);
    }

    /// Whether it is, or never will be.
    pub(super) fn arrived(&self) -> bool {
        self.arrived.load(Ordering::SeqCst) || self.begun()
    }

    /// A batch has been committed.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    /// The command has ended.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether a batch has been committed, or never will be.
    pub(super) fn begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst) || self.over()
    }

    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether a dossier of this title is one that the restore of this act has returned.
    pub(super) fn returned(&self, dossier: u64, title: &str) -> bool {
        !self.undoing && self.restored(dossier, title)
    }

    /// Whether a dossier of this title has come back, by whatever run.
    pub(super) fn restored(&self, dossier: u64, title: &str) -> bool {
        title.starts_with("dossier") && self.lost.contains(&dossier)
    }
}

/// From when to when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

impl Span {
    pub(super) fn since(from: Instant) -> Self {
        let to = Instant::now();
        Self { from, to }
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// How much of it lies in none of the others.
    pub(super) fn beyond(&self, mut others: Vec<Self>) -> Duration {
        others.retain(|o| o.meets(self));
        others.sort_by_key(|o| o.from);
        let (mut left, mut at) = (Duration::ZERO, self.from);
        for other in others {
            left += other.from.saturating_duration_since(at);
            at = at.max(other.to);
        }
        left + self.to.saturating_duration_since(at)
    }
}

#[test]
fn time_beyond_other_times() {
    let zero = Instant::now();
    let span = |from, to| Span {
        from: zero + Duration::from_secs(from),
        to: zero + Duration::from_secs(to),
    };
    let beyond = |others: &[(u64, u64)]| {
        let others = others.iter().map(|(from, to)| span(*from, *to)).collect();
        span(10, 20).beyond(others).as_secs()
    };
    assert_eq!(beyond(&[]), 10);
    assert_eq!(beyond(&[(0, 5), (30, 40)]), 10);
    assert_eq!(beyond(&[(15, 17), (12, 16)]), 5);
    assert_eq!(beyond(&[(0, 12), (19, 30)]), 7);
    assert_eq!(beyond(&[(0, 40), (12, 13)]), 0);
}
