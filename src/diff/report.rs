//! What a comparison says: the JSON document, and a line of `diff.jsonl` per row that differs. Wire formats, version 1.

use serde::Serialize;

use crate::ident::{Key, TableName};

use super::{Change, Counts, Unknowable};

/// `diff --format json`.
#[derive(Debug, Clone, Serialize)]
pub struct DiffReport {
    /// Always 1.
    pub schema_version: u32,
    /// One entry a table, by name.
    pub tables: Vec<TableReport>,
    /// Sums over the tables.
    pub totals: Totals,
    /// What the comparison cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknowable: Option<Unknowable>,
}

/// One table of the report.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// Name.
    pub table: TableName,
    /// Columns by which rows were told apart.
    pub key: Vec<String>,
    /// `compared`, `no_key`, `only_in_snapshot`, `only_in_live`, `skipped`.
    pub status: Status,
    /// Why, where the status is not `compared`, or what differs between the two schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub totals: Totals,
}

/// Row counts; `None` where nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows in the snapshot.
    pub snapshot_rows: Option<u64>,
    /// Rows in live.
    pub live_rows: Option<u64>,
    /// Only in the snapshot.
    pub deleted: Option<u64>,
    /// Only in live.
    pub inserted: Option<u64>,
    /// In both, with other content; `None` at depth `keys`.
    pub changed: Option<u64>,
}

/// What was done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Compared by key.
    Compared,
    /// Compared as a bag of rows: content and multiplicity.
    NoKey,
    /// Live lacks it.
    OnlyInSnapshot,
    /// The snapshot lacks it.
    OnlyInLive,
    /// Not compared.
    Skipped,
}

impl Totals {
    /// Counts of a comparison; `changed` only where content was looked at.
    pub fn counted(counts: Counts, content: bool) -> Self {
        Self {
            snapshot_rows: Some(counts.snapshot_rows),
            live_rows: Some(counts.live_rows),
            deleted: Some(counts.deleted),
            inserted: Some(counts.inserted),
            changed: content.then_some(counts.changed),
        }
    }
}

impl DiffReport {
    /// Sums up. `changed` stays null at depth `keys`.
    pub fn new(tables: Vec<TableReport>, content: bool) -> Self {
        let sum =
            |f: fn(&Totals) -> Option<u64>| Some(tables.iter().filter_map(|t| f(&t.totals)).sum());
        let totals = Totals {
            snapshot_rows: sum(|t| t.snapshot_rows),
            live_rows: sum(|t| t.live_rows),
            deleted: sum(|t| t.deleted),
            inserted: sum(|t| t.inserted),
            changed: if content { sum(|t| t.changed) } else { None },
        };
        Self {
            schema_version: 1,
            tables,
            totals,
            unknowable: None,
        }
    }

    /// Whether anything differs: rows, or tables that only one side has.
    pub fn has_differences(&self) -> bool {
        let some = |n: Option<u64>| n.is_some_and(|n| n > 0);
        some(self.totals.deleted)
            || some(self.totals.inserted)
            || some(self.totals.changed)
            || self
                .tables
                .iter()
                .any(|t| matches!(t.status, Status::OnlyInSnapshot | Status::OnlyInLive))
    }
}

/// One line of `diff.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct DiffLine<'a> {
    /// Table.
    pub table: &'a TableName,
    /// `deleted`, `inserted`, `changed`.
    pub change: &'static str,
    /// Key values as text, in key order; absent in a table without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a Key>,
    /// In a table without a key: where the row lies (`ctid`) on the side that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<&'a Key>,
}

impl Change {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Inserted => "inserted",
            Self::Changed => "changed",
        }
    }
}
