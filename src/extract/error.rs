//! What can go wrong while extracting.

use crate::attachments::AttachmentsError;
use crate::bundle::{BundleError, LeftOut};
use crate::evidence::EvidenceError;
use crate::ident::{Key, TableName};
use crate::pg::PgError;

/// What can go wrong while extracting.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The comparison failed, or the evidence cannot be used.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The bundle could not be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The files could not be asked for.
    #[error(transparent)]
    Attachments(#[from] AttachmentsError),
    /// A root table that is not there, or cannot be compared.
    #[error("--root {table}: {reason}")]
    Root {
        /// The table.
        table: TableName,
        /// Why it cannot be a root.
        reason: String,
    },
    /// `--where` and `--keys` speak of one table.
    #[error("--where and --keys need exactly one --root")]
    OneRoot,
    /// A key that cannot be a key of the root table.
    #[error("--keys: `{key}` has {found} values, but the key of {table} has {expected}: {columns}")]
    KeyWidth {
        /// The table.
        table: TableName,
        /// The key.
        key: Key,
        /// Values in it.
        found: usize,
        /// Columns of the table's key.
        expected: usize,
        /// Their names.
        columns: String,
    },
    /// Nobody knows whether these rows were asked for.
    #[error(
        "nobody knows whether {rows} rows were deleted {asked_for}: {}",
        listed(tables)
    )]
    Undetermined {
        /// What was asked for, as in "deleted in the window".
        asked_for: &'static str,
        /// How many.
        rows: u64,
        /// The same by table.
        tables: Vec<(TableName, u64)>,
    },
    /// The snapshot is not as it was a moment ago.
    #[error(
        "rows of {table} vanished from the snapshot while they were read: something writes to the snapshot; stop it and extract again"
    )]
    SnapshotMoves {
        /// The table.
        table: TableName,
    },
    /// Rows that no text COPY can hold.
    #[error(
        "{table} has rows whose text is longer than the server makes one (1 GB; a bytea's is twice as long as its bytes): \
         key {}. Leave out the roots that they belong to (--root with --where or --keys), and bring those back by hand, by \
         binary COPY",
        .keys.iter().map(ToString::to_string).collect::<Vec<_>>().join("; key ")
    )]
    TooLong {
        /// The table.
        table: TableName,
        /// Keys of such rows, the first few.
        keys: Vec<Key>,
    },
    /// Large objects that this role may not read.
    #[error(
        "role {role} may not read large object {} of the snapshot{}, which rows of {units} units point at: use a superuser of the \
         snapshot, or GRANT SELECT ON LARGE OBJECT … TO {role} there for each, or give {role} what reads them all: \
         ALTER ROLE {role} SET lo_compat_privileges = on (a superuser of the snapshot may). Nothing is left out silently, so no bundle was made",
        objects.join(", "),
        match more { 0 => String::new(), n => format!(" and {n} more") }
    )]
    LargeObjects {
        /// The role.
        role: String,
        /// The first few, each with its owner.
        objects: Vec<String>,
        /// How many more.
        more: usize,
        /// Units that point at them.
        units: usize,
    },
    /// The snapshot is not as it was a moment ago.
    #[error(
        "large objects vanished from the snapshot while they were read: something writes to the snapshot; stop it and extract again"
    )]
    LargeObjectsMove,
    /// Nothing was deleted.
    #[error("nothing to extract: {}", nothing(what, left_out))]
    Nothing {
        /// What was looked at.
        what: String,
        /// What is missing and stays so.
        left_out: Vec<LeftOut>,
    },
}

fn listed(tables: &[(TableName, u64)]) -> String {
    let each: Vec<String> = tables.iter().map(|(t, n)| format!("{n} of {t}")).collect();
    each.join(", ")
}

fn nothing(what: &str, left_out: &[LeftOut]) -> String {
    let missing = left_out.iter().filter(|l| l.rows > 0);
    let each: Vec<String> = missing
        .map(|l| format!("{} of {}: {}", l.rows, l.table, l.reason))
        .collect();
    match each.as_slice() {
        [] => format!("no row of {what} is missing in live"),
        each => format!(
            "no row of {what} is missing in live that may come back; {}",
            each.join("; ")
        ),
    }
}
