//! What `blobs.jsonl` says of each record and file: to be marked, or not any more.

use std::collections::VecDeque;
use std::path::Path;

use crate::blobs::{BlobRow, CheckError, Owner, State, blob_rows};
use crate::ident::{Key, TableName};

use super::FlagError;

/// A record and a file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The record's table.
    pub table: TableName,
    /// The record's key.
    pub key: Key,
    /// What the file is to it; empty where the application has no name for that.
    pub attachment: String,
    /// The file's key in its store.
    pub blob_key: String,
    /// What people call the file.
    pub filename: Option<String>,
    /// Its type.
    pub content_type: Option<String>,
    /// Its recorded size, bytes.
    pub size: Option<u64>,
    /// Where the file stands.
    pub state: State,
}

impl Mark {
    fn of(row: &BlobRow, owner: &Owner) -> Self {
        let record = owner.record.clone();
        Self {
            table: record.table,
            key: record.key,
            attachment: record.name.unwrap_or_default(),
            blob_key: row.key.clone(),
            filename: record.filename,
            content_type: record.content_type,
            size: row.recorded_size,
            state: row.state,
        }
    }

    /// The record, for people.
    pub fn record(&self) -> String {
        format!("{} {}", self.table, self.key)
    }
}

/// What is to be done about a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The file is lost, or corrupt.
    Flag(Mark),
    /// The file is there: a mark that an earlier run made goes.
    Unflag(Mark),
}

/// The steps that follow from `blobs.jsonl`, in its order.
pub struct Marks<I> {
    rows: I,
    ready: VecDeque<Step>,
}

impl Marks<()> {
    /// Of the file at `path`.
    pub fn read(
        path: &Path,
    ) -> Result<Marks<impl Iterator<Item = Result<BlobRow, CheckError>> + use<>>, FlagError> {
        let rows = blob_rows(path).map_err(|e| FlagError::Read(e.to_string()))?;
        Ok(Marks {
            rows,
            ready: VecDeque::new(),
        })
    }
}

impl<I: Iterator<Item = Result<BlobRow, CheckError>>> Iterator for Marks<I> {
    type Item = Result<Step, FlagError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(Ok(step));
            }
            match self.rows.next()? {
                Err(e) => return Some(Err(FlagError::Read(e.to_string()))),
                Ok(row) => self.ready.extend(steps(&row)),
            }
        }
    }
}

fn steps(row: &BlobRow) -> Vec<Step> {
    let step: fn(Mark) -> Step = match row.state {
        // The application makes these again by itself.
        _ if row.derived => return Vec::new(),
        State::Lost | State::Corrupt => Step::Flag,
        State::Present | State::PresentExpiring | State::Restored => Step::Unflag,
        // Nobody can see it yet, or knows.
        State::Recoverable | State::Unverifiable => return Vec::new(),
    };
    let mut marks: Vec<Mark> = Vec::new();
    for mark in row.owners.iter().map(|owner| Mark::of(row, owner)) {
        let same = |m: &Mark| {
            (&m.table, &m.key, &m.attachment) == (&mark.table, &mark.key, &mark.attachment)
        };
        if !marks.iter().any(same) {
            marks.push(mark);
        }
    }
    marks.into_iter().map(step).collect()
}
