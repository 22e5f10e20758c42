//! Sorts byte strings of which there may be more than memory holds: runs are spilled to nameless files and merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Bytes kept in memory before they are spilled.
const IN_MEMORY: usize = 64 << 20;
/// What an entry costs beside its bytes.
const OVERHEAD: usize = 32;

/// Takes entries in any order.
pub(super) struct Sorter {
    scratch: PathBuf,
    entries: Vec<Vec<u8>>,
    bytes: usize,
    limit: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// Spills to `scratch`.
    pub(super) fn new(scratch: PathBuf) -> Self {
        Self::with_limit(scratch, IN_MEMORY)
    }

    fn with_limit(scratch: PathBuf, limit: usize) -> Self {
        Self {
            scratch,
            entries: Vec::new(),
            bytes: 0,
            limit,
            runs: Vec::new(),
        }
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: Vec<u8>) -> Result<()> {
        self.bytes += entry.len() + OVERHEAD;
        self.entries.push(entry);
        match self.bytes > self.limit {
            true => self.spill(),
            false => Ok(()),
        }
    }

    fn spill(&mut self) -> Result<()> {
        self.entries.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        for entry in self.entries.drain(..) {
            let length =
                u32::try_from(entry.len()).map_err(|_| Error::from(ErrorKind::FileTooLarge))?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(&entry)?;
        }
        let mut file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        self.runs.push(file);
        self.bytes = 0;
        Ok(())
    }

    /// All entries, in byte order.
    pub(super) fn finish(mut self) -> Result<Sorted> {
        self.entries.sort_unstable();
        let mut sorted = Sorted {
            runs: self.runs.into_iter().map(BufReader::new).collect(),
            rest: self.entries.into_iter(),
            heads: BinaryHeap::new(),
        };
        for run in 0..=sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// Entries in byte order; after an error there are no more of that run.
pub(super) struct Sorted {
    runs: Vec<BufReader<File>>,
    /// The last run, which never left memory.
    rest: std::vec::IntoIter<Vec<u8>>,
    /// The next entry of each run.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

impl Sorted {
    fn refill(&mut self, run: usize) -> Result<()> {
        let next = match self.runs.get_mut(run) {
            Some(file) => read(file)?,
            None => self.rest.next(),
        };
        self.heads.extend(next.map(|entry| Reverse((entry, run))));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((entry, run)) = self.heads.pop()?;
        Some(self.refill(run).map(|()| entry))
    }
}

fn read(file: &mut BufReader<File>) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut entry = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut entry)?;
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_spilled_comes_back_in_order() {
        for limit in [0, 100, 1_000, 1 << 20] {
            let mut sorter = Sorter::with_limit(std::env::temp_dir(), limit);
            let entries: Vec<Vec<u8>> = (0..300_u32)
                .map(|n| {
                    (n.wrapping_mul(2_654_435_761) % 97)
                        .to_string()
                        .into_bytes()
                })
                .collect();
            for entry in &entries {
                sorter.push(entry.clone()).unwrap();
            }
            let sorted: Vec<Vec<u8>> = sorter.finish().unwrap().map(Result::unwrap).collect();
            let mut expected = entries;
            expected.sort();
            assert_eq!(sorted, expected, "{limit}");
        }
    }
}
