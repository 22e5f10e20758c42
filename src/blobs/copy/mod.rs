//! Brings files back into the primary store: a delete marker taken off, an older version put on top, or a copy from the backup.
//!
//! Guarantees: every write is recorded, and on disk, before it is made ([`Journal`]), so that a run that was killed goes on and leaves
//! no upload behind. Nothing is overwritten that was not meant: an object that appears meanwhile stays ([`Condition`]). Nothing is to be
//! seen before it is whole, and where a checksum is recorded, before its bytes are known to be right. No version is ever deleted. What
//! was written is looked at again before it counts.

mod journal;
mod means;
mod one;
mod outcomes;
mod parts;
mod stream;

use std::sync::Mutex;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use tokio::sync::Semaphore;

use super::row::{BlobRow, State};
use super::{CheckError, Checking, Sides, StoreError};

pub use journal::{BroughtBack, Journal, Unfinished};
pub use means::Means;
pub use outcomes::{Outcomes, rows};

/// Rows whose intents are written to disk together.
const BLOCK: usize = 256;
/// Megabytes of files in memory at the same time.
const MEMORY: usize = 64;
/// Bytes.
const MB: u64 = 1 << 20;

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// Files larger than this travel in parts (bytes).
    pub streamed_whole: u64,
    /// Files larger than this are copied by the store in parts (bytes).
    pub copied_whole: u64,
    /// Files in the primary that are not those recorded are overwritten, where a good copy is known.
    pub replace_corrupt: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            streamed_whole: 8 * MB,
            // What S3 copies at once. Source: Amazon S3 API Reference, CopyObject.
            copied_whole: 5 << 30,
            replace_corrupt: false,
        }
    }
}

/// A copy run.
pub struct Copying<'a> {
    /// The stores, and how closely to look.
    pub checking: Checking<'a>,
    /// How to copy.
    pub options: CopyOptions,
    /// What is recorded of it.
    pub journal: Mutex<Journal>,
    /// Permits of a megabyte each.
    memory: Semaphore,
}

/// What became of one file.
#[derive(Debug)]
pub struct Copied {
    /// Where it stands now.
    pub row: BlobRow,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is back.
    Back(Means),
    /// Another object was there before us, and stays.
    Appeared,
    /// It is not back; the row says why.
    Left,
}

impl<'a> Copying<'a> {
    /// Of these stores.
    pub fn new(checking: Checking<'a>, options: CopyOptions, journal: Journal) -> Self {
        Self {
            checking,
            options,
            journal: Mutex::new(journal),
            memory: Semaphore::new(MEMORY),
        }
    }

    /// Whether a row is to be worked on: it can be brought back, and may be.
    pub fn wants(&self, row: &BlobRow) -> bool {
        wanted(row, &self.options)
    }

    /// Gives up what an earlier run had begun to upload and did not complete. How many uploads.
    pub async fn clean(&self, unfinished: &[Unfinished]) -> Result<u64, CheckError> {
        let mut dropped = 0;
        for left in unfinished {
            let Some(sides) = self.checking.stores.get(&left.store) else {
                continue;
            };
            let uploads = left
                .uploads(&sides.primary)
                .await
                .map_err(|e| failed(&left.store, e))?;
            for upload in uploads {
                let given_up = sides.primary.drop_upload(&left.path, &upload).await;
                given_up.map_err(|e| failed(&left.store, e))?;
                dropped += 1;
            }
            if let Ok(mut journal) = self.journal.lock() {
                journal.given_up(left).map_err(CheckError::Write)?;
            }
        }
        Ok(dropped)
    }

    /// Works on rows until there are no more, or `stop` says so; `take` is told of each as it is done. Whether it was stopped.
    pub async fn run(
        &self,
        rows: impl Iterator<Item = Result<BlobRow, CheckError>>,
        stop: impl Fn() -> bool,
        mut take: impl FnMut(Copied),
    ) -> Result<bool, CheckError> {
        let blocks = Blocks {
            rows,
            block: Vec::new().into_iter(),
            stop: &stop,
            journal: &self.journal,
        };
        let mut work = iter(blocks)
            .map(|row| async { self.one(row?).await })
            .buffer_unordered(self.checking.concurrency);
        while let Some(copied) = work.try_next().await? {
            if let Ok(mut journal) = self.journal.lock() {
                journal.ended(&copied).map_err(CheckError::Write)?;
            }
            take(copied);
        }
        if let Ok(mut journal) = self.journal.lock() {
            journal.sync().map_err(CheckError::Write)?;
        }
        Ok(stop())
    }

    fn sides(&self, store: &str) -> Result<&Sides, CheckError> {
        self.checking
            .stores
            .get(store)
            .ok_or_else(|| CheckError::NoStore {
                unknown: vec![(store.to_owned(), 1)],
            })
    }
}

/// Whether a row can be brought back, and may be.
pub fn wanted(row: &BlobRow, options: &CopyOptions) -> bool {
    let state = match row.state {
        State::Recoverable => true,
        State::Corrupt => options.replace_corrupt,
        _ => false,
    };
    state && row.source.is_some()
}

fn failed(store: &str, cause: StoreError) -> CheckError {
    CheckError::Store {
        store: store.to_owned(),
        cause: Box::new(cause),
    }
}

/// Rows, each of which is on disk in the journal before it is handed out.
struct Blocks<'a, I, F> {
    rows: I,
    block: std::vec::IntoIter<BlobRow>,
    stop: &'a F,
    journal: &'a Mutex<Journal>,
}

impl<I: Iterator<Item = Result<BlobRow, CheckError>>, F: Fn() -> bool> Iterator
    for Blocks<'_, I, F>
{
    type Item = Result<BlobRow, CheckError>;

    fn next(&mut self) -> Option<Self::Item> {
        if (self.stop)() {
            let rest = std::mem::take(&mut self.block);
            let mut journal = self.journal.lock().ok()?;
            let written = journal.not_begun(rest).map_err(CheckError::Write);
            return written.err().map(Err);
        }
        if let Some(row) = self.block.next() {
            return Some(Ok(row));
        }
        let block: Result<Vec<BlobRow>, CheckError> = self.rows.by_ref().take(BLOCK).collect();
        let block = match block {
            Ok(block) if block.is_empty() => return None,
            Ok(block) => block,
            Err(e) => return Some(Err(e)),
        };
        if let Ok(mut journal) = self.journal.lock()
            && let Err(e) = journal.begin(&block)
        {
            return Some(Err(CheckError::Write(e)));
        }
        self.block = block.into_iter();
        self.block.next().map(Ok)
    }
}
