//! The states of a run: one pure function, used when running and when recovering, so that the rules of recovery are the
//! rules of running.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Under way, or its process died.
    Running,
    /// Stopped at a safe point by a person or by `--max-units`.
    Interrupted,
    /// Nothing left to do.
    Done,
    /// Ended, with units left out.
    Partly,
}

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// A process takes it up (again).
    Resume,
    /// It stops between two batches.
    Interrupt,
    /// It has seen every unit.
    Finish {
        /// Whether units were left out.
        left_out: bool,
    },
}

impl fmt::Display for RunEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resume => "be taken up again",
            Self::Interrupt => "be interrupted",
            Self::Finish { .. } => "end once more",
        })
    }
}

/// An event that a state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot {event}: another process has worked on it")]
pub struct IllegalEvent {
    state: RunState,
    event: RunEvent,
}

/// The next state.
pub fn next(state: RunState, event: RunEvent) -> Result<RunState, IllegalEvent> {
    use RunEvent::{Finish, Interrupt, Resume};
    use RunState::{Done, Interrupted, Partly, Running};
    match (state, event) {
        (Running | Interrupted, Resume) => Ok(Running),
        (Running, Interrupt) => Ok(Interrupted),
        (Running, Finish { left_out: false }) => Ok(Done),
        (Running, Finish { left_out: true }) => Ok(Partly),
        (Interrupted, Interrupt | Finish { .. }) | (Done | Partly, _) => {
            Err(IllegalEvent { state, event })
        }
    }
}

impl RunState {
    /// Whether running again takes the same run up.
    pub fn unfinished(self) -> bool {
        next(self, RunEvent::Resume).is_ok()
    }
}

const WORDS: [(RunState, &str); 4] = [
    (RunState::Running, "running"),
    (RunState::Interrupted, "interrupted"),
    (RunState::Done, "done"),
    (RunState::Partly, "partly"),
];

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(s, _)| s == self).map_or("", |(_, w)| w);
        f.write_str(word)
    }
}

impl FromStr for RunState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let state = WORDS.iter().find(|(_, w)| *w == text).map(|(s, _)| *s);
        state.ok_or_else(|| format!("`{text}` is no state of a run"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_decided() {
        use RunEvent::{Finish, Interrupt, Resume};
        use RunState::{Done, Interrupted, Partly, Running};
        let (clean, left) = (Finish { left_out: false }, Finish { left_out: true });
        let table = [
            (
                Running,
                [Some(Running), Some(Interrupted), Some(Done), Some(Partly)],
            ),
            (Interrupted, [Some(Running), None, None, None]),
            (Done, [None; 4]),
            (Partly, [None; 4]),
        ];
        for (state, expected) in table {
            for (event, expected) in [Resume, Interrupt, clean, left].into_iter().zip(expected) {
                assert_eq!(next(state, event).ok(), expected, "{state} {event:?}");
            }
            assert_eq!(state.to_string().parse(), Ok(state));
        }
    }
}
