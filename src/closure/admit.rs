//! Who is admitted at all, before units are formed: rows that must not come, rows that were not asked for, and what
//! follows from them for the rows that hang from them or need them.
//!
//! Guarantees that no admitted row refers to a row that stays deleted: the unit would point at nothing.

use super::graph::Arcs;
use super::{Edge, Node, Roots, Units, units};

/// What becomes of a deleted row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It may come, if it is asked for or belongs to what is.
    Free,
    /// It stays deleted: nobody asked for it to come, since it was deleted at another time.
    Stays,
    /// It must not come, by the entry of that number in the caller's list.
    Excluded(u16),
    /// It hangs from a row that must not come, by that entry.
    HangsFromExcluded(u16),
    /// It hangs from a row of the same root that stays deleted.
    Hangs,
    /// Its unit needs a row that stays deleted.
    Blocked,
}

/// Forms the units of the rows that are free; `fates` says what the caller knows (`Free`, `Stays`, `Excluded`, and
/// `HangsFromExcluded` of a row outside), and says afterwards what follows.
///
/// - What refers, at any depth, to an excluded row is excluded with it.
/// - A row that stays below a root takes with it what hangs from it; the rest of the root's dependents come.
/// - A unit that refers to a row that stays and does not hang from a root itself cannot come at all, nor can the units that
///   depend on it.
///
/// # Panics
///
/// When an edge or root names a node outside `fates`.
pub fn admit(edges: &[Edge], roots: Roots<'_>, fates: &mut [Fate]) -> Units {
    let rows = fates.len() as u32;
    let children = Arcs::new(rows, edges.iter().map(|e| (e.parent, e.child)));
    exclude(&children, fates);
    let below = below(&children, &free(roots, fates), fates);
    hang(&children, &below, fates);
    drop(children);
    let formed = form(edges, roots, fates);
    if block(edges, &formed, fates) {
        return form(edges, roots, fates);
    }
    formed
}

/// Spreads exclusion over what hangs from it, and does nothing else: for graphs that hold more than deleted rows.
///
/// # Panics
///
/// When an edge names a node outside `fates`.
pub fn spread(edges: &[Edge], fates: &mut [Fate]) {
    let rows = fates.len() as u32;
    let children = Arcs::new(rows, edges.iter().map(|e| (e.parent, e.child)));
    exclude(&children, fates);
}

/// The roots that are free.
fn free(roots: Roots<'_>, fates: &[Fate]) -> Vec<Node> {
    let is_free = |node: &Node| fates[*node as usize] == Fate::Free;
    match roots {
        Roots::All => (0..fates.len() as u32).filter(is_free).collect(),
        Roots::Chosen(nodes) => nodes.iter().copied().filter(is_free).collect(),
    }
}

fn form(edges: &[Edge], roots: Roots<'_>, fates: &[Fate]) -> Units {
    let is_free = |node: Node| fates[node as usize] == Fate::Free;
    let rows = fates.len() as u32;
    if fates.iter().all(|f| *f == Fate::Free) {
        return units(rows, edges, roots);
    }
    let between: Vec<Edge> = edges
        .iter()
        .copied()
        .filter(|e| is_free(e.child) && is_free(e.parent))
        .collect();
    units(rows, &between, Roots::Chosen(&free(roots, fates)))
}

/// Spreads exclusion over what hangs from it. Of several entries the first decides.
fn exclude(children: &Arcs, fates: &mut [Fate]) {
    let mut excluded: Vec<(u16, Node)> = (0..fates.len() as u32)
        .filter_map(|node| match fates[node as usize] {
            Fate::Excluded(entry) | Fate::HangsFromExcluded(entry) => Some((entry, node)),
            _ => None,
        })
        .collect();
    excluded.sort_unstable();
    for (entry, start) in excluded {
        let mut reached = vec![start];
        while let Some(node) = reached.pop() {
            for &child in children.of(node) {
                let fate = &mut fates[child as usize];
                if matches!(fate, Fate::Free | Fate::Stays) {
                    *fate = Fate::HangsFromExcluded(entry);
                    reached.push(child);
                }
            }
        }
    }
}

/// Which rows hang from a root, through rows that stay as well.
fn below(children: &Arcs, roots: &[Node], fates: &[Fate]) -> Vec<bool> {
    let mut below = vec![false; fates.len()];
    let mut reached: Vec<Node> = roots.to_vec();
    roots.iter().for_each(|root| below[*root as usize] = true);
    while let Some(node) = reached.pop() {
        for &child in children.of(node) {
            let comes = matches!(fates[child as usize], Fate::Free | Fate::Stays);
            if comes && !std::mem::replace(&mut below[child as usize], true) {
                reached.push(child);
            }
        }
    }
    below
}

/// What hangs from a row that stays below a root stays with it.
fn hang(children: &Arcs, below: &[bool], fates: &mut [Fate]) {
    let mut reached: Vec<Node> = (0..fates.len() as u32)
        .filter(|n| below[*n as usize] && fates[*n as usize] == Fate::Stays)
        .collect();
    while let Some(node) = reached.pop() {
        for &child in children.of(node) {
            if fates[child as usize] == Fate::Free {
                fates[child as usize] = Fate::Hangs;
                reached.push(child);
            }
        }
    }
}

/// Marks the rows of units that need a row that stays, and of those that depend on them; whether there are any.
fn block(edges: &[Edge], formed: &Units, fates: &mut [Fate]) -> bool {
    let mut blocked = vec![false; formed.len() + 1];
    for edge in edges {
        let gone = !matches!(fates[edge.parent as usize], Fate::Free);
        if let (Some(unit), true) = (formed.unit_of(edge.child), gone) {
            blocked[unit as usize] = true;
        }
    }
    let mut any = false;
    for unit in formed.iter() {
        let needs = unit.depends_on.iter().any(|d| blocked[*d as usize]);
        if needs || blocked[unit.number as usize] {
            blocked[unit.number as usize] = true;
            any = true;
            for row in unit.rows {
                fates[*row as usize] = Fate::Blocked;
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edge(child: Node, parent: Node) -> Edge {
        Edge {
            child,
            parent,
            rank: 0,
        }
    }

    fn members(units: &Units, rows: u32) -> Vec<Node> {
        (0..rows).filter(|n| units.unit_of(*n).is_some()).collect()
    }

    #[test]
    fn an_excluded_row_takes_along_what_hangs_from_it() {
        // 0 <- 1 <- 2, 0 <- 3
        let edges = [edge(1, 0), edge(2, 1), edge(3, 0)];
        let mut fates = [Fate::Free, Fate::Excluded(4), Fate::Free, Fate::Free];
        let units = admit(&edges, Roots::Chosen(&[0]), &mut fates);
        assert_eq!(members(&units, 4), [0, 3]);
        assert_eq!(fates[2], Fate::HangsFromExcluded(4));
    }

    #[test]
    fn a_dependent_that_stays_leaves_the_rest_of_its_root() {
        // A champ deleted in the morning, with a file: the dossier comes without both.
        let edges = [edge(1, 0), edge(2, 1), edge(3, 0)];
        for roots in [Roots::Chosen(&[0][..]), Roots::All] {
            let mut fates = [Fate::Free, Fate::Stays, Fate::Free, Fate::Free];
            let units = admit(&edges, roots, &mut fates);
            assert_eq!(members(&units, 4), [0, 3]);
            assert_eq!(fates[2], Fate::Hangs);
        }
    }

    #[test]
    fn a_unit_that_needs_a_row_that_stays_is_blocked_whole() {
        // 1 is a child of 0; 1 refers to 2 too, which was deleted at another time. 3 depends on 0.
        let edges = [edge(1, 0), edge(1, 2), edge(3, 0), edge(4, 3)];
        let mut fates = [Fate::Free, Fate::Free, Fate::Stays, Fate::Free, Fate::Free];
        let units = admit(&edges, Roots::Chosen(&[0]), &mut fates);
        assert!(units.is_empty());
        assert_eq!(fates[0], Fate::Blocked);
        // Another root beside it is none the worse.
        let mut fates = [
            Fate::Free,
            Fate::Free,
            Fate::Stays,
            Fate::Free,
            Fate::Free,
            Fate::Free,
        ];
        let units = admit(&edges, Roots::Chosen(&[0, 5]), &mut fates);
        assert_eq!(members(&units, 6), [5]);
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            4 => Just(Fate::Free),
            1 => Just(Fate::Stays),
            1 => Just(Fate::Excluded(0)),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_comes_points_at_what_stays(
            fates in prop::collection::vec(fate(), 12),
            pairs in prop::collection::vec((0..12_u32, 0..12_u32), 0..24),
            roots in prop::option::of(prop::collection::vec(0..12_u32, 1..5)),
        ) {
            let edges: Vec<Edge> = pairs.iter().map(|(c, p)| edge(*c, *p)).collect();
            let roots = roots.as_deref().map_or(Roots::All, Roots::Chosen);
            let mut after = fates.clone();
            let units = admit(&edges, roots, &mut after);
            for e in &edges {
                if let (Some(child), true) = (units.unit_of(e.child), e.child != e.parent) {
                    let parent = units.unit_of(e.parent);
                    prop_assert!(parent.is_some_and(|p| p <= child), "{e:?}");
                }
            }
            for (node, fate) in fates.iter().enumerate() {
                let comes = units.unit_of(node as u32).is_some();
                prop_assert!(!comes || *fate == Fate::Free);
                prop_assert_eq!(comes && after[node] != Fate::Free, false);
            }
        }
    }
}
