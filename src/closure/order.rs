//! In which order tables can be filled: parents before their children.
//!
//! Guarantees that a relation's parent stands in the same group as its child or in an earlier one, and that the order
//! depends on the set of relations alone. Tables that refer to each other in a circle form one group, whose rows must
//! be inserted in one statement.

use super::graph::{self, Arcs};

/// Tables that are filled together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The tables, ascending; more than one where they refer to each other in a circle.
    pub tables: Vec<usize>,
    /// Whether the tables refer to each other in a circle. A table that refers only to itself is no circle: one
    /// `INSERT` or `COPY` takes self-references in any order, since foreign keys are looked at when it ends.
    pub cyclic: bool,
    /// Whether a table of the group refers to itself: its rows cannot be spread over statements at will.
    pub self_reference: bool,
}

/// Orders tables `0..tables`, parents first, given relations as `(child, parent)`; wherever there is a choice, the
/// group with the smallest table comes first. A relation may be stated more than once.
///
/// # Panics
///
/// When a relation names a table outside `0..tables`, or there are 2³² tables or relations.
pub fn insertion_order(tables: usize, relations: &[(usize, usize)]) -> Vec<Group> {
    assert!(tables < u32::MAX as usize, "too many tables");
    let between = relations
        .iter()
        .inspect(|&&(child, parent)| assert!(child.max(parent) < tables, "no such table"))
        .map(|&(child, parent)| (child as u32, parent as u32));
    let parents = Arcs::new(tables as u32, between.clone());
    let circles = graph::components(&parents, |_| true).by_smallest_vertex();

    let mut groups = vec![Group::default(); circles.count as usize];
    for (table, &circle) in circles.of.iter().enumerate() {
        groups[circle as usize].tables.push(table);
    }
    for group in &mut groups {
        group.cyclic = group.tables.len() > 1;
    }
    for (child, _) in between.clone().filter(|(child, parent)| child == parent) {
        groups[circles.of[child as usize] as usize].self_reference = true;
    }

    let crossing = between
        .map(|(child, parent)| (circles.of[parent as usize], circles.of[child as usize]))
        .filter(|(parent, child)| parent != child);
    let children = Arcs::new(circles.count, crossing);
    graph::parents_first(&children)
        .into_iter()
        .map(|group| std::mem::take(&mut groups[group as usize]))
        .collect()
}
