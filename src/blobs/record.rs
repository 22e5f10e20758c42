//! What a check has found so far, kept so that a later one goes on from there.
//!
//! A line for each blob, in the order of store and path, after a first one that says what was checked. A last line that was cut off
//! is taken away.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::row::BlobRow;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    schema_version: u32,
    /// What tells this check from others.
    check: String,
}

/// A check's file, growing.
pub struct Record {
    file: BufWriter<File>,
    path: PathBuf,
}

/// How far an earlier check of the same came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blobs.
    pub blobs: u64,
    /// Store and path of the last one.
    pub last: Option<(String, String)>,
}

impl Record {
    /// Goes on with the file at `path` where it is of the same `check`, and hands on what it holds; begins it anew otherwise, or
    /// where `fresh`. It is readable by its owner only.
    pub fn open(
        path: &Path,
        check: &str,
        fresh: bool,
        mut found: impl FnMut(&BlobRow),
    ) -> Result<(Self, Progress)> {
        let head = Head {
            schema_version: 1,
            check: check.to_owned(),
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(path)?;
        let mut progress = Progress::default();
        let kept = match fresh {
            true => 0,
            false => read(&file, &head, &mut progress, &mut found)?,
        };
        file.set_len(kept)?;
        file.seek(SeekFrom::Start(kept))?;
        let mut record = Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
        };
        if kept == 0 {
            progress = Progress::default();
            record.line(&head)?;
            record.file.flush()?;
        }
        Ok((record, progress))
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.file, value)?;
        self.file.write_all(b"\n")
    }

    /// Adds what was found, in order.
    pub fn add(&mut self, rows: &[BlobRow]) -> Result<()> {
        for row in rows {
            self.line(row)?;
        }
        self.file.flush()
    }

    /// Ends it: the lines without the first one, at `target`, which they replace.
    pub fn finish(self, target: &Path) -> Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        let mut lines = BufReader::new(file);
        lines.seek(SeekFrom::Start(0))?;
        lines.read_until(b'\n', &mut Vec::new())?;
        let directory = target.parent().unwrap_or(Path::new("."));
        let mut whole = tempfile::NamedTempFile::new_in(directory)?;
        std::io::copy(&mut lines, &mut whole)?;
        whole.as_file().sync_all()?;
        whole.persist(target).map_err(|e| e.error)?;
        std::fs::remove_file(&self.path)
    }
}

/// Reads whole lines; how many bytes they are, none where they are of another check.
fn read(
    file: &File,
    head: &Head,
    progress: &mut Progress,
    found: &mut impl FnMut(&BlobRow),
) -> Result<u64> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut kept = 0;
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        if kept == 0 {
            if !serde_json::from_slice::<Head>(&line).is_ok_and(|h| h == *head) {
                return Ok(0);
            }
        } else {
            let Ok(row) = serde_json::from_slice::<BlobRow>(&line) else {
                break;
            };
            found(&row);
            progress.blobs += 1;
            progress.last = Some((row.store.clone(), row.path().to_owned()));
        }
        kept += line.len() as u64;
        line.clear();
    }
    Ok(kept)
}

impl Progress {
    /// Whether a blob was checked already.
    pub fn covers(&self, store: &str, path: &str) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|(s, p)| (store, path) <= (s.as_str(), p.as_str()))
    }
}
