//! What can go wrong while taking a restore back.

use crate::ident::TableName;
use crate::journal::JournalError;
use crate::pg::PgError;
use crate::restore::RestoreError;

/// What can go wrong while taking a restore back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The server refused or went away before anything was deleted.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Live is no place to write to.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// No such run.
    #[error(
        "the journal on {target} knows no run {run}; `select run, kind, state from reinstate.run` lists those that it knows"
    )]
    Unknown {
        /// Host, database and role.
        target: String,
        /// The id given.
        run: String,
    },
    /// `--last`, and nothing to take back.
    #[error(
        "on {target} there is no restore that wrote something and is not yet taken back{}",
        kept.as_ref().map_or_else(String::new, |run| format!(
            "; of run {run}, which is, some rows were kept: `reinstate undo {run}` tries those again"
        ))
    )]
    None {
        /// Host, database and role.
        target: String,
        /// The last that was taken back but for some rows.
        kept: Option<String>,
    },
    /// Not a restore.
    #[error(
        "run {run} is of kind {kind}: only a restore can be taken back. After an undo, `restore --execute` of the same bundle \
         brings the rows back"
    )]
    NoRestore {
        /// The run.
        run: String,
        /// What it is.
        kind: String,
    },
    /// The bundle at hand is not the one that was restored.
    #[error(
        "run {run} restored bundle {wanted}, but the one at hand is {found}; name the right one with --bundle DIR: it says \
         which tables have which key, and which references no foreign key guards"
    )]
    OtherBundle {
        /// The run.
        run: String,
        /// The beginning of its bundle's id.
        wanted: String,
        /// The beginning of the id of the bundle at hand.
        found: String,
    },
    /// Tables from which nothing may be deleted.
    #[error("{}", .0.iter().map(|(table, reason)| format!("rows of {table} cannot be taken back: {reason}")).collect::<Vec<_>>().join("; "))]
    Tables(Vec<(TableName, String)>),
    /// Stopped in the middle of the work.
    #[error(
        "undo {run} stopped: {cause}. What was committed stays; run the same command again to go on"
    )]
    Partly {
        /// The undo.
        run: String,
        /// Why.
        cause: String,
    },
}
