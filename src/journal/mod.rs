//! The journal: what every run did to a database, kept in schema `reinstate` of that very database, so that it commits
//! with the rows it speaks of.
//!
//! A batch's row in `reinstate.batch` is inserted first in its transaction: a retry whose predecessor is still
//! committing waits there, and then sees that the work is done. The keys and `xmin` of the rows are written last.
//!
//! Every table has a primary key, so that a publication can carry it.

mod holds;
mod large_objects;
mod lock;
mod parts;
mod records;
mod relinks;
mod renamed;
mod resolved;
mod schema;
mod sequences;
mod states;
mod store;
mod taken_back;
mod undos;

pub use holds::{Hold, Holds, NewHold};
pub use large_objects::{CreatedObject, CreatedObjects, ObjectPlace, RecordedObject};
pub use lock::RunLock;
pub use parts::{Begun, Part, Parts, Postponed};
pub use records::{BatchRows, History, NewRun, QuarantinedUnit, Run};
pub use relinks::{Relinked, RelinkedPlace, Relinks, Unlinked};
pub use renamed::OldNames;
pub use resolved::{ResolvedRow, ResolvedRows};
pub use schema::{
    ensure, ensure_flags, ensure_holds, ensure_large_objects, ensure_parts, ensure_relinks,
    ensure_resolved, ensure_sequences, ensure_undos, exists, flags_exist, refuse_publication,
};
pub use sequences::{MovedSequence, SequenceMoves};
pub use states::{IllegalEvent, RunEvent, RunState, next};
pub use store::Store;
pub use taken_back::{KeptRow, TakenBack};
pub use undos::{Recorded, RestoredBatch, RestoredRow, UndoneRows, Undos};

use crate::pg::PgError;

/// What can go wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// A newer build wrote it.
    #[error(
        "the journal in {target} has version {found}, and this build knows up to {known}: use the build that wrote it, \
         or a newer one"
    )]
    Version {
        /// Host, database and role.
        target: String,
        /// The version found.
        found: i32,
        /// The version this build writes.
        known: i32,
    },
    /// The journal's tables would stop a subscriber.
    #[error(
        "publication {publication} on {target} is FOR ALL TABLES: a subscriber would stop at the journal's new tables. \
         Create them on every subscriber first, then on live, with the statements of docs/JOURNAL.md; then run again"
    )]
    Publication {
        /// Host, database and role.
        target: String,
        /// The publication.
        publication: String,
    },
    /// Somebody else is at work.
    #[error(
        "another run is at work on {target} (server process {pid}, {application}): wait for it to end"
    )]
    Busy {
        /// Host, database and role.
        target: String,
        /// Its server process.
        pid: i32,
        /// Its `application_name`.
        application: String,
    },
    /// Something the states do not allow.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}
