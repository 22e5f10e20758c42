//! The manifest's tables, their columns, and the relations between them.

use serde::{Deserialize, Serialize};

use super::RowIdentity;
use crate::ident::TableName;

/// A table of the bundle and the file that holds its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestTable {
    /// Table.
    pub table: TableName,
    /// Its file, relative to the bundle; the writer chooses it.
    #[serde(default)]
    pub file: String,
    /// Its columns in order, generated ones included.
    pub columns: Vec<ManifestColumn>,
    /// Columns of its key, in key order; empty where it has none and its rows are a bag.
    pub key: Vec<String>,
    /// Rows in the file; the writer counts them.
    #[serde(default)]
    pub rows: u64,
    /// Whether it references itself or belongs to a cycle of tables.
    #[serde(default)]
    pub cyclic: bool,
    /// Columns whose values can be numbers of large objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub large_objects: Vec<String>,
}

impl ManifestTable {
    /// The columns that the file's lines hold, in order: all but the generated ones, which the server computes, where they
    /// are not part of the key.
    pub fn stored_columns(&self) -> impl Iterator<Item = &ManifestColumn> {
        self.columns
            .iter()
            .filter(|c| !c.generated || self.key.contains(&c.name))
    }

    /// The stored columns that an INSERT gives values for.
    pub fn inserted_columns(&self) -> impl Iterator<Item = &ManifestColumn> {
        self.columns.iter().filter(|c| !c.generated)
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestColumn {
    /// Name, unquoted.
    pub name: String,
    /// Type, as `format_type` shows it.
    pub type_name: String,
    /// Whether NULL is refused.
    #[serde(default)]
    pub not_null: bool,
    /// Whether it is computed from other columns (`GENERATED ALWAYS AS (…)`); the rows then have no field for it, unless it belongs to
    /// the key.
    #[serde(default)]
    pub generated: bool,
    /// `always` or `by default` for an identity column.
    #[serde(default)]
    pub identity: Option<String>,
}

/// A reference between tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRelation {
    /// The table that references.
    pub child: TableName,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The table referenced, in the bundle or not.
    pub parent: TableName,
    /// Its columns, as many.
    pub parent_columns: Vec<String>,
    /// Polymorphic: holds only for rows whose column has the value, for each pair.
    #[serde(default)]
    pub when: Vec<(String, String)>,
    /// Stated by the configuration; no foreign key guards it.
    #[serde(default)]
    pub declared: bool,
    /// Some unit needs a row of the parent that is not its own: such rows are locked when it goes in.
    #[serde(default)]
    pub needed: bool,
    /// What tells such a row from another under the same key; none where nothing does, and before 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RowIdentity>,
}
