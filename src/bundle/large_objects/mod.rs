//! The large objects of a bundle: an index of them (`large_objects.jsonl.zst`), and their content (`large_objects.copy.zst`) as COPY
//! text of `(loid oid, start int8, data bytea)`, in pieces. Neither file exists where no row points at one.
//!
//! Guarantees that content is written and read in pieces, whatever the size of an object, and that what is read is the object asked
//! for, whole. Memory: the index, about 100 bytes an object; of the content one piece.

mod content;
mod writer;

pub use content::LargeObjectContent;
pub(super) use writer::LargeObjectWriter;

use std::collections::HashSet;
use std::sync::Arc;

use super::format::{LargeObjectGrant, LargeObjectRecord};
use super::frames::LineReader;
use super::names::{LARGE_OBJECT_CONTENT, LARGE_OBJECTS};
use super::{Bundle, BundleError};

/// A large object that rows of the bundle point at.
#[derive(Debug, Clone)]
pub struct LargeObject {
    /// Its number.
    pub loid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the SHA-256 of its pieces.
    pub pieces_sha256: [u8; 32],
    /// Whose it was.
    pub owner: Arc<Ownership>,
    at: u64,
    skip: u64,
}

impl LargeObject {
    /// Where its content lies: to be read in this order, objects are read cheapest.
    pub fn place(&self) -> (u64, u64) {
        (self.at, self.skip)
    }
}

/// Who owned a large object, and who else had rights on it: the same for most.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// The role.
    pub owner: String,
    /// The rights of others.
    pub grants: Vec<LargeObjectGrant>,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct LargeObjects {
    /// By number.
    all: Vec<LargeObject>,
    bundle: Bundle,
}

impl Bundle {
    /// The index of its large objects; none where no row points at one.
    pub fn large_objects(&self) -> Result<Option<LargeObjects>, BundleError> {
        let has = |name: &str| self.manifest.files.iter().any(|f| f.path == name);
        if !has(LARGE_OBJECTS) {
            return Ok(None);
        }
        if !has(LARGE_OBJECT_CONTENT) {
            let cause = format!("the manifest does not list {LARGE_OBJECT_CONTENT}");
            return Err(BundleError::inconsistent(LARGE_OBJECTS, cause));
        }
        let mut lines = LineReader::open(&self.dir, LARGE_OBJECTS, 0)?;
        let (mut all, mut buffer) = (Vec::new(), Vec::new());
        let mut owners: HashSet<Arc<Ownership>> = HashSet::new();
        while lines.line(&mut buffer)? {
            let record: LargeObjectRecord =
                serde_json::from_slice(&buffer).map_err(|e| BundleError::Malformed {
                    file: LARGE_OBJECTS.to_owned(),
                    cause: format!("line {}: {e}", all.len() + 1),
                })?;
            all.push(object(record, &mut owners)?);
            buffer.clear();
        }
        all.sort_by_key(|o| o.loid);
        if all.windows(2).any(|pair| pair[0].loid == pair[1].loid) {
            let cause = "it lists an object twice";
            return Err(BundleError::inconsistent(LARGE_OBJECTS, cause));
        }
        if all.len() as u64 != self.manifest.totals.large_objects {
            let cause = format!(
                "it lists {} objects, the manifest counts {}",
                all.len(),
                self.manifest.totals.large_objects
            );
            return Err(BundleError::inconsistent(LARGE_OBJECTS, cause));
        }
        Ok(Some(LargeObjects {
            all,
            bundle: self.clone(),
        }))
    }
}

fn object(
    record: LargeObjectRecord,
    owners: &mut HashSet<Arc<Ownership>>,
) -> Result<LargeObject, BundleError> {
    let wrong = || {
        let cause = format!("no SHA-256 of large object {}", record.loid);
        BundleError::inconsistent(LARGE_OBJECTS, cause)
    };
    let pieces_sha256 = content::unhex(record.pieces_sha256.as_bytes()).ok_or_else(wrong)?;
    let pieces_sha256 = <[u8; 32]>::try_from(pieces_sha256).map_err(|_| wrong())?;
    let owner = Arc::new(Ownership {
        owner: record.owner,
        grants: record.grants,
    });
    let owner = match owners.get(&owner) {
        Some(known) => known.clone(),
        None => {
            owners.insert(owner.clone());
            owner
        }
    };
    Ok(LargeObject {
        loid: record.loid,
        size: record.size,
        pieces_sha256,
        owner,
        at: record.at,
        skip: record.skip,
    })
}

impl LargeObjects {
    /// The object of that number, if rows of the bundle point at it.
    pub fn get(&self, loid: u32) -> Option<&LargeObject> {
        let place = self.all.binary_search_by_key(&loid, |o| o.loid).ok()?;
        self.all.get(place)
    }

    /// What reads their content.
    pub fn content(&self) -> LargeObjectContent {
        LargeObjectContent::new(self.bundle.dir.clone())
    }
}
