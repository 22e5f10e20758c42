//! The same answers, found slowly: reachability tables of small random graphs, and the rules as they are worded.

use proptest::prelude::*;

use super::{Edge, Node, Roots, Units, units};

/// `reach[a][b]`: b can be reached from a along child to parent; every node reaches itself.
pub(super) type Reach = Vec<Vec<bool>>;

pub(super) fn reach(nodes: usize, arcs: impl IntoIterator<Item = (usize, usize)>) -> Reach {
    let mut reach = vec![vec![false; nodes]; nodes];
    for (node, row) in reach.iter_mut().enumerate() {
        row[node] = true;
    }
    for (child, parent) in arcs {
        reach[child][parent] = true;
    }
    for via in 0..nodes {
        for from in 0..nodes {
            for to in 0..nodes {
                reach[from][to] |= reach[from][via] && reach[via][to];
            }
        }
    }
    reach
}

pub(super) fn along(edges: &[Edge]) -> impl Iterator<Item = (usize, usize)> {
    edges
        .iter()
        .map(|edge| (edge.child as usize, edge.parent as usize))
}

/// What a node's unit should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) root: usize,
    pub(super) needed: bool,
}

#[derive(Clone)]
pub(super) struct Case {
    pub(super) rows: usize,
    pub(super) edges: Vec<Edge>,
    pub(super) chosen: Option<Vec<Node>>,
}

impl Case {
    fn roots(&self) -> Roots<'_> {
        self.chosen.as_deref().map_or(Roots::All, Roots::Chosen)
    }

    pub(super) fn is_chosen(&self, node: usize) -> bool {
        self.chosen
            .as_ref()
            .is_none_or(|chosen| chosen.contains(&(node as Node)))
    }

    pub(super) fn units(&self) -> Units {
        units(self.rows as u32, &self.edges, self.roots())
    }

    /// The rules, one after the other.
    pub(super) fn expected(&self) -> Vec<Option<Expected>> {
        let nodes = 0..self.rows;
        let reach = reach(self.rows, along(&self.edges));
        let below: Vec<bool> = nodes
            .clone()
            .map(|node| {
                nodes
                    .clone()
                    .any(|top| self.is_chosen(top) && reach[node][top])
            })
            .collect();
        let comes: Vec<bool> = nodes
            .clone()
            .map(|node| nodes.clone().any(|low| below[low] && reach[low][node]))
            .collect();
        let circle = |a: usize, b: usize| reach[a][b] && reach[b][a];
        let first_root = |node: usize| {
            let mut at = node;
            loop {
                let owner = self
                    .edges
                    .iter()
                    .map(|edge| (edge.rank, edge.parent as usize, edge.child as usize))
                    .filter(|&(_, parent, child)| {
                        circle(child, at) && !circle(parent, at) && below[parent] && below[child]
                    })
                    .min();
                match owner {
                    Some((_, parent, _)) => at = parent,
                    None => break,
                }
            }
            let around = || nodes.clone().filter(|&other| circle(at, other));
            let asked = around().find(|&other| self.is_chosen(other));
            asked.or(around().next()).unwrap()
        };
        let root: Vec<usize> = nodes.clone().map(first_root).collect();
        self.merged(&root, &comes)
            .into_iter()
            .zip(&below)
            .map(|(root, &below)| {
                root.map(|root| Expected {
                    root,
                    needed: !below,
                })
            })
            .collect()
    }

    /// Units that need each other take the smallest root.
    fn merged(&self, root: &[usize], comes: &[bool]) -> Vec<Option<usize>> {
        let between = along(&self.edges)
            .filter(|&(child, _)| comes[child])
            .map(|(child, parent)| (root[child], root[parent]));
        let needs = reach(self.rows, between);
        (0..self.rows)
            .map(|node| {
                let unit = root[node];
                comes[node].then(|| {
                    (0..self.rows)
                        .find(|&other| needs[unit][other] && needs[other][unit])
                        .unwrap()
                })
            })
            .collect()
    }
}

pub(super) fn edges(rows: Node) -> impl Strategy<Value = Vec<Edge>> {
    let edge = (0..rows, 0..rows, 0..3_u16).prop_map(|(child, parent, rank)| Edge {
        child,
        parent,
        rank,
    });
    // From sparse (forests) to dense (one big circle).
    (0..=2 * rows as usize).prop_flat_map(move |most| prop::collection::vec(edge.clone(), 0..=most))
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    (1..12_u32).prop_flat_map(|rows| {
        let chosen = prop::option::weighted(0.7, prop::collection::vec(0..rows, 0..4));
        (edges(rows), chosen).prop_map(move |(edges, chosen)| Case {
            rows: rows as usize,
            edges,
            chosen,
        })
    })
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows, chosen {:?}:", self.rows, self.chosen)?;
        for edge in &self.edges {
            write!(f, " {}>{}:{}", edge.child, edge.parent, edge.rank)?;
        }
        Ok(())
    }
}
