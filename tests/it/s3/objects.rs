//! Buckets in memory, with versions: what the server under the tests holds.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) marker: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: String,
    /// Base64, where the store keeps one.
    pub(crate) sha256: Option<String>,
    /// Headers of GET and HEAD, as they are.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    /// `GLACIER`, say.
    pub(crate) class: Option<&'static str>,
}

impl Version {
    /// Stored at once: its ETag is its MD5.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            etag: hex(&Md5::digest(bytes)),
            ..Self::default()
        }
    }

    /// Stored in parts of so many bytes: its ETag is the MD5 of the MD5s of its parts, and their number.
    pub(crate) fn in_parts(bytes: &[u8], part: usize) -> Self {
        let parts: Vec<Vec<u8>> = bytes
            .chunks(part)
            .map(|p| Md5::digest(p).to_vec())
            .collect();
        Self {
            bytes: bytes.to_vec(),
            etag: format!("{}-{}", hex(&Md5::digest(parts.concat())), parts.len()),
            ..Self::default()
        }
    }

    /// With a tag.
    pub(crate) fn with_tag(mut self, name: &str, value: &str) -> Self {
        self.tags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a header on GET and HEAD.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An upload in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    /// What the object will be, but for its bytes.
    pub(crate) version: Version,
    pub(crate) parts: BTreeMap<i32, Vec<u8>>,
}

/// A bucket.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) versioned: bool,
    /// Versions of each key, the newest last; never empty.
    keys: BTreeMap<String, Vec<Version>>,
    next: u64,
    /// By their ids.
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// Versions, not markers, that were deleted; there should be none.
    pub(crate) versions_deleted: u64,
}

impl Bucket {
    /// Empty.
    pub(crate) fn new(versioned: bool) -> Self {
        Self {
            versioned,
            ..Self::default()
        }
    }

    /// Stores a version: beside the others where there are versions, instead of them where there are none.
    pub(crate) fn put(&mut self, key: &str, mut version: Version) {
        self.next += 1;
        version.id = match self.versioned {
            true => format!("v{:06}", self.next),
            false => "null".to_owned(),
        };
        let versions = self.keys.entry(key.to_owned()).or_default();
        if !self.versioned {
            versions.clear();
        }
        versions.push(version);
    }

    /// What an application's delete does.
    pub(crate) fn delete(&mut self, key: &str) {
        if !self.versioned {
            self.keys.remove(key);
        } else if self.keys.contains_key(key) {
            let marker = Version {
                marker: true,
                ..Version::default()
            };
            self.put(key, marker);
        }
    }

    /// Deletes one version, or marker, for good.
    pub(crate) fn delete_version(&mut self, key: &str, id: &str) {
        let Some(versions) = self.keys.get_mut(key) else {
            return;
        };
        let gone = |v: &Version| v.id == id;
        self.versions_deleted += versions.iter().filter(|v| gone(v) && !v.marker).count() as u64;
        versions.retain(|v| !gone(v));
        if versions.is_empty() {
            self.keys.remove(key);
        }
    }

    /// Takes an upload that begins; its id.
    pub(crate) fn begin(&mut self, upload: Upload) -> String {
        self.next += 1;
        let id = format!("u{:06}", self.next);
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// What is to be seen of a key; or that version of it.
    pub(crate) fn get(&self, key: &str, version: Option<&str>) -> Option<&Version> {
        let versions = self.keys.get(key)?;
        match version {
            None => versions.last().filter(|v| !v.marker),
            Some(id) => versions.iter().find(|v| v.id == id && !v.marker),
        }
    }

    /// Keys with what is to be seen, in byte order.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&String, &Version)> {
        self.keys.iter().filter_map(|(key, versions)| {
            let version = versions.last().filter(|v| !v.marker)?;
            Some((key, version))
        })
    }

    /// All versions and markers in the order of keys, the newest first; and which are the latest.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&String, &Version, bool)> {
        self.keys.iter().flat_map(|(key, versions)| {
            let newest = versions.len() - 1;
            let each = versions.iter().enumerate().rev();
            each.map(move |(i, v)| (key, v, i == newest))
        })
    }
}
