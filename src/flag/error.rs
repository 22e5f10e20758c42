//! What can go wrong with marks.

use crate::journal::JournalError;
use crate::pg::PgError;

/// What can go wrong with marks.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The journal is not to be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A template that is none.
    #[error("[[notice]] {entry} (for {audience}): {cause}")]
    Template {
        /// Which of the entries, from 1.
        entry: usize,
        /// Its audience.
        audience: String,
        /// What is wrong, and in which line.
        cause: String,
    },
    /// A template that fails for a record.
    #[error("[[notice]] {entry} (for {audience}), of {record}: {cause}; it may use {}", known.join(", "))]
    Notice {
        /// Which of the entries, from 1.
        entry: usize,
        /// Its audience.
        audience: String,
        /// The record, by table and key.
        record: String,
        /// What is wrong, and in which line.
        cause: String,
        /// What a template may use here.
        known: Vec<String>,
    },
    /// The operator's SQL failed.
    #[error("[flag] {key}: {cause}")]
    Sql {
        /// `sql` or `unflag_sql`.
        key: &'static str,
        /// The server's refusal.
        cause: PgError,
    },
    /// A file of the case cannot be read.
    #[error("what the case knows of the files cannot be read: {0}")]
    Read(String),
    /// The file could not be written.
    #[error("cannot write lost.csv: {0}")]
    Write(std::io::Error),
}
