//! Units that need each other become one; the rest is put in order.
//!
//! Guarantees that dependence between the units of the result has no circles, that each unit comes after those it
//! depends on, and that wherever there is a choice the unit with the smaller root comes first.

use super::graph::{self, Arcs, Components};
use super::members::Standing;
use super::owners::Owned;
use super::unit::Units;
use super::{Edge, NONE, Node};
use crate::ident::UnitId;

/// Merges units that depend on each other, and numbers all of them in order.
pub(super) fn arrange(edges: &[Edge], standing: &[Standing], owned: Owned) -> Units {
    let Owned { mut unit_of, roots } = owned;
    let merged = merge(edges, &unit_of, roots.len() as u32);
    let roots = merged_roots(&merged, &roots);
    replace(&mut unit_of, &merged.of);
    drop(merged);

    let units = roots.len() as u32;
    let children = Arcs::new(
        units,
        crossing(edges, &unit_of).map(|(child, parent)| (parent, child)),
    );
    let order = graph::parents_first(&children);
    drop(children);
    let mut position = vec![NONE; roots.len()];
    for (place, &unit) in (0..).zip(&order) {
        position[unit as usize] = place;
    }
    replace(&mut unit_of, &position);
    drop(position);
    let roots: Vec<Node> = order.iter().map(|&unit| roots[unit as usize]).collect();
    drop(order);

    let (depends_from, depends) = dependencies(edges, &unit_of, units);
    // What a needed row is merged with is needed too: its parents are never below.
    let needed = roots
        .iter()
        .map(|&root| standing[root as usize] == Standing::Needed)
        .collect();
    let members = (0..).zip(&unit_of).filter(|&(_, &unit)| unit != NONE);
    let rows = Arcs::new(units, members.map(|(node, &unit)| (unit, node)));
    Units {
        unit_of,
        roots,
        needed,
        rows,
        depends_from,
        depends,
    }
}

/// The references from one unit to another, as `(child's unit, parent's unit)`.
fn crossing<'a>(
    edges: &'a [Edge],
    unit_of: &'a [u32],
) -> impl Iterator<Item = (u32, u32)> + Clone + 'a {
    edges
        .iter()
        .map(|edge| (unit_of[edge.child as usize], unit_of[edge.parent as usize]))
        // Of a member all parents come, so it is enough to ask for the child.
        .filter(|&(child, parent)| child != NONE && child != parent)
}

/// Finds the units that depend on each other, numbered by their smallest unit.
fn merge(edges: &[Edge], unit_of: &[u32], units: u32) -> Components {
    let parents = Arcs::new(units, crossing(edges, unit_of));
    graph::components(&parents, |_| true).by_smallest_vertex()
}

/// Per merged unit its smallest root: units stand in the order of their roots, so the first one met.
fn merged_roots(merged: &Components, roots: &[Node]) -> Vec<Node> {
    let mut smallest = Vec::with_capacity(merged.count as usize);
    for (&unit, &root) in merged.of.iter().zip(roots) {
        if unit as usize == smallest.len() {
            smallest.push(root);
        }
    }
    smallest
}

fn replace(unit_of: &mut [u32], by: &[u32]) {
    for unit in unit_of.iter_mut().filter(|unit| **unit != NONE) {
        *unit = by[*unit as usize];
    }
}

/// Per unit the numbers of those it depends on, sorted and unique, as starts and one flat array.
fn dependencies(edges: &[Edge], unit_of: &[u32], units: u32) -> (Vec<u32>, Vec<UnitId>) {
    let parents = Arcs::new(units, crossing(edges, unit_of));
    let (starts, places) = parents.unique().into_parts();
    let numbers = places.iter().map(|&place| UnitId::from(place) + 1);
    (starts, numbers.collect())
}
