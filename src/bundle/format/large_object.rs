//! `large_objects.jsonl.zst`: the large objects that the bundle's rows point at.

use serde::{Deserialize, Serialize};

use crate::ident::UnitId;

/// A large object; its content lies in `large_objects.copy.zst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjectRecord {
    /// Its number (OID), by which rows point at it.
    pub loid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content, hex.
    pub sha256: String,
    /// SHA-256 of the SHA-256 of its pieces, hex: what a server can compute without holding it in memory.
    pub pieces_sha256: String,
    /// The role that owned it.
    pub owner: String,
    /// Rights on it that others had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<LargeObjectGrant>,
    /// The units whose rows point at it.
    pub units: Vec<UnitId>,
    /// The offset of the frame in which its content begins.
    pub at: u64,
    /// Lines of that frame before its own.
    pub skip: u64,
}

/// A right on a large object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LargeObjectGrant {
    /// The role that has it; none for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Which.
    pub privilege: LargeObjectPrivilege,
}

/// What may be granted on a large object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LargeObjectPrivilege {
    /// Reading it.
    Select,
    /// Writing to it.
    Update,
}
