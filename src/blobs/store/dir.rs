//! A directory of files.

use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use super::error::{Fault, StoreError};
use super::fault;
use super::object::{Condition, Object};

/// A file whose bytes are coming.
pub(super) struct ReceivingFile {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

impl ReceivingFile {
    pub(super) fn add(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }
}

/// A directory.
pub(super) struct DirStore {
    place: String,
    root: PathBuf,
}

impl DirStore {
    /// Errors: `NoBucket` where it is no directory.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let place = format!("dir:{}", root.display());
        match root.is_dir() {
            true => Ok(Self {
                place,
                root: root.to_owned(),
            }),
            false => Err(fault(&place, None, Fault::NoBucket)),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The file of a path; one that would leave the directory is none.
    fn file(&self, path: &str) -> Result<PathBuf, StoreError> {
        let relative = Path::new(path);
        let inside = relative
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        match inside && !path.is_empty() && !path.contains('\0') {
            true => Ok(self.root.join(relative)),
            false => Err(fault(&self.place, Some(path), Fault::BadKey)),
        }
    }

    pub(super) async fn head(&self, path: &str) -> Result<Option<Object>, StoreError> {
        let file = self.file(path)?;
        match tokio::fs::metadata(&file).await {
            Ok(found) if found.is_file() => Ok(Some(Object {
                size: found.len(),
                ..Object::default()
            })),
            Ok(_) => Ok(None),
            Err(e) => match e.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                    Ok(None)
                }
                _ => Err(self.failed(path, &e)),
            },
        }
    }

    pub(super) async fn open_file(&self, path: &str) -> Result<tokio::fs::File, StoreError> {
        let file = self.file(path)?;
        tokio::fs::File::open(&file)
            .await
            .map_err(|e| self.failed(path, &e))
    }

    /// Begins a file that is not to be seen before it is whole.
    pub(super) fn receive(&self, path: &str) -> Result<ReceivingFile, StoreError> {
        let target = self.file(path)?;
        let failed = |e: std::io::Error| self.failed(path, &e);
        let beside = target.parent().unwrap_or(&self.root).to_owned();
        std::fs::create_dir_all(&beside).map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".reinstate-").suffix(".part");
        let file = builder.tempfile_in(&beside).map_err(failed)?;
        Ok(ReceivingFile { file, target })
    }

    /// Puts a file whose bytes have all come where it belongs: over nothing, or over what is there.
    pub(super) fn settle(
        &self,
        path: &str,
        received: ReceivingFile,
        condition: &Condition,
    ) -> Result<(), StoreError> {
        let failed = |e: std::io::Error| match e.kind() {
            ErrorKind::AlreadyExists => fault(&self.place, Some(path), Fault::Replaced),
            _ => self.failed(path, &e),
        };
        let ReceivingFile { file, target } = received;
        self.as_the_others(file.as_file(), &target)
            .map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        match condition {
            Condition::Absent => file.persist_noclobber(&target),
            Condition::Still(_) => file.persist(&target),
        }
        .map_err(|e| failed(e.error))?;
        let beside = target.parent().unwrap_or(&self.root);
        std::fs::File::open(beside)
            .and_then(|d| d.sync_all())
            .map_err(failed)
    }

    /// Readable by whom the directory's files are for: its owner, where we may give files away.
    fn as_the_others(&self, file: &std::fs::File, target: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let beside = std::fs::metadata(target.parent().unwrap_or(&self.root))?;
        // A directory that others may enter holds files that others may read.
        let mode = 0o600 | (beside.mode() & 0o044);
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        match fchown(file, Some(beside.uid()), Some(beside.gid())) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }

    pub(super) fn failed(&self, path: &str, cause: &std::io::Error) -> StoreError {
        let what = match cause.kind() {
            ErrorKind::PermissionDenied => Fault::Forbidden("reading"),
            _ => Fault::Io(cause.to_string()),
        };
        fault(&self.place, Some(path), what)
    }
}
