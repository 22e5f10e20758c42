//! What stands in a bundle's files: plain structs with their versions, apart from anything the program thinks with.
//!
//! A change that an older reader can ignore raises the minor version; any other raises the major one, and older readers
//! refuse. Each version is listed at [`FORMAT`].

mod attachment;
mod identity;
mod large_object;
mod manifest;
mod table;
mod unit;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use attachment::{AttachmentOwner, AttachmentRecord};
pub use identity::RowIdentity;
pub use large_object::{LargeObjectGrant, LargeObjectPrivilege, LargeObjectRecord};
pub use manifest::{
    DoubtfulParent, DroppedColumn, LeftOut, Manifest, ManifestDraft, ManifestExclusion,
    ManifestFile, ManifestRename, RootFilter, Source, SourceSum, ToolBuild, Totals, WantingColumn,
    Window,
};
pub use table::{ManifestColumn, ManifestRelation, ManifestTable};
pub(super) use unit::UnitLine;
pub use unit::{Evidence, Need, RelinkRecord, RowEvidence, RowName, UnitRecord};

/// The version this build writes.
///
/// - 1.0: the first.
/// - 1.1: evidence: transactions, contradictions and rows that differ from their root in `units.jsonl.zst`; sums by source
///   and the transactions asked for in the manifest.
/// - 1.1: the manifest may say what cannot be known (`unknowable`), and which exclusions were in force (`exclusions`).
/// - 1.2: relations say what tells a parent outside the bundle from another row (`identity`), and needs what it was.
/// - 1.2: relinks say what restoring them takes: the parent's columns, its evidence, `xmin` and a hash of the rest; references
///   that were set to their default are listed too. The manifest says whether a window was asked for.
/// - 1.3: the manifest says which tables and columns had other names in the snapshot (`renames`); all others are live's names.
/// - 1.4: the large objects that rows point at: `large_objects.jsonl.zst` and `large_objects.copy.zst`; the manifest counts them, and
///   says which columns of a table can point at one (`large_objects`).
/// - 1.5: the files that rows point at: `attachments.jsonl.zst`, empty before; the manifest names what was asked for them
///   (`attachment_sources`).
pub const FORMAT: FormatVersion = FormatVersion { major: 1, minor: 5 };

/// A format version, `major.minor`; in JSON a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatVersion {
    /// Readers refuse any other than their own.
    pub major: u32,
    /// Readers ignore what a higher one has added.
    pub minor: u32,
}

impl FormatVersion {
    /// Whether this build reads it: the one place that decides.
    pub fn readable(self) -> bool {
        self.major == FORMAT.major
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for FormatVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no format version: expected major.minor");
        let number = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl Serialize for FormatVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
