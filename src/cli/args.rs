//! The command line.

mod files;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::pg::Size;

pub(crate) use files::{
    Asking, Blobs, BlobsCheck, BlobsCopy, BlobsLook, Flag, LevelArg, StrategyArg, Unflag,
};

/// Gives deleted data back to a PostgreSQL application that is still running.
///
/// An incident unfolds in the order of the commands below. Nothing changes data without --execute; hold and unhold act at
/// once.
#[derive(Debug, Parser)]
#[command(
    name = "reinstate",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command, before or after it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Work in this case directory
    #[arg(short = 'C', global = true, value_name = "DIR", default_value = ".")]
    pub(crate) case: PathBuf,
    /// Configuration file [default: reinstate.toml, in the case directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The production database: a libpq connection string or URI
    #[arg(
        long,
        global = true,
        value_name = "CONNINFO",
        env = "REINSTATE_LIVE",
        hide_env_values = true
    )]
    pub(crate) live: Option<String>,
    /// The restored backup: a libpq connection string or URI
    #[arg(
        long,
        global = true,
        value_name = "CONNINFO",
        env = "REINSTATE_SNAPSHOT",
        hide_env_values = true
    )]
    pub(crate) snapshot: Option<String>,
    /// What is printed on stdout
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// The commands, in the order in which an incident unfolds.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What can be recovered, with which rights, and what to do first
    Doctor,
    /// Keep live's WAL from being recycled, at once, and say how long the disk bears it
    Hold(Hold),
    /// Give up what hold keeps
    Unhold,
    /// Write a commented reinstate.toml from what doctor finds
    Init,
    /// Compare the snapshot with live: deleted, inserted and changed rows per table
    Diff(Diff),
    /// When the missing rows were deleted: a histogram, the biggest transactions, and a window where a burst stands out
    Timeline(Timeline),
    /// Pack the deleted rows, with all that belongs to them, into a bundle
    Extract(Extract),
    /// List whom the rows of a bundle concern, before anything is restored
    Contacts(Contacts),
    /// The files that rows point at, in object stores
    #[command(subcommand)]
    Blobs(Blobs),
    /// Print how a bundle would be put back; with --execute, do it
    Restore(Restore),
    /// Print which records with lost files would be marked in live; with --execute, mark them
    Flag(Flag),
    /// Print how many of these marks would be taken off; with --execute, take them off
    Unflag(Unflag),
    /// Compare every row of a bundle with live and write the certificate
    Verify(Verify),
    /// Print what taking a restore back would remove; with --execute, do it
    Undo(Undo),
}

/// Which tables are compared.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tables {
    /// Only tables of schemas matching this pattern
    #[arg(long, value_name = "PATTERN")]
    pub(crate) schema: Vec<String>,
    /// Only tables matching this pattern
    #[arg(long, value_name = "PATTERN")]
    pub(crate) table: Vec<String>,
    /// No tables matching this pattern
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_table: Vec<String>,
}

/// `hold`.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// Most WAL to keep (such as 20GB) [default: half of the free space]
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(Size))]
    pub(crate) max_wal: Option<Size>,
    /// Free space to leave in any case [default: a tenth of what is free]
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(Size))]
    pub(crate) margin: Option<Size>,
    /// Free space of the disk with live's WAL, where it cannot be measured from here
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(Size))]
    pub(crate) free_space: Option<Size>,
    /// Stay in the foreground, and give it up when a limit is reached
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "watch", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) every: u64,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) tables: Tables,
    /// Compare which keys exist, or the content of the rows too
    #[arg(long, default_value = "rows")]
    pub(crate) depth: DepthArg,
    /// Connections per side
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) jobs: u16,
}

/// How deep `diff` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthArg {
    /// Which keys exist.
    Keys,
    /// The content of the rows too.
    Rows,
}

/// `extract`.
#[derive(Debug, Args)]
pub(crate) struct Extract {
    #[command(flatten)]
    pub(crate) tables: Tables,
    /// Take the deleted rows of this table, with all that belongs to them
    #[arg(long, value_name = "TABLE")]
    pub(crate) root: Vec<String>,
    /// Of the root table's deleted rows, only those for which this SQL condition holds in the snapshot
    #[arg(long, value_name = "SQL", requires = "root")]
    pub(crate) r#where: Option<String>,
    /// Of the root table's deleted rows, only those whose key is in this CSV file (one key a line, no header)
    #[arg(long, value_name = "FILE", requires = "root")]
    pub(crate) keys: Option<PathBuf>,
    /// Start of the incident's window (RFC 3339, such as 2020-01-21T16:40:00+01:00)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// End of the incident's window, exclusive (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// What to do with rows of which nobody knows whether they were deleted in the window
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub(crate) undetermined: UndeterminedArg,
    /// Take what this transaction deleted (repeatable)
    #[arg(long, value_name = "XID")]
    pub(crate) xid: Vec<u64>,
    /// Take what the transactions in this file deleted (one a line)
    #[arg(long, value_name = "FILE")]
    pub(crate) only_transactions: Option<PathBuf>,
    /// Write the bundle here [default: bundle, in the case directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Connections per side
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) jobs: u16,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
}

/// What tells when rows were deleted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Evidence of when rows were deleted")]
pub(crate) struct Evidence {
    /// When the backup was taken (RFC 3339), where the snapshot cannot say so itself
    #[arg(long, value_name = "TIME")]
    pub(crate) snapshot_time: Option<String>,
    /// A second restored backup, from after the incident (repeatable, each with --after-time)
    #[arg(
        long,
        value_name = "CONNINFO",
        env = "REINSTATE_AFTER",
        hide_env_values = true
    )]
    pub(crate) after: Vec<String>,
    /// The moment whose state the --after of the same place holds (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) after_time: Vec<String>,
    /// Which sources to use [default: all that can be]
    #[arg(long, value_name = "SOURCES", value_delimiter = ',')]
    pub(crate) evidence: Vec<SourceArg>,
}

/// A source of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceArg {
    /// Restored backups from after the incident
    Bracket,
    /// Logs of the application, [[audit]]
    Audit,
    /// Write-ahead log (not in this version)
    Wal,
    /// Deleted rows that live has not cleaned away yet
    DeadTuples,
}

/// What to do with rows of which nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UndeterminedArg {
    /// They come back
    Include,
    /// They stay deleted
    Exclude,
    /// Nothing is extracted; they are listed
    Refuse,
}

/// `timeline`.
#[derive(Debug, Args)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub(crate) tables: Tables,
    /// Width of a line of the histogram (such as 10s, 1m, 1h)
    #[arg(long, value_name = "TIME", default_value = "1m")]
    pub(crate) bucket: String,
    /// Connections per side
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) jobs: u16,
    #[command(flatten)]
    pub(crate) evidence: Evidence,
}

/// `contacts`.
#[derive(Debug, Args)]
pub(crate) struct Contacts {
    /// The bundle [default: bundle, in the case directory]
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Also list who lost which file, from what `blobs check` found: lost.csv
    #[arg(long)]
    pub(crate) lost: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The bundle [default: bundle, in the case directory]
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Carry the plan out
    #[arg(long)]
    pub(crate) execute: bool,
    /// Refuse unless a fresh plan has this id
    #[arg(long, value_name = "ID", requires = "execute")]
    pub(crate) plan: Option<String>,
    /// Go ahead without a rehearsal; the reason is recorded
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) unrehearsed: Option<String>,
    /// What to do about a row whose key, or another value that must be unique, live has given to another row [default: quarantine]
    #[arg(long, value_name = "HOW")]
    pub(crate) on_conflict: Option<ConflictArg>,
    #[command(flatten)]
    pub(crate) triggers: Triggers,
    /// Which references that the deletion set to NULL to fill
    #[arg(long, value_name = "WHICH")]
    pub(crate) relinks: Option<RelinksArg>,
    /// Only the units that this run left out
    #[arg(long, value_name = "RUN")]
    pub(crate) only_quarantined: Option<String>,
    /// Stop after this many units; running again goes on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_units: Option<u64>,
    /// Longest time that one unit alone may take (such as 5s)
    #[arg(long, value_name = "TIME")]
    pub(crate) max_unit_time: Option<String>,
    /// Units with more rows come back in parts, one transaction each [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_unit_rows: Option<u64>,
}

/// What to do about a row whose key or value is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictArg {
    /// Leave out its unit and list it
    Quarantine,
    /// Use the live row in its place, and point what refers to the row to it
    Remap,
    /// Leave out the row and what hangs from it
    Skip,
}

/// What was said about triggers.
#[derive(Debug, Args)]
pub(crate) struct Triggers {
    /// What to do about triggers of the tables written to; refused where there are some and nothing is said
    #[arg(long, value_name = "HOW")]
    pub(crate) triggers: Option<TriggersArg>,
    /// A trigger that may fire although triggers are suppressed (schema.table.trigger; repeatable)
    #[arg(long, value_name = "TRIGGER", requires = "triggers")]
    pub(crate) accept_trigger: Vec<String>,
}

/// What to do about triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TriggersArg {
    /// Let them fire; what they do is not taken back by an undo
    Fire,
    /// Keep them from firing, and verify by query what the server then does not check
    Suppress,
}

/// Which references are filled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RelinksArg {
    /// Those that the deletion is proved to have emptied [default]
    Proven,
    /// Those, and those of rows that are otherwise as in the backup
    All,
    /// None of them
    None,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The bundle [default: bundle, in the case directory]
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Fail for rows that were edited or deleted since they came back, too
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `undo`.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The restore to take back, by its run's id
    #[arg(value_name = "RUN", conflicts_with = "last")]
    pub(crate) run: Option<String>,
    /// Take back the last restore that wrote something and is not yet taken back
    #[arg(long)]
    pub(crate) last: bool,
    /// Carry the plan out
    #[arg(long)]
    pub(crate) execute: bool,
    /// The bundle that was restored [default: bundle, in the case directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) triggers: Triggers,
    /// Longest time that one unit alone may take (such as 5s)
    #[arg(long, value_name = "TIME")]
    pub(crate) max_unit_time: Option<String>,
}
