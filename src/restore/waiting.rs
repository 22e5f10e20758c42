//! Units whose rows somebody else holds: the application goes first, and we come back.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::ident::UnitId;

use super::Batch;

/// How long a unit is tried before it is left out, with the server's words for what is in its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the first attempt; it doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Units that may wait while others go on.
const CROWD: usize = 1_000;

/// When a unit is tried, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// The first refusal.
    since: Option<Instant>,
    at: Instant,
    pause: Duration,
}

impl Turn {
    /// At once.
    pub(super) fn first() -> Self {
        Self {
            since: None,
            at: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// After a pause, which grows.
    pub(super) fn next(self) -> Self {
        let now = Instant::now();
        Self {
            since: self.since.or(Some(now)),
            at: now + self.pause,
            pause: (self.pause * 2).min(PAUSES.1),
        }
    }

    /// How long until then.
    pub(super) fn pause_before(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether patience has ended.
    pub(super) fn last(self) -> bool {
        self.since.is_some_and(|s| s.elapsed() >= PATIENCE)
    }
}

/// The units that wait, in bundle order among those that depend on each other.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<(Batch, Turn)>,
    units: HashSet<UnitId>,
}

impl Waiting {
    /// Lets a unit wait for its turn.
    pub(super) fn add(&mut self, single: Batch, turn: Turn) {
        self.units.extend(single.numbers());
        self.queue.push_back((single, turn));
    }

    /// Whether a unit waits.
    pub(super) fn holds(&self, unit: UnitId) -> bool {
        self.units.contains(&unit)
    }

    /// Takes the next unit whose turn it is and that waits for no other.
    pub(super) fn next_due(&mut self) -> Option<(Batch, Turn)> {
        let now = Instant::now();
        let due = self.queue.iter().position(|(batch, turn)| {
            let mut needs = batch.units.iter().flat_map(|u| &u.depends_on);
            turn.at <= now && !needs.any(|d| self.units.contains(d))
        })?;
        let (batch, turn) = self.queue.remove(due)?;
        for unit in batch.numbers() {
            self.units.remove(&unit);
        }
        Some((batch, turn))
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether so many wait that nobody else should come.
    pub(super) fn crowded(&self) -> bool {
        self.queue.len() >= CROWD
    }

    /// Until it is somebody's turn.
    pub(super) async fn pause(&self) {
        let next = self.queue.iter().map(|(_, turn)| turn.at).min();
        let pause = next.map_or(PAUSES.0, |at| at.saturating_duration_since(Instant::now()));
        tokio::time::sleep(pause.max(Duration::from_millis(5))).await;
    }
}
