//! Who owns whom: every member gets one unit, that of its most natural parent.
//!
//! Works on circles (strongly connected components; mostly single rows) rather than rows, so that following owners
//! upward always ends. Guarantees that the rows of a circle share a unit, that a row is owned only by a row below, and
//! that units are numbered by their roots. The units may still depend on each other in circles.

use super::graph::Components;
use super::members::Standing;
use super::{Edge, NONE, Node, Roots};

/// Every member in a unit.
#[derive(Debug)]
pub(super) struct Owned {
    /// Per node its unit, [`NONE`] outside.
    pub(super) unit_of: Vec<u32>,
    /// Per unit its root, ascending.
    pub(super) roots: Vec<Node>,
}

/// Gives every member a unit; `circles` are the components of the members along child to parent.
pub(super) fn assign(
    edges: &[Edge],
    roots: Roots<'_>,
    standing: &[Standing],
    circles: Components,
) -> Owned {
    let owners = owners(edges, standing, &circles);
    let heads = heads(roots, &circles);
    let mut units = vec![NONE; circles.count as usize];
    let mut unit_roots = Vec::new();
    for (node, &circle) in (0..).zip(&circles.of) {
        if circle != NONE
            && heads[circle as usize] == node
            && owners[circle as usize] == Owner::NOBODY
        {
            units[circle as usize] = unit_roots.len() as u32;
            unit_roots.push(node);
        }
    }
    drop(heads);
    // Circles are numbered parents first, so an owner's unit is known before it is asked for.
    for (circle, owner) in owners.iter().enumerate() {
        if *owner != Owner::NOBODY {
            units[circle] = units[circles.of[owner.parent as usize] as usize];
        }
    }
    let mut unit_of = circles.of;
    for entry in unit_of.iter_mut().filter(|entry| **entry != NONE) {
        *entry = units[*entry as usize];
    }
    Owned {
        unit_of,
        roots: unit_roots,
    }
}

/// The parent that a circle belongs to; the smaller, the more natural.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    rank: u16,
    parent: Node,
}

impl Owner {
    const NOBODY: Self = Self {
        rank: u16::MAX,
        parent: NONE,
    };
}

/// Per circle its best owner below.
fn owners(edges: &[Edge], standing: &[Standing], circles: &Components) -> Vec<Owner> {
    let mut owners = vec![Owner::NOBODY; circles.count as usize];
    for edge in edges {
        let below = [edge.child, edge.parent]
            .iter()
            .all(|&node| standing[node as usize] == Standing::Below);
        let circle = circles.of[edge.child as usize];
        if below && circle != circles.of[edge.parent as usize] {
            let owner = &mut owners[circle as usize];
            *owner = (*owner).min(Owner {
                rank: edge.rank,
                parent: edge.parent,
            });
        }
    }
    owners
}

/// Per circle the node that is the root if the circle has no owner: the smallest chosen, else the smallest.
fn heads(roots: Roots<'_>, circles: &Components) -> Vec<Node> {
    let mut heads = vec![NONE; circles.count as usize];
    if let Roots::Chosen(chosen) = roots {
        for &node in chosen {
            let head = &mut heads[circles.of[node as usize] as usize];
            *head = (*head).min(node);
        }
    }
    for (node, &circle) in (0..).zip(&circles.of) {
        if circle != NONE && heads[circle as usize] == NONE {
            heads[circle as usize] = node;
        }
    }
    heads
}
