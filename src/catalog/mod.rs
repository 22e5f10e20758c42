//! What a database's schema says: tables, keys, references, what stands in the way of inserting; what two schemas
//! have in common; and the one expression that hashes a row.
//!
//! [`introspect`] reads; everything else here is pure. System schemas and this program's own are left out; partitions
//! are seen through their root.

mod columns;
mod content;
mod drift;
mod fingerprint;
mod introspect;
mod large_objects;
mod lookup;
mod model;
mod pages;
mod pattern;
mod relation;
mod rename;
mod rowhash;

pub use content::{COMMITTED, content_digest};
pub use drift::{Comparable, Drift, TableDrift, compare};
pub use fingerprint::fingerprint;
pub use introspect::introspect;
pub use large_objects::{PIECE, pieces_sql, readable_sql};
pub use lookup::{Locator, typed_list};
pub use model::{
    Collation, Column, ForeignKey, Identity, OnDelete, Schema, Stored, Table, TableKind, Trigger,
    Unique,
};
pub use pages::PageSlices;
pub use pattern::{PatternError, TablePatterns, nearest_table};
pub use relation::{IdentityRule, Relation, merge_relations};
pub use rename::{Names, Rename, RenameError, Renames, by_now, guess_renames};
pub use rowhash::{HashExpressions, HashedColumn, hash_expressions};
