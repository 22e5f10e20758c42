//! What a copy meant to do and did: `blobs.copy.jsonl` in the case, a line a step. Wire format, version 1.
//!
//! Intents are on disk before a store is written to. From the file a later run learns what earlier ones brought back, and which
//! uploads they may have left.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Copied, Outcome};
use crate::blobs::row::BlobRow;
use crate::blobs::{Store, StoreError};

/// The store's clock may be that far from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    at: String,
    run: String,
    store: String,
    path: String,
    #[serde(flatten)]
    step: Step,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Step {
    /// It is going to be written.
    Begun,
    /// An upload in parts was begun.
    Upload { upload: String },
    /// What an earlier run had begun and left is given up: nothing of it is open any more. Where the file is there, it was us.
    GivenUp,
    /// It is back.
    Done { means: super::Means },
    /// Something else was there.
    Appeared,
    /// It is not back.
    Left { reason: String },
}

/// A file that an earlier run had begun to write, and of which no end is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its store.
    pub store: String,
    /// Its path in the primary.
    pub path: String,
    began: Timestamp,
    uploads: Vec<String>,
}

/// The file, growing. One process at a time has it.
pub struct Journal {
    file: BufWriter<File>,
    run: String,
}

/// Files that runs put where they are, or may have: digests of store and path.
#[derive(Debug, Default)]
pub struct BroughtBack(HashSet<u128>);

impl BroughtBack {
    /// As the journal at `path` says, which may be another process's; none where there is no journal.
    pub fn read(path: &Path) -> Result<Self> {
        match File::open(path) {
            Ok(file) => Ok(read(&file)?.0),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e),
        }
    }

    /// Whether this file is one.
    pub fn has(&self, store: &str, path: &str) -> bool {
        self.0.contains(&digest(store, path))
    }
}

fn digest(store: &str, path: &str) -> u128 {
    let digest = Sha256::digest(format!("{store}\0{path}"));
    digest
        .iter()
        .take(16)
        .fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

impl Unfinished {
    /// The uploads it may have left in `store`: those recorded, and those to its very path that began since.
    pub(super) async fn uploads(
        &self,
        store: &Store,
    ) -> std::result::Result<Vec<String>, StoreError> {
        if !store.is_bucket() {
            return Ok(Vec::new());
        }
        if !self.uploads.is_empty() {
            return Ok(self.uploads.clone());
        }
        let since = self.began.saturating_sub(SKEW).unwrap_or(self.began);
        let found = store.uploads(&self.path).await?;
        Ok(found
            .into_iter()
            .filter(|(_, began)| *began >= since)
            .map(|(id, _)| id)
            .collect())
    }
}

impl Journal {
    /// Opens the file at `path` for `run`, and reads what earlier runs did. None where another process has it.
    pub fn open(path: &Path, run: &str) -> Result<Option<(Self, Vec<Unfinished>)>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let (_, unfinished, kept) = read(&file)?;
        // A last line that was cut off.
        file.set_len(kept)?;
        file.seek(SeekFrom::Start(kept))?;
        let journal = Self {
            file: BufWriter::new(file),
            run: run.to_owned(),
        };
        Ok(Some((journal, unfinished)))
    }

    fn line(&mut self, row: &BlobRow, step: Step) -> Result<()> {
        self.of(&row.store, row.path(), step)
    }

    fn of(&mut self, store: &str, path: &str, step: Step) -> Result<()> {
        let line = Line {
            at: Timestamp::now().to_string(),
            run: self.run.clone(),
            store: store.to_owned(),
            path: path.to_owned(),
            step,
        };
        serde_json::to_writer(&mut self.file, &line)?;
        self.file.write_all(b"\n")
    }

    /// To disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }

    /// These files are going to be written.
    pub(super) fn begin(&mut self, rows: &[BlobRow]) -> Result<()> {
        for row in rows {
            self.line(row, Step::Begun)?;
        }
        self.sync()
    }

    /// These, which were going to be written, are not.
    pub(super) fn not_begun(&mut self, rows: impl Iterator<Item = BlobRow>) -> Result<()> {
        for row in rows {
            let reason = "stopped before it".to_owned();
            self.line(&row, Step::Left { reason })?;
        }
        self.file.flush()
    }

    /// Nothing is left of what an earlier run had begun: later ones need not look, and must not, for somebody else may upload there.
    pub(super) fn given_up(&mut self, left: &Unfinished) -> Result<()> {
        self.of(&left.store, &left.path, Step::GivenUp)?;
        self.sync()
    }

    /// An upload was begun.
    pub(super) fn upload(&mut self, row: &BlobRow, upload: &str) -> Result<()> {
        let upload = upload.to_owned();
        self.line(row, Step::Upload { upload })?;
        self.sync()
    }

    /// How it ended.
    pub(super) fn ended(&mut self, copied: &Copied) -> Result<()> {
        let step = match &copied.outcome {
            Outcome::Back(means) => Step::Done { means: *means },
            Outcome::Appeared => Step::Appeared,
            Outcome::Left => Step::Left {
                reason: copied.row.reason.clone().unwrap_or_default(),
            },
        };
        self.line(&copied.row, step)?;
        self.file.flush()
    }
}

fn read(file: &File) -> Result<(BroughtBack, Vec<Unfinished>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut back, mut open, mut kept) = (HashSet::new(), BTreeMap::new(), 0);
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text)? > 0 && text.ends_with(b"\n") {
        let line: Line = serde_json::from_slice(&text)?;
        kept += text.len() as u64;
        text.clear();
        let at = (line.store, line.path);
        let id = digest(&at.0, &at.1);
        let when = line.at.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        match line.step {
            Step::Begun => {
                open.insert(at, (when, Vec::new()));
            }
            Step::Upload { upload } => open.entry(at).or_insert((when, Vec::new())).1.push(upload),
            Step::Done { .. } | Step::GivenUp => {
                open.remove(&at);
                back.insert(id);
            }
            Step::Appeared | Step::Left { .. } => {
                open.remove(&at);
            }
        }
    }
    // Of these nobody wrote down the end: where they are there, it was us.
    back.extend(open.keys().map(|(store, path)| digest(store, path)));
    let left = |((store, path), (began, uploads))| Unfinished {
        store,
        path,
        began,
        uploads,
    };
    Ok((
        BroughtBack(back),
        open.into_iter().map(left).collect(),
        kept,
    ))
}
