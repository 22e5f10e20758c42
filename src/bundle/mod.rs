//! The bundle: a directory of its own that holds the rows to give back, and the only thing that passes from `extract`
//! to everything that writes.
//!
//! Guarantees: a bundle exists whole or not at all (it is written beside its place and renamed); it never changes
//! afterwards (each file's SHA-256 stands in the manifest, the manifest's own is the bundle's id); it is written and
//! read in bounded memory, one unit at a time; its files are for their owner only; and each can be read with standard
//! tools.
//!
//! Refuses: to write over anything; to read what is changed, incomplete, has strangers in it, points outside its
//! directory, or was written in a format of another major version.
//!
//! `docs/BUNDLE.md` describes the format field by field.

pub mod format;
pub mod key_text;

mod attachments;
mod check;
mod digest;
mod error;
mod frames;
mod large_objects;
mod names;
mod partial;
mod reader;
mod recast;
mod relinks;
mod renamed;
mod restore_text;
mod rows;
mod units;
mod writer;

pub use attachments::Attachments;
pub use error::BundleError;
pub use format::{
    AttachmentOwner, AttachmentRecord, DoubtfulParent, DroppedColumn, Evidence, FORMAT,
    FormatVersion, LargeObjectGrant, LargeObjectPrivilege, LargeObjectRecord, LeftOut, Manifest,
    ManifestColumn, ManifestDraft, ManifestExclusion, ManifestFile, ManifestRelation,
    ManifestRename, ManifestTable, Need, RelinkRecord, RootFilter, RowEvidence, RowIdentity,
    RowName, Source, SourceSum, ToolBuild, Totals, UnitRecord, WantingColumn, Window,
};
pub use large_objects::{LargeObject, LargeObjectContent, LargeObjects, Ownership};
pub use reader::Bundle;
pub use recast::{Overlay, OverlayWriter, Recast, TableLines};
pub use relinks::Relinks;
pub use rows::{BundleRows, UnitRows};
pub use units::Units;
pub use writer::BundleWriter;

/// A bundle's id: the SHA-256 of its `manifest.json`, in lower-case hex.
pub type BundleId = String;

#[cfg(test)]
mod tests;
