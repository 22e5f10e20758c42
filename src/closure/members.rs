//! Who comes: the roots, all that hangs from them, and the deleted parents that these need.
//!
//! Guarantees that the members are closed: no row below is without its children, no member without its deleted parents.
//! A needed parent never has a parent below, since it would then be below itself.

use super::graph::Arcs;
use super::{Edge, Node, Roots};

/// Whether and why a row comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It stays deleted.
    Outside,
    /// It is a root or hangs from one.
    Below,
    /// Only because others need it.
    Needed,
}

impl Standing {
    /// Whether the row is a member.
    pub(super) fn comes(self) -> bool {
        self != Self::Outside
    }
}

/// Tells for each node whether it comes; `parents` leads from child to parent.
pub(super) fn standing(
    rows: u32,
    edges: &[Edge],
    roots: Roots<'_>,
    parents: &Arcs,
) -> Vec<Standing> {
    let Roots::Chosen(chosen) = roots else {
        return vec![Standing::Below; rows as usize];
    };
    let mut standing = vec![Standing::Outside; rows as usize];
    for &node in chosen {
        standing[node as usize] = Standing::Below;
    }
    let children = Arcs::new(rows, edges.iter().map(|edge| (edge.parent, edge.child)));
    spread(
        &children,
        chosen.iter().copied(),
        &mut standing,
        Standing::Below,
    );
    drop(children);
    for node in 0..rows {
        if standing[node as usize] == Standing::Below {
            spread(parents, [node], &mut standing, Standing::Needed);
        }
    }
    standing
}

/// Marks all that can be reached from these nodes and has no mark yet.
fn spread(
    arcs: &Arcs,
    from: impl IntoIterator<Item = Node>,
    standing: &mut [Standing],
    mark: Standing,
) {
    let mut reached: Vec<Node> = Vec::new();
    for start in from {
        reached.push(start);
        while let Some(node) = reached.pop() {
            for &next in arcs.of(node) {
                if standing[next as usize] == Standing::Outside {
                    standing[next as usize] = mark;
                    reached.push(next);
                }
            }
        }
    }
}
