//! What can go wrong while a database is asked for its files.

use crate::ident::TableName;
use crate::pg::PgError;

/// What can go wrong while a database is asked for its files.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentsError {
    /// The SQL failed.
    #[error("[[attachments]] {entry} ({name}): {cause}")]
    Sql {
        /// Which of the entries, from 1.
        entry: usize,
        /// The preset, or `sql`.
        name: String,
        /// The server's refusal.
        cause: Box<PgError>,
    },
    /// The SQL does not give a column that is needed.
    #[error("[[attachments]] {entry}: the SQL gives no column {missing}, only {given}")]
    Missing {
        /// Which of the entries, from 1.
        entry: usize,
        /// The column.
        missing: &'static str,
        /// What it gives.
        given: String,
    },
    /// The SQL gives a column that means nothing here.
    #[error(
        "[[attachments]] {entry}: the SQL gives a column {name}, which means nothing here; known are {known}"
    )]
    Unknown {
        /// Which of the entries, from 1.
        entry: usize,
        /// The column.
        name: String,
        /// Those that do.
        known: String,
    },
    /// A value that is none of its column.
    #[error("[[attachments]] {entry}: {column} `{value}` of file `{key}` is {wrong}")]
    Value {
        /// Which of the entries, from 1.
        entry: usize,
        /// The column.
        column: &'static str,
        /// The value.
        value: String,
        /// The file's key.
        key: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// A name that several tables have.
    #[error(
        "[[attachments]] {entry}: owner_table {name} is several tables: {}; write schema.table, or say which by classes = {{ … }}",
        tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Ambiguous {
        /// Which of the entries, from 1.
        entry: usize,
        /// The name.
        name: String,
        /// The tables.
        tables: Vec<TableName>,
    },
}
