//! Units that cannot be decided on yet, in the order in which they are taken back: somebody else holds a row of theirs, or
//! what refers to one belongs to a unit that waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::restore::waiting::Turn;

use super::piece::Piece;

/// Units that may wait while others go on.
const CROWD: usize = 1_000;

/// What a unit waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why {
    /// Somebody's lock, until its turn.
    Lock(Turn),
    /// A unit before it.
    Another,
}

/// The units that wait.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    queue: VecDeque<(Piece, Why)>,
}

impl Deferred {
    /// Lets a unit wait, behind those that wait already.
    pub(super) fn add(&mut self, piece: Piece, why: Why) {
        self.queue.push_back((piece, why));
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether so many wait that nobody else should come.
    pub(super) fn crowded(&self) -> bool {
        self.queue.len() >= CROWD
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The unit at a place, where it is its turn: one that waits for another is tried when it has come first, or when one
    /// before it has been `resolved`.
    pub(super) fn due(&self, place: usize, resolved: bool) -> Option<(Piece, Turn)> {
        let (piece, why) = self.queue.get(place)?;
        match why {
            Why::Lock(turn) if turn.pause_before() > Duration::ZERO => None,
            Why::Lock(turn) => Some((piece.clone(), *turn)),
            Why::Another if place == 0 || resolved => Some((piece.clone(), Turn::first())),
            Why::Another => None,
        }
    }

    /// Takes the unit at a place out.
    pub(super) fn resolve(&mut self, place: usize) {
        self.queue.remove(place);
    }

    /// Lets the unit at a place wait on.
    pub(super) fn wait_on(&mut self, place: usize, why: Why) {
        if let Some(entry) = self.queue.get_mut(place) {
            entry.1 = why;
        }
    }

    /// Until it is somebody's turn.
    pub(super) async fn pause(&self) {
        let turns = self.queue.iter().filter_map(|(_, why)| match why {
            Why::Lock(turn) => Some(Instant::now() + turn.pause_before()),
            Why::Another => None,
        });
        let pause = turns
            .min()
            .map(|at| at.saturating_duration_since(Instant::now()));
        tokio::time::sleep(pause.unwrap_or_default().max(Duration::from_millis(5))).await;
    }
}
