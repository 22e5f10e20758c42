//! `units.jsonl.zst`: one line a unit, in the order in which their rows stand in the files.

use serde::{Deserialize, Serialize};

use crate::ident::{Key, TableName, UnitId};

/// A unit: one deleted root row with its dependents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its number: 1 for the first, then one more each.
    pub unit: UnitId,
    /// Its root row.
    pub root: RowName,
    /// Rows in each file that has some: place of the table in the manifest, number of rows.
    pub rows: Vec<(usize, u64)>,
    /// When its root was deleted, and who says so.
    pub evidence: Evidence,
    /// The same of its rows, where it is not the same for all of them: runs of rows in file order, table by table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub row_evidence: Vec<RowEvidence>,
    /// Units that must be there first; always earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<UnitId>,
    /// Rows referenced that are not in this unit and must be in live before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// Why it is here, where it is no root that was asked for (`needed by …`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A row by table and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowName {
    /// Place of the table in the manifest, from 0.
    pub table: usize,
    /// Key.
    pub key: Key,
}

/// When a row was deleted: the interval `[from, to)`, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Not before this; none where nobody knows.
    pub from: Option<String>,
    /// Before this.
    pub to: String,
    /// What tells it: `bracket`, `audit`, `wal`, `dead-tuples`, several joined by `+`, or `none`.
    pub source: String,
    /// The transaction that deleted it (the lower 32 bits of its number), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u32>,
    /// The sources contradict each other: the interval is what any of them allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contradicted: bool,
}

/// When some rows of a unit were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowEvidence {
    /// Place of the table in the manifest, from 0.
    pub table: usize,
    /// How many rows.
    pub rows: u64,
    /// What is known of each of them.
    pub evidence: Evidence,
}

/// A reference to a row of another unit, or of none: it must be in live before the unit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Place of the relation in the manifest, from 0.
    pub relation: usize,
    /// Values of the relation's parent columns, in their order.
    pub key: Key,
    /// The unit of this bundle that holds the row; none where it was never deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// What tells the row from another one, of one that was never deleted: what it held in the backup, as text, in the columns
    /// of the relation's [`super::RowIdentity`]. Empty where nothing tells, and before 1.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<Option<String>>,
}

/// A line of `relinks.jsonl.zst`: a row outside the bundle whose reference to one of its rows is NULL, or its default, in live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelinkRecord {
    /// The unit of the row that it referenced.
    pub unit: UnitId,
    /// That row.
    pub parent: RowName,
    /// The table of the row whose reference is NULL; it need not be in the manifest.
    pub table: TableName,
    /// Its key.
    pub key: Key,
    /// The columns of its key; empty before 1.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_columns: Vec<String>,
    /// The columns of the reference; after them, where it is polymorphic, those that say which table it means.
    pub columns: Vec<String>,
    /// What they held in the snapshot, as text, in that order.
    pub values: Vec<String>,
    /// The columns of the parent that the first of them name, in that order; empty before 1.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
    /// The deletion set it to its default, not to NULL: it is listed, and left to people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_default: bool,
    /// When the row that it referenced was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The transaction that had last written the row in live when the bundle was made (the lower 32 bits of its number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xmin: Option<u32>,
    /// When that was committed, RFC 3339, where live keeps commit timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<String>,
    /// All columns that both databases had, but for those of references to rows that were deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<String>,
    /// SHA-256 of what those held in the snapshot, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A unit as it stands in the file: with the frames that begin in it, so that a reader can start at any unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bundle) struct UnitLine {
    /// The unit.
    #[serde(flatten)]
    pub(in crate::bundle) record: UnitRecord,
    /// Files in which this unit's first row begins a new zstd frame: place of the table, offset in the compressed file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::bundle) at: Vec<(usize, u64)>,
}
