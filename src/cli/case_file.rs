//! A file of the case that is being written: readable by its owner only, whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::Failure;

/// Written beside its final name; [`CaseFile::finish`] moves it there. Dropped before, it leaves nothing.
pub(crate) struct CaseFile {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl CaseFile {
    /// Begins `name` in the directory `case`.
    pub(crate) fn create(case: &Path, name: &str) -> Result<Self, Failure> {
        let path = case.join(name);
        let file = tempfile::NamedTempFile::new_in(case).map_err(|e| failed(&path, &e))?;
        Ok(Self {
            file: BufWriter::new(file),
            path,
        })
    }

    /// The failure that a refused write is.
    pub(crate) fn failed(&self, cause: &std::io::Error) -> Failure {
        failed(&self.path, cause)
    }

    /// Gives it its name, replacing an earlier file of that name.
    pub(crate) fn finish(self) -> Result<PathBuf, Failure> {
        let path = self.path;
        let file = self
            .file
            .into_inner()
            .map_err(|e| failed(&path, e.error()))?;
        file.persist(&path).map_err(|e| failed(&path, &e.error))?;
        Ok(path)
    }

    /// Gives it its name; `None` where there is a file of that name, which stays as it is.
    pub(crate) fn finish_new(self) -> Result<Option<PathBuf>, Failure> {
        let path = self.path;
        let file = self
            .file
            .into_inner()
            .map_err(|e| failed(&path, e.error()))?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(Some(path)),
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(failed(&path, &e.error)),
        }
    }
}

impl Write for CaseFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn failed(path: &Path, cause: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let hint = match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space there, and run again",
        _ => "check its permissions, or work in another case directory (-C)",
    };
    Failure::usage(format!("cannot write {}: {cause}", path.display())).hint(hint)
}
