//! When was it deleted: evidence from several sources, each an interval, combined.
//!
//! A source dates as many candidates as it can. What it says of one is a [`Testimony`]: a half-open interval in which the
//! deletion was committed, and the transaction where it is known. Testimonies of one candidate are intersected; where
//! they contradict each other that is kept and reported, never resolved.
//!
//! - [`bracket`]: backups from after the snapshot have the row or lack it.
//! - [`audit`]: a log that the application keeps, in a table or a file.
//! - [`dead_tuples`]: deleted rows that live has not cleaned away yet.
//!
//! Guarantees: nothing is asserted that a source does not say; a candidate that no source dates has the widest interval
//! that the two databases allow, `[snapshot time or unknown, now)`.

pub mod audit;
pub mod bracket;
mod commits;
mod dated;
pub mod dead_tuples;
mod exclusion;
mod finding;
mod findings;
mod identity;
mod interval;
pub mod listing;
pub mod portions;
mod selection;
pub mod timeline;

pub use commits::{Commits, tracked};
pub use dated::{Dated, date, now};
pub use exclusion::Exclusion;
pub use finding::{Finding, SourceKind, Sources, Testimony};
pub use findings::{Contradiction, Findings};
pub use identity::identity_sets;
pub use interval::{Interval, Place};
pub use selection::Selection;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::diff::{Candidates, DiffError};
use crate::ident::TableName;
use crate::pg::PgError;

/// Takes what a source says.
pub type Hear<'a> = &'a mut (dyn FnMut(Testimony) + Send);

/// Something that tells when rows were deleted.
pub trait EvidenceSource: Send {
    /// What kind of source it is.
    fn kind(&self) -> SourceKind;

    /// Reads what reading live would destroy; called before any of live's rows is read. Most sources have nothing to do
    /// here.
    fn read_first(&mut self) -> BoxFuture<'_, Result<(), EvidenceError>> {
        Box::pin(async { Ok(()) })
    }

    /// Says what it knows of the candidates, and returns what a person should know about that.
    fn testify<'a>(
        &'a mut self,
        candidates: &'a Candidates,
        period: Interval,
        hear: Hear<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, EvidenceError>>;
}

/// What can go wrong with evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The comparison failed.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// More candidates than can be numbered.
    #[error(
        "more than four thousand million rows are missing in live: is this the right live database?"
    )]
    TooMany,
    /// The backup would be from the future.
    #[error("the snapshot time {time} is in the future: live's clock shows {now}")]
    SnapshotTime {
        /// As given.
        time: Timestamp,
        /// Live's clock.
        now: Timestamp,
    },
    /// A window in which nothing can have happened.
    #[error("nothing can have been deleted in this window: {reason}")]
    Window {
        /// Why not.
        reason: String,
    },
    /// Nothing tells when rows were deleted.
    #[error("nothing tells when the missing rows were deleted, only that it was in {period}")]
    None {
        /// From the backup to now.
        period: String,
    },
    /// An exclusion that cannot be used as it is.
    #[error("[[exclude]] of {table}: {reason}")]
    Exclude {
        /// The table whose rows it names.
        table: TableName,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An after-snapshot that is not from after the snapshot, or not from before now.
    #[error("the after-snapshot of {time} is no evidence: {reason}")]
    AfterTime {
        /// Its time, as given.
        time: Timestamp,
        /// Why not.
        reason: String,
    },
    /// An audit that cannot be used as it is.
    #[error("[[audit]] of {table}: {reason}")]
    Audit {
        /// The table whose deletions it tells.
        table: TableName,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Dead tuples cannot be read.
    #[error("dead tuples cannot be read: {reason}")]
    DeadTuples {
        /// Why, and what to do.
        reason: String,
    },
}
