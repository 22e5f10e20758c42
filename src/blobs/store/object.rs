//! What a store says of an object.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::attachments::{Algorithm, Checksum};

/// What a store says of an object, or of one version of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: Option<String>,
    /// Checksums of the whole object that the store keeps.
    pub checksums: Vec<Checksum>,
    /// When it will vanish by itself.
    pub expires: Option<Timestamp>,
    /// Why it cannot be read at once: an archive's storage class.
    pub archived: Option<String>,
    /// The version, where the bucket has versions.
    pub version: Option<String>,
    /// Whether it was a page of a listing that said so: that knows neither checksums nor expiry.
    pub listed: bool,
}

impl Object {
    /// The MD5 of its content, where its ETag can be one: never of a multipart object, whose ETag has a hyphen. Of an object
    /// encrypted with KMS or a customer's key it is not the MD5, so that only equality proves something.
    pub fn etag_md5(&self) -> Option<Checksum> {
        let etag = self.etag.as_deref()?;
        Checksum::read(etag, Some(Algorithm::Md5)).ok()
    }
}

/// Storage classes whose objects must be brought back before they can be read.
pub(super) fn archived(class: Option<&str>) -> Option<String> {
    class
        .filter(|c| matches!(*c, "GLACIER" | "DEEP_ARCHIVE"))
        .map(str::to_owned)
}

/// What an object carries beside its bytes, and a copy of it should carry too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, as it is written.
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub redirect: Option<String>,
    /// `x-amz-meta-…`.
    pub metadata: BTreeMap<String, String>,
    /// How many tags there are; they are asked for apart.
    pub tag_count: u64,
    /// Name and value of each.
    pub tags: Vec<(String, String)>,
}

/// When a write may take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is there.
    Absent,
    /// What is there has this ETag still; where the store has none, whatever is there.
    Still(Option<String>),
}

/// What a write left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Without quotes.
    pub etag: Option<String>,
    /// The version, where the bucket has versions.
    pub version: Option<String>,
    /// The ETag is what the bytes that were sent make: the store has them as they are.
    pub as_sent: bool,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// Keys and what the listing says of them, in the store's order.
    pub objects: Vec<(String, Object)>,
    /// How to get the next one; none after the last.
    pub next: Option<String>,
}

/// What a versioned store has of one key, besides the object that everybody sees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The delete marker that alone hides the object, where one does.
    pub marker: Option<String>,
    /// Older versions, newest first.
    pub versions: Vec<Object>,
}

/// Whether a bucket keeps older versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Never,
    /// It does, or did for a while.
    Kept,
    /// It would not say.
    Unknown,
}
