//! A line of `blobs.jsonl`: what is known of one blob. Wire format, version 1.

use serde::{Deserialize, Serialize};

use super::{Blob, Owner};

/// Where a blob stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the primary store, and the right one as far as was looked.
    Present,
    /// The same, but it will vanish by itself soon.
    PresentExpiring,
    /// In the primary store since a copy put it there.
    Restored,
    /// Not in the primary store, but an older version or the backup store has it.
    Recoverable,
    /// In the primary store with other bytes.
    Corrupt,
    /// Nothing tells whether it is the right one, or whether it is there.
    Unverifiable,
    /// Nowhere.
    Lost,
}

impl State {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Present,
        Self::PresentExpiring,
        Self::Restored,
        Self::Recoverable,
        Self::Corrupt,
        Self::Unverifiable,
        Self::Lost,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::PresentExpiring => "present_expiring",
            Self::Restored => "restored",
            Self::Recoverable => "recoverable",
            Self::Corrupt => "corrupt",
            Self::Unverifiable => "unverifiable",
            Self::Lost => "lost",
        }
    }

    /// Whether somebody has to do something about it.
    pub fn is_trouble(self) -> bool {
        !matches!(self, Self::Present | Self::Restored | Self::Unverifiable)
    }
}

/// What proves that an object is the right one, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Its bytes were read and hashed.
    Bytes,
    /// The checksum that the store keeps of the whole object.
    StoredChecksum,
    /// Its ETag is the recorded MD5.
    Etag,
    /// It has the recorded size.
    Size,
    /// It is there.
    Exists,
}

/// What said that the object is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It was asked for.
    Head,
    /// A page of a listing.
    Listing,
    /// A line of an inventory, as old as that is.
    Inventory,
}

/// A good copy that is not the primary store's present object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopySource {
    /// `primary`, of which it is an older version, or `backup`.
    pub side: String,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The delete marker that hides that version and nothing else does: taking it off is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Bytes.
    pub size: u64,
    /// What proves it the right one; none where there is nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The archive's storage class from which it must be brought back first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
}

/// A line of `blobs.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRow {
    /// The store.
    pub store: String,
    /// The key, as the application's rows have it.
    pub key: String,
    /// The path in the primary store, where that is not the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where it stands.
    pub state: State,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// What said that it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Bytes in the primary store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes, as the application recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_size: Option<u64>,
    /// By how many bytes it may differ.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_tolerance: u64,
    /// The recorded checksum, as `md5:` and hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// When it vanishes by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Where a good copy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CopySource>,
    /// Why it is in this state, where that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It is not as recorded in some respect, or its store would not say; nothing can decide, and somebody should look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspicious: bool,
    /// The application can make it again: its loss is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Whose it is.
    pub owners: Vec<Owner>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl BlobRow {
    /// What is known of a blob before any store was asked.
    pub(super) fn of(blob: Blob) -> Self {
        let checksum = blob.expected.checksum.and_then(Result::ok);
        Self {
            state: State::Unverifiable,
            path: (blob.path != blob.key).then_some(blob.path),
            store: blob.store,
            key: blob.key,
            proof: None,
            seen: None,
            size: None,
            recorded_size: blob.expected.size,
            size_tolerance: blob.expected.tolerance,
            checksum: checksum.map(|c| format!("{}:{}", c.algorithm, c.hex())),
            expires: None,
            source: None,
            reason: None,
            suspicious: false,
            derived: blob.derived,
            owners: blob.owners,
        }
    }

    /// The path in the primary store.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.key)
    }
}
