//! A directory of files.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::error::{Fault, StoreError};
use super::fault;
use super::object::Object;

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

    pub(super) fn failed(&self, path: &str, cause: &std::io::Error) -> StoreError {
        let what = match cause.kind() {
            ErrorKind::PermissionDenied => Fault::Forbidden("reading"),
            _ => Fault::Io(cause.to_string()),
        };
        fault(&self.place, Some(path), what)
    }
}
