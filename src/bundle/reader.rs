//! Opens a bundle: nothing in it is believed before its digest has been compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::digest::sha256;
use super::format::{Manifest, UnitRecord};
use super::names::{MANIFEST, MANIFEST_DIGEST};
use super::recast::{Overlay, Recast};
use super::{BundleError, BundleId, BundleRows, Units, check};
use crate::catalog::Renames;
use crate::ident::UnitId;

/// A bundle whose every file was found to be what its manifest says.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The manifest.
    pub manifest: Manifest,
    /// Its SHA-256, hex: the bundle's id.
    pub id: BundleId,
    /// Where the bundle lies.
    pub dir: PathBuf,
    /// What live calls otherwise since the bundle was made: the manifest here, and all that is read of the bundle, has live's names.
    pub renames: Renames,
    /// Columns that have live's type here, other than the bundle's files.
    pub recasts: Vec<Recast>,
    /// Their values, by table.
    pub(super) overlays: BTreeMap<usize, Overlay>,
}

impl Bundle {
    /// Opens the bundle at `dir` and reads every file once to compare its digest.
    ///
    /// Errors: `NotABundle`, `Version`, `Malformed`, `Inconsistent`, `Changed`, `Missing`, `Extra`, `Path`, `Io`.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let json = read_small(dir, MANIFEST)?.ok_or_else(|| BundleError::NotABundle {
            path: dir.to_owned(),
        })?;
        let beside = read_small(dir, MANIFEST_DIGEST)?.ok_or_else(|| BundleError::Missing {
            file: MANIFEST_DIGEST.to_owned(),
        })?;
        let id = sha256(&json);
        if beside != digest_line(&id).as_bytes() {
            return Err(BundleError::Changed {
                file: MANIFEST.to_owned(),
                against: MANIFEST_DIGEST,
                difference: "SHA-256 differs".to_owned(),
            });
        }
        let manifest = Manifest::parse(&json)?;
        check::directory(dir, &manifest)?;
        Ok(Self {
            manifest,
            id,
            dir: dir.to_owned(),
            renames: Renames::default(),
            recasts: Vec::new(),
            overlays: BTreeMap::new(),
        })
    }

    /// Its units in order, without their rows, in bounded memory.
    pub fn units(
        &self,
    ) -> Result<impl Iterator<Item = Result<UnitRecord, BundleError>> + use<>, BundleError> {
        Units::open(self)
    }

    /// Walks its rows from the first unit.
    pub fn read(&self) -> Result<BundleRows, BundleError> {
        BundleRows::open(self, 1)
    }

    /// Walks its rows from `unit` on: reads the units before it, but of their rows only those that share a frame with it.
    pub fn read_from(&self, unit: UnitId) -> Result<BundleRows, BundleError> {
        BundleRows::open(self, unit)
    }
}

/// What `manifest.json.sha256` holds: what `sha256sum manifest.json` prints.
pub(super) fn digest_line(id: &str) -> String {
    format!("{id}  {MANIFEST}\n")
}

/// Reads a whole file that must not be a link; `None` where there is none.
fn read_small(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, BundleError> {
    let path = dir.join(name);
    match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(BundleError::io("read", &path, e)),
        Ok(meta) => check::plain(name, meta.file_type())?,
    }
    fs::read(&path)
        .map(Some)
        .map_err(|e| BundleError::io("read", &path, e))
}
