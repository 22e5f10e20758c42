//! Closure: which deleted rows come back, and which of them belong together.
//!
//! Nodes are deleted rows (candidates), edges their references to other deleted rows. From the rows that were asked for
//! this room finds everything that comes with them, cuts the whole into units, and says which unit needs which other
//! one first ([`units`]); for tables it says in which order rows can be inserted ([`insertion_order`]).
//!
//! ```text
//!  edges, roots ─ members ─ owners ─ groups ─ units      members: who comes, and why
//!                    └────────┴────────┴── graph         owners:  one unit for each row, by its most natural parent
//!                                                        groups:  units that need each other become one; order
//! ```
//!
//! Guarantees: the result depends on the set of edges and roots alone, never on their order. Each member is in exactly
//! one unit, and each of its parents is in the same unit or in an earlier one that is listed in
//! [`Unit::depends_on`]. Nothing recurses, so a chain of millions of rows is as good as any other shape.
//!
//! Memory, for `n` nodes and `e` edges (12 bytes each, the caller's): the result takes 8 bytes per node, 13 per unit,
//! and 8 per dependency between two units. On the way there it takes at most about 33 bytes per node and 8 per edge (5
//! million rows, 10 million references: 100 to 240 MB and a few seconds); a chain of references takes up to 24 bytes per
//! row of its length while it is followed, before most of the rest is needed. Time is `O(n + e)`, and `O(u log u)` for
//! putting `u` units in order.
//!
//! Refuses: nothing that is a graph. A node outside `0..rows` is a bug of the caller, and panics.

mod admit;
mod graph;
mod groups;
mod members;
mod order;
mod owners;
mod unit;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use admit::{Fate, admit, spread};
pub use order::{Group, insertion_order};
pub use unit::{Unit, Units};

use graph::Arcs;

/// A deleted row (candidate): a dense number over all tables, table after table, in key order within a table.
pub type Node = u32;

/// Stands for "no node" and "no unit" in flat arrays: one more than the last number a node can have.
const NONE: u32 = u32::MAX;

/// A reference from one deleted row to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The row that refers.
    pub child: Node,
    /// The row referred to.
    pub parent: Node,
    /// How natural an owner the parent is, lower first: `ON DELETE CASCADE` before NOT NULL before nullable before
    /// declared in the configuration.
    pub rank: u16,
}

/// The rows that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots<'a> {
    /// Every node.
    All,
    /// These nodes, in any order; naming one twice changes nothing.
    Chosen(&'a [Node]),
}

/// Groups deleted rows into units.
///
/// - **Who comes.** The roots, all that refers to them at any depth (they and these rows are *below*), then every
///   deleted parent that one of them needs, upward only: a needed parent's other children stay deleted.
/// - **Who owns whom.** A row below that refers to another row below belongs to the unit of exactly one of its parents
///   below: the lowest rank, then the smallest node. Rows that refer to each other in a circle belong together, and
///   their owner is the best parent outside the circle.
/// - **Roots.** A row or circle without an owner is a unit's root; in a circle, its smallest chosen node if it has
///   one, else its smallest node. A needed parent is a unit of its own, as is a circle of them.
/// - **Dependence.** A unit depends on another when one of its rows refers to a row there. Units that depend on each
///   other, directly or around a circle, are merged; the smallest of their roots is the root.
///
/// A row's reference to itself never matters, and a second edge between the same rows counts by its lowest rank.
///
/// # Panics
///
/// When an edge or a root names a node outside `0..rows`, or there are 2³² − 1 edges or more.
pub fn units(rows: u32, edges: &[Edge], roots: Roots<'_>) -> Units {
    let parents = Arcs::new(rows, edges.iter().map(|edge| (edge.child, edge.parent)));
    let standing = members::standing(rows, edges, roots, &parents);
    let circles = graph::components(&parents, |node| standing[node as usize].comes());
    drop(parents);
    let owned = owners::assign(edges, roots, &standing, circles);
    groups::arrange(edges, &standing, owned)
}
