//! What became of files, put into `blobs.jsonl`, which is sorted by store and path as blobs are.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Error, Result, Write};
use std::path::Path;

use super::Copied;
use crate::blobs::row::BlobRow;
use crate::blobs::sort::Sorter;
use crate::blobs::{CheckError, Tally};

/// Rows that are not any more as `blobs.jsonl` has them; memory is bounded.
pub struct Outcomes {
    sorter: Sorter,
}

impl Outcomes {
    /// None yet. What memory does not hold is spilled to `scratch`.
    pub fn new(scratch: &Path) -> Self {
        Self {
            sorter: Sorter::new(scratch.to_owned()),
        }
    }

    /// Adds one.
    pub fn add(&mut self, copied: &Copied) -> Result<()> {
        let row = &copied.row;
        let mut entry = format!("{}\0{}\0", row.store, row.path()).into_bytes();
        serde_json::to_writer(&mut entry, row)?;
        self.sorter.push(entry)
    }

    /// Writes `blobs.jsonl` anew, with these rows in place of what it says of the same files. What it says now, in sum.
    pub fn merge_into(self, path: &Path) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut changed = self
            .sorter
            .finish()?
            .map(|entry| opened(&entry?))
            .peekable();
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut whole = BufWriter::new(tempfile::NamedTempFile::new_in(directory)?);
        for row in rows(path)? {
            let mut row = row.map_err(|e| Error::other(e.to_string()))?;
            let same = |other: &Result<BlobRow>| {
                other
                    .as_ref()
                    .is_ok_and(|o| (&o.store, o.path()) == (&row.store, row.path()))
            };
            if let Some(now) = changed.next_if(same) {
                row = now?;
            }
            tally.add(&row);
            serde_json::to_writer(&mut whole, &row)?;
            whole.write_all(b"\n")?;
        }
        let whole = whole
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        whole.as_file().sync_all()?;
        whole.persist(path).map_err(|e| e.error)?;
        Ok(tally)
    }
}

fn opened(entry: &[u8]) -> Result<BlobRow> {
    let text = entry.splitn(3, |b| *b == 0).nth(2).unwrap_or_default();
    Ok(serde_json::from_slice(text)?)
}

/// The lines of `blobs.jsonl`.
pub fn rows(
    path: &Path,
) -> Result<impl Iterator<Item = std::result::Result<BlobRow, CheckError>> + use<>> {
    let lines = BufReader::new(File::open(path)?).lines();
    Ok(lines.map(|line| {
        let line = line.map_err(CheckError::Scratch)?;
        serde_json::from_str(&line).map_err(|e| CheckError::Scratch(e.into()))
    }))
}
