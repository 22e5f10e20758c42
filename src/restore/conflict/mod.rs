//! Rows of the bundle whose key, or another value that must be unique, live has given to another row; and what is done
//! about them: `--on-conflict`.
//!
//! - `quarantine` leaves the unit out.
//! - `skip` leaves out the row and what refers to it, at any depth, in its unit and in those that depend on it.
//! - `remap` uses the live row in its place: references to the row are pointed to the live one, foreign keys and declared
//!   relations, polymorphic ones included.
//!
//! What is decided about a row is found, written and journalled in the transaction that brings its unit back, with the live row
//! locked; a later unit learns of it from memory, a later run from the journal. The plan asks by the same function.
//!
//! Live rows are only read and locked. Where it is not certain which row is meant, or what to write, the unit is left out: the
//! values of two live rows are in the way; there is no key to point to; the reference is kept in a type in which several texts
//! mean one value; a row whose reference was pointed elsewhere is in conflict itself; the live row under the same key is another
//! one, by its time of creation or its other unique values.

mod follow;
mod holders;
mod identity;
mod probe;
mod recall;
mod replacements;
mod rewrite;
mod settle;
mod sides;
mod taken;

use serde::Serialize;

use super::Targets;
use crate::pg::{PgError, Session};

pub(super) use probe::{Probe, values as values_of_rows};
pub(super) use recall::resolved_rows;
pub(super) use replacements::Decided;
pub use replacements::{Replacements, Resolution, Resolved};
pub(super) use settle::Settled;
pub use sides::{BothSides, Met};
pub(super) use sides::{fields, other_content, root_name};
pub(super) use taken::taken;

/// What is done about a row whose key or value is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Its unit is left out.
    #[default]
    Quarantine,
    /// The live row is used in its place.
    Remap,
    /// It is left out, with what hangs from it.
    Skip,
}

/// Finds the constraints of the bundle's tables that columns alone do not tell.
pub(super) async fn find_probes(session: &Session, targets: &mut Targets) -> Result<(), PgError> {
    for table in &mut targets.tables {
        table.probes = probe::find(session, table).await?;
    }
    Ok(())
}

impl OnConflict {
    /// Its name, as in `--on-conflict`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Remap => "remap",
            Self::Skip => "skip",
        }
    }

    /// What it does to a row, in the past.
    fn done(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantined",
            Self::Remap => "remapped",
            Self::Skip => "skipped",
        }
    }
}
