//! References between tables: foreign keys of both schemas, and those that only the configuration states.

use serde::Serialize;

use crate::ident::TableName;

use super::model::{OnDelete, Schema};

/// A reference: rows of `child` point at rows of `parent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// The referencing table.
    pub child: TableName,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The referenced table.
    pub parent: TableName,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// Holds only where these columns of the child have these values (a polymorphic reference).
    pub when: Vec<(String, String)>,
    /// Stated by the configuration, not by a foreign key.
    pub declared: bool,
    /// What the deletion of a parent does to the child.
    pub on_delete: OnDelete,
    /// Every child has a parent: all child columns are NOT NULL.
    pub required: bool,
}

impl Relation {
    /// How natural it is for the parent to own the child; lower is more natural. A cascade says so outright, a
    /// required reference nearly so; a declared one is usually the owner that nobody wrote down.
    pub fn rank(&self) -> u16 {
        match (self.on_delete, self.required, self.declared) {
            (OnDelete::Cascade, _, _) => 0,
            (_, true, true) => 1,
            (_, true, false) => 2,
            (_, false, _) => 3,
        }
    }

    fn same_reference(&self, other: &Self) -> bool {
        self.child == other.child
            && self.child_columns == other.child_columns
            && self.parent == other.parent
            && self.parent_columns == other.parent_columns
            && self.when == other.when
    }
}

/// The relations of a restore: foreign keys of the snapshot, those that only live has, and declared ones, each once,
/// as far as their tables and columns exist in the snapshot.
pub fn merge_relations(snapshot: &Schema, live: &Schema, declared: &[Relation]) -> Vec<Relation> {
    let mut merged: Vec<Relation> = Vec::new();
    let of_keys = [snapshot, live].into_iter().flat_map(|schema| {
        schema.foreign_keys.iter().map(|k| Relation {
            child: k.child.clone(),
            child_columns: k.child_columns.clone(),
            parent: k.parent.clone(),
            parent_columns: k.parent_columns.clone(),
            when: Vec::new(),
            declared: false,
            on_delete: k.on_delete,
            required: false,
        })
    });
    for mut relation in of_keys.chain(declared.iter().cloned()) {
        let (Some(child), Some(parent)) = (
            snapshot.tables.get(&relation.child),
            snapshot.tables.get(&relation.parent),
        ) else {
            continue;
        };
        let exists = relation
            .child_columns
            .iter()
            .all(|c| child.column(c).is_some())
            && relation
                .parent_columns
                .iter()
                .all(|c| parent.column(c).is_some());
        if !exists || merged.iter().any(|m| m.same_reference(&relation)) {
            continue;
        }
        relation.required = relation
            .child_columns
            .iter()
            .all(|c| child.column(c).is_some_and(|c| c.not_null));
        merged.push(relation);
    }
    merged
}
