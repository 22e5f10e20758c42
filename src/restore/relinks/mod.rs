//! Fills references that the deletion set to NULL, in rows that live still has, and that an undo empties again.
//!
//! ```text
//!  relinks.jsonl.zst ─▶ chunk (of one reference) ─▶ look ─▶ decide ─▶ lock, look again, decide, UPDATE, journal
//! ```
//!
//! The one place where a row is written to that we did not insert. So [`decide`](decide::decide), a pure function, fills only
//! what is still NULL, and only with proof that the deletion did that: an owner who un-assigned it himself left a NULL too.
//!
//! Chunks are transactions of their own, after the units: a child that the application holds, or that its triggers guard, must
//! not keep a unit from coming back. Children that somebody holds are passed over (`SKIP LOCKED`) and tried again. The UPDATE
//! says once more what was seen: the row's `xmin`, and that each column is NULL.

mod chunk;
mod decide;
mod fill;
mod link;
mod look;
mod outcome;
mod parents;
mod past;
mod plan;
mod run;
mod triggers;
mod unlink;
mod verify;

pub use outcome::{LeftRelink, RelinkOutcome};
pub use verify::relinks_in_live;

pub(super) use link::Links;
pub(super) use parents::Parents;
pub(super) use past::Past;
pub(super) use plan::Foreseeing;
pub(super) use triggers::ChildTriggers;
pub(super) use unlink::{Fate as UnlinkFate, Filled, Unlinking};

use serde::Serialize;

/// Which references are filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relinking {
    /// Those that the deletion is proved to have emptied.
    #[default]
    Proven,
    /// Those, and those of rows that are otherwise as in the snapshot.
    All,
    /// None.
    None,
}

impl Relinking {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::All => "all",
            Self::None => "none",
        }
    }
}
