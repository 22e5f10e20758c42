//! What can go wrong with a check.

use super::StoreError;

/// What can go wrong with a check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A store would not answer.
    #[error("store {store}: {cause}")]
    Store {
        /// Its name.
        store: String,
        /// What it said.
        cause: Box<StoreError>,
    },
    /// Files in stores that nobody described.
    #[error(
        "no [stores.NAME] says where these files are: {}",
        unknown_shown(unknown)
    )]
    NoStore {
        /// Each name, empty where rows name none, and how many files.
        unknown: Vec<(String, u64)>,
    },
    /// The scratch file failed.
    #[error("cannot write to, or read from, a scratch file in the case directory: {0}")]
    Scratch(std::io::Error),
    /// The inventory cannot be read.
    #[error("--inventory {path}: {cause}")]
    Inventory {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// What was found could not be kept.
    #[error("cannot write blobs.jsonl: {0}")]
    Write(std::io::Error),
}

fn unknown_shown(unknown: &[(String, u64)]) -> String {
    let each = unknown.iter().map(|(name, files)| match name.as_str() {
        "" => format!("{files} whose rows name no store (say store = \"…\" in [[attachments]])"),
        name => format!("{files} in `{name}`"),
    });
    each.collect::<Vec<_>>().join(", ")
}
