//! What is in the snapshot but not in live, and the other way round: the database does the work; keys and sums
//! travel, rows do not.
//!
//! Two strategies find the differing rows of a table, both in bounded memory:
//!
//! - [`range`]: where the key sorts alike on both sides. Ranges of the key are summed on both sides at once; only
//!   where the sums differ do keys (and row hashes) travel, packed, and are compared as sets.
//! - [`bucket`]: for every other key, and for tables without one. Slices of the table's pages are read once, summed
//!   by the hash of the key; rows of differing buckets are spilled to disk by bucket and compared bucket by bucket.
//!
//! Whatever they find is asked for again by key, by the other side's own `=`, before it is announced. What no comparison
//! can tell is bounded in [`unknowable`](mod@unknowable).

mod bounds;
mod bucket;
mod candidates;
mod habit;
mod keystore;
mod lines;
mod packed;
mod partition;
mod range;
mod recheck;
pub mod report;
mod set;
mod sides;
mod spill;
mod sums;
mod table;
pub mod unknowable;

pub use candidates::Candidates;
pub use recheck::contents;
pub use sides::Sides;
pub use table::{DiffOptions, diff_table};
pub use unknowable::{Compared, Unknowable, unknowable};

use crate::ident::{Key, TableName};
use crate::pg::PgError;

/// How deep a comparison looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Which keys exist.
    Keys,
    /// And whether the rows have the same content.
    Rows,
}

/// What happened to a row between snapshot and live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// In the snapshot, not in live: a candidate.
    Deleted,
    /// In live, not in the snapshot.
    Inserted,
    /// In both, with other content.
    Changed,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What happened to it.
    pub change: Change,
    /// Its key; in a table without a key, where it lies: `ctid`, or table oid and `ctid` when partitioned.
    pub key: Key,
}

/// What was counted in a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the snapshot.
    pub snapshot_rows: u64,
    /// Rows in live.
    pub live_rows: u64,
    /// Rows only in the snapshot.
    pub deleted: u64,
    /// Rows only in live.
    pub inserted: u64,
    /// Rows with other content.
    pub changed: u64,
}

/// What can go wrong while comparing.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The rows that differ could not be set aside on disk.
    #[error(
        "cannot set rows of {table} aside in a temporary file: {cause}; free some space or point TMPDIR elsewhere"
    )]
    Spill {
        /// The table being compared.
        table: TableName,
        /// The system's words.
        cause: std::io::Error,
    },
    /// What came back does not have the form that was asked for.
    #[error("the server's answer about {table} cannot be read: {reason}")]
    Answer {
        /// The table being compared.
        table: TableName,
        /// What is wrong with it.
        reason: String,
    },
}
