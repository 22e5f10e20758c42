//! Why nothing is held, or why it is not given up.

use crate::journal::JournalError;
use crate::pg::{PgError, Session, Size};

use super::SLOT;

/// What can go wrong while WAL is held or given up.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The journal cannot record it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A standby.
    #[error("{target} is a standby, where nothing can be recorded; give the primary as --live")]
    Standby {
        /// Host, database and role.
        target: String,
    },
    /// Somebody has told the server to take no writes.
    #[error(
        "{target} is set to read only (default_transaction_read_only = on); find out why before you change that"
    )]
    ReadOnly {
        /// Host, database and role.
        target: String,
    },
    /// WAL without what a copy needs.
    #[error(
        "wal_level is {level} on {target}: a slot needs replica or logical, which takes a restart"
    )]
    WalLevel {
        /// Host, database and role.
        target: String,
        /// The level.
        level: String,
    },
    /// No room for one more slot.
    #[error(
        "all {max} replication slots of {target} are taken: drop one that nobody needs (pg_replication_slots), or raise \
         max_replication_slots, which takes a restart"
    )]
    NoRoom {
        /// Host, database and role.
        target: String,
        /// `max_replication_slots`.
        max: i32,
    },
    /// The role may not.
    #[error(
        "role {role} may not make a replication slot on {target}: ALTER ROLE {role} REPLICATION (docs/RIGHTS.md)"
    )]
    NoRight {
        /// Host, database and role.
        target: String,
        /// The role, as SQL.
        role: String,
    },
    /// Nobody knows how much disk there is to use.
    #[error(
        "the free space of the disk with {target}'s WAL is not known: {why}; say it with --free-space SIZE"
    )]
    SpaceUnknown {
        /// Host, database and role.
        target: String,
        /// Why it cannot be measured.
        why: String,
    },
    /// More asked for than there is.
    #[error(
        "{asked} of WAL and a margin of {margin} are more than the {free} that are free{}",
        more_than(.kept)
    )]
    TooMuch {
        /// WAL asked for.
        asked: Size,
        /// Margin.
        margin: Size,
        /// Free space.
        free: Size,
        /// What the slot keeps already; nothing where there is none yet.
        kept: Size,
    },
    /// A slot of that name that the journal does not know.
    #[error(
        "{target} has a replication slot {SLOT} that this database's journal does not know: it was made by hand, or for \
         another database of this server. If nobody needs it: select pg_drop_replication_slot('{SLOT}')"
    )]
    NotOurs {
        /// Host, database and role.
        target: String,
    },
    /// Somebody reads from the slot.
    #[error("slot {SLOT} of {target} is being read from by server process {pid}: stop that first")]
    InUse {
        /// Host, database and role.
        target: String,
        /// The server process.
        pid: i32,
    },
    /// The server has given the slot up.
    #[error(
        "what was held on {target} since {since} is lost: the server itself gave the slot up (max_slot_wal_keep_size, or \
         idle_replication_slot_timeout from PostgreSQL 18 on). \
         `reinstate unhold`, then hold again for what comes from here on"
    )]
    Lost {
        /// Host, database and role.
        target: String,
        /// Since when it was held.
        since: String,
    },
    /// Made, and not there.
    #[error("the slot was made on {target} and somebody dropped it at once; run it again")]
    Vanished {
        /// Host, database and role.
        target: String,
    },
}

/// The end of `TooMuch`: what else there is, and what to do.
fn more_than(kept: &Size) -> String {
    match kept.0 {
        0 => ": ask for less (--max-wal, --margin), or free some space".to_owned(),
        _ => format!(
            " and the {kept} that the slot keeps already: ask for less (--max-wal, --margin), free some space, or give it up \
             (reinstate unhold)"
        ),
    }
}

impl HoldError {
    /// Whether looking again can help: the server went away or refused, or somebody is in the way.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Pg(_) | Self::Journal(JournalError::Pg(_)) | Self::InUse { .. }
        )
    }

    /// What the server meant by refusing to make the slot.
    pub(super) fn refused(session: &Session, error: PgError) -> Self {
        let target = session.target().to_string();
        match error.sqlstate() {
            Some("42501") => Self::NoRight {
                target,
                role: crate::ident::quote_ident(&session.target().role),
            },
            // Somebody was faster.
            Some("42710") => Self::NotOurs { target },
            _ => Self::Pg(error),
        }
    }
}
