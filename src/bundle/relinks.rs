//! Reads `relinks.jsonl.zst` forward, one record at a time, each checked against the manifest.

use super::format::RelinkRecord;
use super::frames::LineReader;
use super::names::{LISTINGS, RELINKS};
use super::{Bundle, BundleError};
use crate::catalog::Renames;
use crate::ident::TableName;

/// The references of a bundle that the deletion set to NULL or to their default, in the order in which `extract` listed them:
/// those of one relation are neighbours. After an error it has no more.
pub struct Relinks {
    lines: LineReader,
    tables: usize,
    /// The names that the records have for the tables of the manifest.
    parents: Vec<TableName>,
    renames: Renames,
    units: u64,
    read: u64,
    ended: bool,
    buffer: Vec<u8>,
}

impl Bundle {
    /// Walks its relinks.
    pub fn relinks(&self) -> Result<Relinks, BundleError> {
        Ok(Relinks {
            lines: LineReader::open(&self.dir, LISTINGS[RELINKS], 0)?,
            tables: self.manifest.tables.len(),
            parents: self.names_before().collect(),
            renames: self.renames.clone(),
            units: self.manifest.totals.units,
            read: 0,
            ended: false,
            buffer: Vec::new(),
        })
    }
}

impl Relinks {
    fn record(&mut self) -> Result<Option<RelinkRecord>, BundleError> {
        self.buffer.clear();
        if !self.lines.line(&mut self.buffer)? {
            return Ok(None);
        }
        self.read += 1;
        let file = LISTINGS[RELINKS];
        let record: RelinkRecord =
            serde_json::from_slice(&self.buffer).map_err(|e| BundleError::Malformed {
                file: file.to_owned(),
                cause: format!("line {}: {e}", self.read),
            })?;
        let fits = record.columns.len() == record.values.len()
            && record.parent_columns.len() <= record.columns.len()
            && !record.key.0.is_empty();
        let fault = if record.parent.table >= self.tables {
            "it names a table that the manifest has not"
        } else if record.unit == 0 || record.unit > self.units {
            "it names a unit that the bundle has not"
        } else if !fits {
            "columns and values do not belong together"
        } else {
            return Ok(Some(self.renamed(record)));
        };
        Err(BundleError::inconsistent(
            file,
            format!("line {}: {fault}", self.read),
        ))
    }
}

impl Relinks {
    /// The record in live's names.
    fn renamed(&self, mut record: RelinkRecord) -> RelinkRecord {
        if self.renames.is_empty() {
            return record;
        }
        for columns in [
            &mut record.key_columns,
            &mut record.columns,
            &mut record.compared,
        ] {
            self.renames.rename_all(&record.table, columns);
        }
        let parent = &self.parents[record.parent.table];
        self.renames.rename_all(parent, &mut record.parent_columns);
        record.table = self.renames.table(&record.table).clone();
        record
    }
}

impl Iterator for Relinks {
    type Item = Result<RelinkRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}
