//! A line of `attachments.jsonl.zst`.

use serde::{Deserialize, Serialize};

use crate::ident::{Key, TableName, UnitId};

/// A row that points at a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// The unit that the owner belongs to, or the row that ties the file to it.
    pub unit: UnitId,
    /// Whose file it is.
    pub owner: AttachmentOwner,
    /// The store that keeps it; none where neither the row nor the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The object's key in that store.
    pub key: String,
    /// Bytes, as the application recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_size: Option<u64>,
    /// By how many bytes the real size may differ from that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_tolerance: u64,
    /// Its checksum, as the application recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// How that was computed; none where its length tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_algorithm: Option<String>,
    /// The application can make it again from another file: a thumbnail, say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

/// Whose file it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttachmentOwner {
    /// The table of the record; it need not be in the manifest.
    pub table: TableName,
    /// Its key.
    pub key: Key,
    /// What the file is to it: a name of the application's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What people call the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

// What serde calls has this form.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
