//! The directory in which a bundle is made, before it gets its name.
//!
//! Guarantees that the target appears whole or not at all; that what is unfinished, personal data included, is removed
//! when dropped, and by the next writer at the same place if the process was killed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use super::BundleError;
use super::digest::sync_dir;
use super::names::ROWS;

const PREFIX: &str = ".bundle-";
const SUFFIX: &str = ".partial";

/// A bundle that is being made.
pub(super) struct Partial {
    dir: TempDir,
    target: PathBuf,
    parent: PathBuf,
    /// Tells other writers that somebody is at work here; none where the file system has no locks.
    _lock: Option<Flock<File>>,
}

impl Partial {
    /// Makes the directory beside `target`, with its `rows`.
    pub(super) fn create(target: &Path) -> Result<Self, BundleError> {
        refuse_existing(target)?;
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        remove_abandoned(&parent);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(|e| BundleError::io("create a directory in", &parent, e))?;
        let lock = lock(dir.path());
        // Only now: what has no `rows` is not looked at by those who clear away.
        let rows = dir.path().join(ROWS);
        DirBuilder::new()
            .mode(0o700)
            .create(&rows)
            .map_err(|e| BundleError::io("create", &rows, e))?;
        Ok(Self {
            dir,
            target: target.to_owned(),
            parent,
            _lock: lock,
        })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives it its name, durably. Its files must be on disk.
    pub(super) fn publish(self) -> Result<(), BundleError> {
        let dir = self.dir.path();
        sync_dir(&dir.join(ROWS))?;
        sync_dir(dir)?;
        refuse_existing(&self.target)?;
        fs::rename(dir, &self.target).map_err(|e| match e.kind() {
            // Something came into the way just now.
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => {
                BundleError::TargetExists {
                    path: self.target.clone(),
                }
            }
            _ => BundleError::io("create", &self.target, e),
        })?;
        // It is no longer where it would be removed from.
        let _ = self.dir.keep();
        sync_dir(&self.parent)
    }
}

fn refuse_existing(target: &Path) -> Result<(), BundleError> {
    match fs::symlink_metadata(target) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(BundleError::io("look at", target, e)),
        Ok(_) => Err(BundleError::TargetExists {
            path: target.to_owned(),
        }),
    }
}

/// Locks a directory, if nobody else has.
fn lock(dir: &Path) -> Option<Flock<File>> {
    let dir = File::open(dir).ok()?;
    Flock::lock(dir, FlockArg::LockExclusiveNonblock).ok()
}

/// Removes what writers that were killed left in `parent`. Whatever cannot be removed stays: it is in nobody's way.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let named = name
            .to_str()
            .is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        let ours = named && entry.file_type().is_ok_and(|t| t.is_dir());
        if ours && entry.path().join(ROWS).is_dir() && lock(&entry.path()).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
