//! Puts a bundle back, online.
//!
//! [`plan()`] looks and changes nothing; [`execute`] works off the units in short transactions. A batch is one
//! transaction, in this order:
//!
//! 1. its row in the journal, so that a retry waits for a predecessor that is still committing;
//! 2. the parents in live, locked `FOR KEY SHARE NOWAIT` in key order: where the application holds one, we give way;
//! 3. a look at what is there already: units with something in their way leave the batch;
//! 4. the rows, parents first, by COPY; tables that reference each other in one statement;
//! 5. keys and `xmin` of every row, into the journal.
//!
//! A batch that the server refuses is halved until the unit at fault is alone, which is left out with the server's own
//! error. No live row is ever deleted, nor updated but for references that the deletion set to NULL, which [`relinks`] fills.

mod account;
mod again;
mod batch;
mod checks;
mod conflict;
pub mod excluded;
mod fields;
mod fill;
mod finish;
mod firing;
mod insert;
mod inserted;
mod kept;
mod large_objects;
mod look;
mod next;
mod plan;
mod prediction;
mod prepare;
mod read_back;
mod recast;
mod refusal;
mod relinks;
mod retry;
mod retype;
mod run;
mod sequences;
mod split;
mod suppressed;
mod tally;
mod target;
mod triggers;
pub mod undo;
mod waiting;
mod work;
mod writers;

pub use batch::{Batch, BatchRow};
pub use conflict::{BothSides, Met, OnConflict, Replacements, Resolution, Resolved};
pub use fill::{Added, Fill};
pub use firing::{Said, accepting};
pub use large_objects::{ObjectState, objects_of, states};
pub use look::{Conflict, Looked, Presence, look};
pub use plan::{LargeUnit, ObjectPlan, Plan, TablePlan, plan};
pub use prediction::{Prediction, compare};
pub use recast::recast;
pub use relinks::{LeftRelink, RelinkOutcome, Relinking, relinks_in_live};
pub use retype::Retyped;
pub use run::{Execution, Interrupt, execute};
pub use sequences::SequenceMove;
pub use split::Unfilled;
pub use tally::{States, Tally};
pub use target::{TargetTable, TargetUnique, Targets};
pub use triggers::{Treated, Triggers};

use std::time::Duration;

use excluded::{Dropped, Rules};

use crate::bundle::BundleError;
use crate::catalog::{IdentityRule, Relation, Rename};
use crate::evidence::{EvidenceError, Exclusion};
use crate::ident::{RunId, TableName};
use crate::journal::JournalError;
use crate::pg::PgError;

/// Settings that decide what a restore does.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Settings {
    /// How long a batch is meant to take.
    pub target_batch: Duration,
    /// How long a unit that cannot fit in a batch may take alone.
    pub max_unit_time: Duration,
    /// Units with more rows come back in parts.
    pub max_unit_rows: u64,
    /// Stop after this many units.
    pub max_units: Option<u64>,
    /// Rows that must not come back.
    pub exclusions: Vec<Exclusion>,
    /// What the configuration says of how rows are told apart.
    pub identities: Vec<IdentityRule>,
    /// What the configuration says was renamed since the backup: the bundle has live's names by now.
    pub renames: Vec<Rename>,
    /// Values for columns that the backup did not have.
    pub fills: Vec<Fill>,
    /// What was said about triggers of the tables written to.
    pub triggers: Option<Triggers>,
    /// Triggers that may fire although triggers are suppressed: `schema.table.trigger`, as shown.
    pub accepted_triggers: Vec<String>,
    /// What is done about a row whose key or value is taken.
    pub on_conflict: OnConflict,
    /// Only the units that this run left out.
    pub only_quarantined: Option<RunId>,
    /// Which references that the deletion set to NULL are filled.
    pub relinks: Relinking,
    /// References that no foreign key states: what hangs from an excluded row hangs by them too.
    #[serde(skip)]
    pub declared: Vec<Relation>,
}

impl Settings {
    /// What must not come back.
    fn rules(&self) -> Rules<'_> {
        Rules {
            exclusions: &self.exclusions,
            declared: &self.declared,
        }
    }

    /// What was said about triggers.
    fn said(&self) -> Said<'_> {
        Said {
            how: self.triggers,
            accepted: &self.accepted_triggers,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target_batch: Duration::from_millis(50),
            max_unit_time: Duration::from_secs(2),
            max_unit_rows: 10_000,
            max_units: None,
            exclusions: Vec::new(),
            identities: Vec::new(),
            renames: Vec::new(),
            fills: Vec::new(),
            triggers: None,
            accepted_triggers: Vec::new(),
            on_conflict: OnConflict::Quarantine,
            only_quarantined: None,
            relinks: Relinking::default(),
            declared: Vec::new(),
        }
    }
}

/// What can go wrong while restoring.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The server refused or went away before anything was written.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An exclusion cannot be asked.
    #[error(transparent)]
    Exclude(#[from] EvidenceError),
    /// Exclusions that were in force are not now.
    #[error("{}", .0.iter().map(Dropped::describe).collect::<Vec<_>>().join("; "))]
    Dropped(Vec<Dropped>),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Live is no place to write to.
    #[error(
        "{target} is a standby: it replays another server's changes and takes none; give the primary as --live"
    )]
    Standby {
        /// Host, database and role.
        target: String,
    },
    /// Somebody has told live's sessions not to write.
    #[error(
        "{target} is set to read only (default_transaction_read_only = on): somebody wants nothing written there. When \
         that is settled, take the setting back, or exempt this role: ALTER ROLE {role} \
         IN DATABASE {database} SET default_transaction_read_only = off"
    )]
    ReadOnly {
        /// Host, database and role.
        target: String,
        /// The role, quoted.
        role: String,
        /// The database, quoted.
        database: String,
    },
    /// The server would not check what is written.
    #[error(
        "sessions of {role} on {target} begin with session_replication_role = replica: the server checks no foreign key of \
         what they write; use another role, or ALTER ROLE {role} RESET session_replication_role"
    )]
    AsReplica {
        /// Host, database and role.
        target: String,
        /// The role, quoted.
        role: String,
    },
    /// A table cannot take the rows.
    #[error("{table} cannot take the bundle's rows: {reason}")]
    Table {
        /// The table.
        table: TableName,
        /// Why not, and what to do.
        reason: String,
    },
    /// Tables that cannot take the rows as they are; a plan shows them beside all else.
    #[error("{}", .0.iter().map(|(table, reason)| format!("{table} cannot take the bundle's rows: {reason}")).collect::<Vec<_>>().join("; "))]
    Obstacles(Vec<(TableName, String)>),
    /// An entry that says how rows are told apart cannot be followed.
    #[error("[[identity]] of {table}: {reason}")]
    Identity {
        /// The table.
        table: TableName,
        /// Why, and the way out.
        reason: String,
    },
    /// An entry that gives a value for a column cannot be followed.
    #[error("[[fill]] of {table}, {column}: {reason}")]
    Fill {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Why, and the way out.
        reason: String,
    },
    /// A trigger was accepted that is not there.
    #[error(
        "--accept-trigger {name}: no table that is written to has such an enabled trigger; the plan names them as they are \
         to be written (schema.table.trigger)"
    )]
    NoTrigger {
        /// As it was given.
        name: String,
    },
    /// Triggers cannot be suppressed.
    #[error(
        "role {role} may not suppress triggers (set session_replication_role): {way_out}. Some managed servers give this right \
         to nobody; there, --triggers fire, or disable the triggers for the restore (ALTER TABLE … DISABLE TRIGGER), for the \
         application too"
    )]
    NoRightToSuppress {
        /// The role.
        role: String,
        /// What gives it the right.
        way_out: String,
    },
    /// There is nothing to try again.
    #[error(
        "--only-quarantined {run}: {reason}; quarantine.jsonl of the case, and the journal, name the run"
    )]
    NothingLeftOut {
        /// The run asked for.
        run: String,
        /// Why not.
        reason: String,
    },
    /// Another run has not ended.
    #[error(
        "run {run} of this bundle was stopped: restore --execute without --only-quarantined goes on with it, and gives what it \
         left out another chance"
    )]
    Unfinished {
        /// The run.
        run: String,
    },
    /// The plan that was agreed upon is not what would happen now.
    #[error(
        "plan {asked} is out of date: a fresh plan is {fresh}, for live or the settings changed; look at it, then give its id"
    )]
    PlanChanged {
        /// The id given.
        asked: String,
        /// The id of a fresh plan.
        fresh: String,
    },
    /// Stopped at a safe point.
    #[error(
        "interrupted between two batches; what was committed stays, and running the same command again goes on (run {run})"
    )]
    Interrupted {
        /// The run.
        run: String,
    },
    /// Stopped in the middle of the work.
    #[error(
        "run {run} stopped: {cause}. What was committed stays whole; run the same command again to go on"
    )]
    Partly {
        /// The run.
        run: String,
        /// Why.
        cause: String,
    },
    /// A file of the case could not be written.
    #[error("cannot write {file}: {cause}")]
    Case {
        /// The file.
        file: String,
        /// Why.
        cause: String,
    },
}
