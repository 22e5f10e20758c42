//! The blobs that rows point at, each once, with all its owners: sorted by store and path, as a listing is.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sort::{Sorted, Sorter};
use super::{BlobRow, CheckError, Layout, StoreConfig};
use crate::attachments::{Algorithm, Checksum};
use crate::bundle::{AttachmentOwner, AttachmentRecord};
use crate::ident::UnitId;

/// A record whose file it is, and the unit that brings it back where it is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The record.
    #[serde(flatten)]
    pub record: AttachmentOwner,
    /// Its unit; none where all of live was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
}

/// What was recorded of a blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Bytes.
    pub size: Option<u64>,
    /// By how many they may differ.
    pub tolerance: u64,
    /// The checksum, or why what was recorded is none.
    pub checksum: Option<Result<Checksum, String>>,
    /// What the rows that point at it disagree about.
    pub disagreement: Option<&'static str>,
}

impl Expected {
    /// As a line of `blobs.jsonl` has it.
    pub(super) fn of(row: &BlobRow) -> Self {
        let read = |text: &String| {
            let (algorithm, hex) = text.split_once(':').unwrap_or_default();
            Checksum::read(hex, algorithm.parse().ok())
        };
        Self {
            size: row.recorded_size,
            tolerance: row.size_tolerance,
            checksum: row.checksum.as_ref().map(read),
            disagreement: None,
        }
    }
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The name of its store.
    pub store: String,
    /// The path in its primary store.
    pub path: String,
    /// The key, as rows have it.
    pub key: String,
    /// What was recorded.
    pub expected: Expected,
    /// Every row that points at it says that it can be made again.
    pub derived: bool,
    /// Whose it is.
    pub owners: Vec<Owner>,
}

/// One row, as it is sorted.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    size: Option<u64>,
    tolerance: u64,
    checksum: Option<String>,
    algorithm: Option<String>,
    derived: bool,
    owner: Owner,
}

/// Gathers rows.
pub struct Wanted {
    sorter: Sorter,
    layouts: BTreeMap<String, Layout>,
    used: BTreeSet<String>,
    rows: u64,
    /// Stores that rows name and that are in no configuration, and how many name them.
    unknown: BTreeMap<String, u64>,
}

impl Wanted {
    /// None yet. What memory does not hold is spilled to `scratch`.
    pub fn new(scratch: &Path, stores: &[StoreConfig]) -> Self {
        let layouts = stores.iter().map(|s| (s.name.clone(), s.primary.layout));
        Self {
            sorter: Sorter::new(scratch.to_owned()),
            layouts: layouts.collect(),
            used: BTreeSet::new(),
            rows: 0,
            unknown: BTreeMap::new(),
        }
    }

    /// Adds a row; `unit` is none where it is not of a bundle.
    pub fn add(
        &mut self,
        record: AttachmentRecord,
        unit: Option<UnitId>,
    ) -> Result<(), CheckError> {
        let store = record.store.unwrap_or_default();
        let Some(layout) = self.layouts.get(&store) else {
            *self.unknown.entry(store).or_default() += 1;
            return Ok(());
        };
        let path = layout.path(&record.key);
        if !self.used.contains(&store) {
            self.used.insert(store.clone());
        }
        let line = Line {
            key: record.key,
            size: record.byte_size,
            tolerance: record.size_tolerance,
            checksum: record.checksum,
            algorithm: record.checksum_algorithm,
            derived: record.derived,
            owner: Owner {
                record: record.owner,
                unit,
            },
        };
        // No text of PostgreSQL holds a zero byte, and nothing sorts before it.
        let mut entry = format!("{store}\0{path}\0").into_bytes();
        serde_json::to_writer(&mut entry, &line).map_err(|e| CheckError::Scratch(e.into()))?;
        self.rows += 1;
        self.sorter.push(entry).map_err(CheckError::Scratch)
    }

    /// The stores that rows name.
    pub fn stores(&self) -> Vec<String> {
        self.used.iter().cloned().collect()
    }

    /// The blobs, in order, and how many rows point at them.
    ///
    /// Errors: `NoStore` where rows name a store that is in no configuration.
    pub fn finish(self) -> Result<(Blobs, u64), CheckError> {
        if !self.unknown.is_empty() {
            return Err(CheckError::NoStore {
                unknown: self.unknown.into_iter().collect(),
            });
        }
        let sorted = self.sorter.finish().map_err(CheckError::Scratch)?;
        let blobs = Blobs {
            sorted: sorted.peekable(),
        };
        Ok((blobs, self.rows))
    }
}

/// Blobs in the order of store and path.
pub struct Blobs {
    sorted: Peekable<Sorted>,
}

impl Iterator for Blobs {
    type Item = Result<Blob, CheckError>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.sorted.next()? {
            Ok(entry) => entry,
            Err(e) => return Some(Err(CheckError::Scratch(e))),
        };
        let mut blob = match opened(&first) {
            Ok((store, path, line)) => begin(store, path, line),
            Err(e) => return Some(Err(e)),
        };
        let head = first
            .splitn(3, |b| *b == 0)
            .take(2)
            .map(|p| p.len() + 1)
            .sum();
        let same = |next: &std::io::Result<Vec<u8>>| {
            next.as_ref()
                .is_ok_and(|n| n.get(..head) == first.get(..head))
        };
        while let Some(Ok(entry)) = self.sorted.next_if(same) {
            match opened(&entry) {
                Ok((_, _, line)) => add(&mut blob, line),
                Err(e) => return Some(Err(e)),
            }
        }
        blob.owners.sort();
        blob.owners.dedup();
        Some(Ok(blob))
    }
}

fn opened(entry: &[u8]) -> Result<(String, String, Line), CheckError> {
    let mut parts = entry.splitn(3, |b| *b == 0);
    let mut next = || parts.next().unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (store, path) = (text(next()), text(next()));
    let line = serde_json::from_slice(next()).map_err(|e| CheckError::Scratch(e.into()))?;
    Ok((store, path, line))
}

fn begin(store: String, path: String, line: Line) -> Blob {
    Blob {
        store,
        path,
        expected: expected(&line),
        key: line.key,
        derived: line.derived,
        owners: vec![line.owner],
    }
}

fn expected(line: &Line) -> Expected {
    let algorithm: Option<Algorithm> = line.algorithm.as_deref().and_then(|a| a.parse().ok());
    Expected {
        size: line.size,
        tolerance: line.tolerance,
        checksum: line
            .checksum
            .as_deref()
            .map(|c| Checksum::read(c, algorithm)),
        disagreement: None,
    }
}

fn add(blob: &mut Blob, line: Line) {
    let (mine, other) = (&mut blob.expected, expected(&line));
    match (mine.size, other.size) {
        (Some(a), Some(b)) if a != b => mine.disagreement = Some("size"),
        (a, b) => mine.size = a.or(b),
    }
    mine.tolerance = mine.tolerance.max(other.tolerance);
    match (&mine.checksum, other.checksum) {
        (Some(a), Some(b)) if *a != b => mine.disagreement = Some("checksum"),
        (None, other) => mine.checksum = other,
        _ => {}
    }
    blob.derived &= line.derived;
    blob.owners.push(line.owner);
}
