//! `manifest.json`: what the bundle is, where it comes from, and the digest of every file in it.

use serde::{Deserialize, Serialize};

use super::{FormatVersion, ManifestRelation, ManifestTable};
use crate::bundle::BundleError;
use crate::bundle::check;
use crate::bundle::names::MANIFEST;
use crate::diff::Unknowable;
use crate::ident::{Key, TableName};

/// The manifest. Its SHA-256 is the bundle's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version; must stay the first thing a reader looks at.
    pub format: FormatVersion,
    /// The build that wrote the bundle.
    pub tool: ToolBuild,
    /// When, RFC 3339.
    pub created: String,
    /// Where the rows come from.
    pub source: Source,
    /// The incident's window.
    pub window: Window,
    /// Digest of the settings that chose the rows, connections left out.
    pub settings_digest: String,
    /// Fingerprint of the schema of the tables in the bundle.
    pub schema_fingerprint: String,
    /// How the roots were narrowed, if they were.
    pub roots: Option<RootFilter>,
    /// The tables, in insertion order; everything else names a table by its place in this list, from 0.
    pub tables: Vec<ManifestTable>,
    /// Groups of tables, in the order in which they go in. A group of more than one, or of one that is `cyclic`, goes in
    /// by a single statement.
    pub insertion_order: Vec<Vec<usize>>,
    /// The relations among the tables, and from them to tables outside; units name them by their place, from 0.
    pub relations: Vec<ManifestRelation>,
    /// What `extract` counted.
    pub totals: Totals,
    /// What was deleted and is not in the bundle, with the reason.
    pub left_out: Vec<LeftOut>,
    /// What tells when the bundle's rows were deleted: how many rows each source, or combination of sources, dates.
    #[serde(default)]
    pub evidence: Vec<SourceSum>,
    /// What `extract` could not tell; none in a bundle of format 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknowable: Option<Unknowable>,
    /// Relations over which rows of the bundle need a parent that looked like another row in live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubtful_parents: Vec<DoubtfulParent>,
    /// The exclusions in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<ManifestExclusion>,
    /// Tables and columns that live calls otherwise than the snapshot did: all names here are live's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renames: Vec<ManifestRename>,
    /// What was asked which files the rows point at: adapters by name, or `sql`. Empty: nobody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachment_sources: Vec<String>,
    /// Every file but the manifest and its digest.
    pub files: Vec<ManifestFile>,
}

/// What the writer of a bundle has to be told; it adds the rest of the [`Manifest`] itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDraft {
    /// See [`Manifest::tool`].
    pub tool: ToolBuild,
    /// See [`Manifest::created`].
    pub created: String,
    /// See [`Manifest::source`].
    pub source: Source,
    /// See [`Manifest::window`].
    pub window: Window,
    /// See [`Manifest::settings_digest`].
    pub settings_digest: String,
    /// See [`Manifest::schema_fingerprint`].
    pub schema_fingerprint: String,
    /// See [`Manifest::roots`].
    pub roots: Option<RootFilter>,
    /// See [`Manifest::insertion_order`].
    pub insertion_order: Vec<Vec<usize>>,
    /// See [`Manifest::relations`].
    pub relations: Vec<ManifestRelation>,
    /// See [`Manifest::totals`]; `rows` and `units` must be what was written.
    pub totals: Totals,
    /// See [`Manifest::left_out`].
    pub left_out: Vec<LeftOut>,
    /// See [`Manifest::evidence`].
    pub evidence: Vec<SourceSum>,
    /// See [`Manifest::unknowable`].
    pub unknowable: Option<Unknowable>,
    /// See [`Manifest::doubtful_parents`].
    pub doubtful_parents: Vec<DoubtfulParent>,
    /// See [`Manifest::exclusions`].
    pub exclusions: Vec<ManifestExclusion>,
    /// See [`Manifest::renames`].
    pub renames: Vec<ManifestRename>,
    /// See [`Manifest::attachment_sources`].
    pub attachment_sources: Vec<String>,
    /// Columns of live that the bundle lacks and that must have a value: not in the manifest, as live may have others when rows come
    /// back, but told to whoever puts them back by hand.
    pub wanting: Vec<WantingColumn>,
    /// Columns of the bundle that live lacks or computes, for the same reader.
    pub dropped: Vec<DroppedColumn>,
}

/// A column of the backup that live no longer has, or that it computes by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedColumn {
    /// Its table.
    pub table: TableName,
    /// Its name, unquoted.
    pub column: String,
}

/// A column of live, NOT NULL and without a default, that the backup did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantingColumn {
    /// Its table.
    pub table: TableName,
    /// Its name, unquoted.
    pub column: String,
    /// Its type.
    pub type_name: String,
}

/// A build of this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolBuild {
    /// Version.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// SHA-256 of the executable, hex, where it could be read.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// The snapshot that the rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `system_identifier` of its control file, where one may ask.
    #[serde(default)]
    pub system_identifier: Option<String>,
    /// Position in the WAL, where it has one.
    #[serde(default)]
    pub lsn: Option<String>,
    /// `server_version_num`.
    pub server_version: u32,
    /// Database.
    pub database: String,
    /// When the backup was taken, RFC 3339, where known.
    #[serde(default)]
    pub snapshot_time: Option<String>,
}

/// The incident's window `[from, to)`, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Start; none where no window was asked for and the snapshot's time is unknown.
    #[serde(default)]
    pub from: Option<String>,
    /// End, exclusive.
    pub to: String,
    /// The transactions asked for, where some were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<u32>,
    /// Somebody asked for it; otherwise it is all the time since the backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

/// Rows dated by one source, or combination of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSum {
    /// `bracket`, `audit`, `wal`, `dead-tuples`, several joined by `+`, or `none`.
    pub source: String,
    /// Rows.
    pub rows: u64,
    /// Rows whose deleting transaction is known.
    pub with_transaction: u64,
    /// Rows of which the sources contradict each other.
    pub contradicted: u64,
}

/// How the roots were narrowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFilter {
    /// Roots come from this table only.
    pub table: TableName,
    /// The condition on it.
    #[serde(default)]
    pub where_sql: Option<String>,
    /// Whether a file of keys chose them.
    #[serde(default)]
    pub keys_file: bool,
}

/// What `extract` counted: rows, but for `units`, `relinks` and `attachments`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows in the bundle.
    pub rows: u64,
    /// Units in the bundle.
    pub units: u64,
    /// References that the deletion set to NULL.
    pub relinks: u64,
    /// Deleted outside the window.
    pub outside_window: u64,
    /// Deleted nobody knows whether inside.
    pub undetermined: u64,
    /// Must not come back.
    pub excluded: u64,
    /// Files that the rows point at.
    pub attachments: u64,
    /// References that the deletion set to their default.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub set_default: u64,
    /// Large objects that the rows point at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub large_objects: u64,
}

// What serde calls has this form.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Rows of one table that were deleted and are not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Table.
    pub table: TableName,
    /// Why, for people.
    pub reason: String,
    /// How many rows.
    pub rows: u64,
}

/// An exclusion that was in force when the bundle was made: `restore` and `verify` want it to be so still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestExclusion {
    /// The table whose rows it names.
    pub table: TableName,
    /// Why they must not come back.
    pub reason: String,
}

/// A table, or a column of one, that was renamed between the backup and the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRename {
    /// The table, as the snapshot called it.
    pub table: TableName,
    /// The column, as the snapshot called it; none where the table was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Its name since: of a table as tables are written here, of a column as it is.
    pub to: String,
}

/// Rows of one table that reference, in live, rows that may not be those that they referenced in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtfulParent {
    /// The table whose rows reference.
    pub child: TableName,
    /// The table referenced.
    pub parent: TableName,
    /// What differs: its time of creation, or other unique keys.
    pub columns: Vec<String>,
    /// How many parents.
    pub parents: u64,
    /// How many rows reference them.
    pub rows: u64,
    /// Those parents by the columns referenced, the first few.
    pub keys: Vec<Key>,
}

impl DoubtfulParent {
    /// For people.
    pub fn describe(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let more = match self.parents.saturating_sub(self.keys.len() as u64) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        format!(
            "{} of {} reference {} {}{more}, whose {} in live was another than in the backup when the bundle was made: strangers under \
             the same keys",
            match self.rows {
                1 => "1 row".to_owned(),
                n => format!("{n} rows"),
            },
            self.child,
            self.parent,
            keys.join(", "),
            self.columns.join(", "),
        )
    }
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path relative to the bundle, with `/`.
    pub path: String,
    /// SHA-256 of the file as it lies there, compressed, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Only as much as tells whether the rest can be understood.
#[derive(Deserialize)]
struct Probe {
    format: FormatVersion,
}

impl Manifest {
    /// Reads a manifest, whose version is looked at before anything else, and checks that it does not contradict itself.
    ///
    /// Errors: `Malformed`, `Version`, `Path`, `Inconsistent`.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let malformed = |e: serde_json::Error| BundleError::Malformed {
            file: MANIFEST.to_owned(),
            cause: e.to_string(),
        };
        let probe: Probe = serde_json::from_slice(json).map_err(malformed)?;
        if !probe.format.readable() {
            return Err(BundleError::Version {
                found: probe.format,
            });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(malformed)?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }
}
