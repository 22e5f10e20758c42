//! Files that count and digest what goes through them, so that nothing is read a second time to be hashed.
//!
//! Guarantees that a file is new, for its owner only, and on disk once [`HashedFile::close`] returns; that a file read
//! is a plain one, reached without following a link at its end.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::BundleError;
use super::format::ManifestFile;

/// Bytes read at once while hashing.
const CHUNK: usize = 1 << 17;

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of `bytes`, hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A file being written.
pub(super) struct HashedFile {
    name: String,
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl HashedFile {
    /// Creates `name`, which must not exist, in the bundle at `dir`.
    pub(super) fn create(dir: &Path, name: &str) -> Result<Self, BundleError> {
        let path = dir.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| BundleError::io("create", &path, e))?;
        Ok(Self::over(name, path, file))
    }

    /// Writes into an open file, from its start.
    fn over(name: &str, path: PathBuf, file: File) -> Self {
        Self {
            name: name.to_owned(),
            path,
            file,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.file
            .write_all(bytes)
            .map_err(|e| BundleError::io("write", &self.path, e))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Puts it on disk.
    pub(super) fn close(self) -> Result<ManifestFile, BundleError> {
        self.file
            .sync_all()
            .map_err(|e| BundleError::io("write", &self.path, e))?;
        Ok(ManifestFile {
            path: self.name,
            sha256: hex(&self.hash.finalize()),
            bytes: self.bytes,
        })
    }
}

/// Writes a whole file.
pub(super) fn write_file(
    dir: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<ManifestFile, BundleError> {
    let mut file = HashedFile::create(dir, name)?;
    file.write(bytes)?;
    file.close()
}

/// Makes the entries of a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), BundleError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| BundleError::io("write", dir, e))
}

/// Opens a file of the bundle for reading.
pub(super) fn open_file(path: &Path) -> Result<File, BundleError> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(path)
        .map_err(|e| BundleError::io("open", path, e))
}

/// Reads `path` once and returns its SHA-256 and size.
pub(super) fn measure(path: &Path) -> Result<(String, u64), BundleError> {
    let mut file = open_file(path)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = file
            .read(&mut chunk)
            .map_err(|e| BundleError::io("read", path, e))?;
        if n == 0 {
            return Ok((hex(&hash.finalize()), bytes));
        }
        hash.update(&chunk[..n]);
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_clear_error() {
        let path = PathBuf::from("/dev/full");
        let device = OpenOptions::new().write(true).open(&path).unwrap();
        let error = HashedFile::over("full", path, device)
            .write(b"x")
            .unwrap_err();
        assert!(matches!(error, BundleError::Full { .. }));
        let text = error.to_string();
        assert!(
            text.contains("no room to write /dev/full") && text.contains("free space"),
            "{text}"
        );
    }

    #[test]
    fn files_are_digested_while_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = write_file(dir.path(), "x", b"abc").unwrap();
        assert_eq!(
            (file.sha256.as_str(), file.bytes),
            (sha256(b"abc").as_str(), 3)
        );
        assert_eq!(measure(&dir.path().join("x")).unwrap(), (sha256(b"abc"), 3));
        assert!(write_file(dir.path(), "x", b"abc").is_err(), "never over");
    }
}
