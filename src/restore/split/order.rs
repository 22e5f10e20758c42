//! The order in which the tables of a unit have their turn: that of the bundle; within a circle, by the references that may not be NULL.
//!
//! It follows from the bundle alone. The journal counts the rows of a unit in this order, so that it must be the same whatever becomes
//! of live.

use crate::bundle::{Manifest, ManifestRelation};

/// By table of the manifest.
pub(in crate::restore) fn turns(manifest: &Manifest) -> Vec<usize> {
    let mut turns = vec![0; manifest.tables.len()];
    let mut next = 0;
    for circle in &manifest.insertion_order {
        let mut left = circle.clone();
        while !left.is_empty() {
            let waits = |table: &usize| {
                let mut relations = manifest.relations.iter();
                relations.any(|r| hard(manifest, r, *table, &left))
            };
            // Where they all wait for each other, nothing tells who should be first.
            let first = left.iter().position(|t| !waits(t)).unwrap_or(0);
            turns[left.remove(first)] = next;
            next += 1;
        }
    }
    turns
}

/// Whether rows of a table must refer to one of `others`, besides itself.
fn hard(manifest: &Manifest, relation: &ManifestRelation, table: usize, others: &[usize]) -> bool {
    let child = &manifest.tables[table];
    if relation.child != child.table {
        return false;
    }
    let may_be_null = |name: &String| {
        let column = child.columns.iter().find(|c| c.name == *name);
        column.is_none_or(|c| !c.not_null) && !child.key.contains(name)
    };
    let parent = others
        .iter()
        .find(|t| manifest.tables[**t].table == relation.parent);
    parent.is_some_and(|p| *p != table) && !relation.child_columns.iter().any(may_be_null)
}
