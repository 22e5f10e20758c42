//! What can go wrong with a bundle, each with the file, the cause and the way out.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::catalog::RenameError;

use super::format::{FORMAT, FormatVersion};

/// The way out of damage, whatever its kind.
const DAMAGED: &str =
    "the bundle was changed or damaged after extract; extract again, or fetch the original";

/// Why a bundle was not written or not read.
///
/// Files inside a bundle are named relative to it, everything else as the caller gave it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// What the configuration says was renamed cannot be followed.
    #[error(transparent)]
    Rename(#[from] RenameError),
    /// Something stands where the bundle was to go.
    #[error(
        "{} exists already, and a bundle is never written over: choose another place, or move it away first",
        path.display()
    )]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// The disk, the quota or a file size limit is exhausted.
    #[error(
        "no room to write {} ({cause}): no bundle was made and what was written is removed; free space there, or \
         choose another place for the bundle, and extract again",
        path.display()
    )]
    Full {
        /// The file being written.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The same, of a scratch file.
    #[error(
        "no room to write {} ({cause}): the values of columns that have another type in live wait there while the command \
         runs; free space there, or name another place with TMPDIR, and run the same command again",
        path.display()
    )]
    NoScratch {
        /// The file being written.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {cause}{}", path.display(), hint(cause))]
    Io {
        /// What was being done, as a verb: `read`, `create`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// No manifest.
    #[error(
        "{} is no bundle: it has no manifest.json, which is written last, so it is something else or was not \
         finished; name a bundle, or extract again",
        path.display()
    )]
    NotABundle {
        /// The directory.
        path: PathBuf,
    },
    /// Another major version.
    #[error(
        "the bundle has format {found} and this build reads format {}.x: use the reinstate that wrote it, or \
         extract again",
        FORMAT.major
    )]
    Version {
        /// The bundle's version.
        found: FormatVersion,
    },
    /// A file is not what the manifest says.
    #[error("bundle file {file} does not match {against} ({difference}): {DAMAGED}")]
    Changed {
        /// The file.
        file: String,
        /// What it was compared with.
        against: &'static str,
        /// How it differs.
        difference: String,
    },
    /// A file is not there.
    #[error("bundle file {file} is missing: {DAMAGED}")]
    Missing {
        /// The file.
        file: String,
    },
    /// Something is there that the manifest does not list.
    #[error(
        "{file} does not belong to the bundle (its manifest does not list it): move it out of the \
         directory, or fetch the original"
    )]
    Extra {
        /// The stranger.
        file: String,
    },
    /// A path leaves the directory, or a file is no plain file.
    #[error(
        "bundle file {file:?} is refused ({cause}): a bundle holds plain files inside its own directory only; fetch \
         the original, or extract again"
    )]
    Path {
        /// The path as written.
        file: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A file cannot be parsed.
    #[error("bundle file {file} cannot be read ({cause}): {DAMAGED}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, with the line where there are lines.
        cause: String,
    },
    /// The parts of a bundle contradict each other.
    #[error("bundle file {file} contradicts the rest of the bundle ({cause}): {DAMAGED}")]
    Inconsistent {
        /// The file.
        file: String,
        /// The contradiction.
        cause: String,
    },
    /// The writer was given what no reader would accept: a mistake in this program, never in the data.
    #[error(
        "the bundle would contradict itself ({cause}), so it was not written: this is a bug, please report it"
    )]
    Rejected {
        /// The contradiction.
        cause: String,
    },
}

/// What helps, where the system's words do not say it.
fn hint(cause: &io::Error) -> &'static str {
    if cause.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32) {
        "; a bundle keeps one file open for each table: raise the limit (ulimit -n)"
    } else {
        ""
    }
}

impl BundleError {
    /// Names a failure of the system, telling an exhausted disk from the rest.
    pub(super) fn io(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full { path, cause }
            }
            _ => Self::Io { doing, path, cause },
        }
    }

    /// A failure of the system on a scratch file.
    pub(super) fn scratch(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        match Self::io(doing, path, cause) {
            Self::Full { path, cause } => Self::NoScratch { path, cause },
            other => other,
        }
    }

    /// A failure while decompressing: either the system's, or the content's.
    pub(super) fn unreadable(file: &str, path: &Path, cause: io::Error) -> Self {
        if cause.raw_os_error().is_some() {
            return Self::io("read", path, cause);
        }
        Self::Malformed {
            file: file.to_owned(),
            cause: cause.to_string(),
        }
    }

    /// A contradiction in `file`.
    pub(super) fn inconsistent(file: &str, cause: impl Into<String>) -> Self {
        Self::Inconsistent {
            file: file.to_owned(),
            cause: cause.into(),
        }
    }

    /// A contradiction that the writer was given.
    pub(super) fn rejected(cause: impl Into<String>) -> Self {
        Self::Rejected {
            cause: cause.into(),
        }
    }
}
