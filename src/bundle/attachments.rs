//! Reads `attachments.jsonl.zst` forward, one record at a time, each checked against the manifest.

use super::format::AttachmentRecord;
use super::frames::LineReader;
use super::names::{ATTACHMENTS, LISTINGS};
use super::{Bundle, BundleError};
use crate::catalog::Renames;

/// The files that the rows of a bundle point at, in the order in which `extract` listed them. After an error it has no more.
pub struct Attachments {
    lines: LineReader,
    renames: Renames,
    units: u64,
    read: u64,
    ended: bool,
    buffer: Vec<u8>,
}

impl Bundle {
    /// Walks its attachments.
    pub fn attachments(&self) -> Result<Attachments, BundleError> {
        Ok(Attachments {
            lines: LineReader::open(&self.dir, LISTINGS[ATTACHMENTS], 0)?,
            renames: self.renames.clone(),
            units: self.manifest.totals.units,
            read: 0,
            ended: false,
            buffer: Vec::new(),
        })
    }
}

impl Attachments {
    fn record(&mut self) -> Result<Option<AttachmentRecord>, BundleError> {
        self.buffer.clear();
        if !self.lines.line(&mut self.buffer)? {
            return Ok(None);
        }
        self.read += 1;
        let file = LISTINGS[ATTACHMENTS];
        let mut record: AttachmentRecord =
            serde_json::from_slice(&self.buffer).map_err(|e| BundleError::Malformed {
                file: file.to_owned(),
                cause: format!("line {}: {e}", self.read),
            })?;
        if record.unit == 0 || record.unit > self.units {
            return Err(BundleError::inconsistent(
                file,
                format!(
                    "line {}: it names a unit that the bundle has not",
                    self.read
                ),
            ));
        }
        record.owner.table = self.renames.table(&record.owner.table).clone();
        Ok(Some(record))
    }
}

impl Iterator for Attachments {
    type Item = Result<AttachmentRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}
