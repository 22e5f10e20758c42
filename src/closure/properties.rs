//! What must hold for every graph, tried on random ones.

use proptest::prelude::*;

use super::oracle::{Case, Expected, along, cases, edges, reach};
use super::{Node, insertion_order};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn units_are_those_of_the_rules(case in cases()) {
        let found = case.units();
        for (node, expected) in (0..).zip(case.expected()) {
            let unit = found.unit_of(node).and_then(|number| found.get(number));
            let unit = unit.map(|unit| Expected { root: unit.root as usize, needed: unit.needed });
            prop_assert_eq!(unit, expected, "row {}", node);
        }
    }

    #[test]
    fn every_member_is_in_exactly_one_unit(case in cases()) {
        let found = case.units();
        let mut seen = vec![None; case.rows];
        for (number, unit) in (1..).zip(found.iter()) {
            prop_assert_eq!(unit.number, number);
            prop_assert!(unit.rows.contains(&unit.root));
            prop_assert!(unit.rows.is_sorted_by(|a, b| a < b));
            for &row in unit.rows {
                prop_assert_eq!(seen[row as usize].replace(number), None);
            }
        }
        for (node, seen) in (0..).zip(seen) {
            prop_assert_eq!(found.unit_of(node), seen);
        }
    }

    #[test]
    fn members_are_closed(case in cases()) {
        let found = case.units();
        for node in (0..case.rows).filter(|&node| case.is_chosen(node)) {
            prop_assert!(found.unit_of(node as Node).is_some());
        }
        for edge in &case.edges {
            let (child, parent) = (found.unit_of(edge.child), found.unit_of(edge.parent));
            prop_assert!(child.is_none() || parent.is_some(), "a parent is missing");
            let below = parent.and_then(|number| found.get(number)).is_some_and(|unit| !unit.needed);
            prop_assert!(child.is_some() || !below, "a child is missing");
        }
    }

    #[test]
    fn dependencies_are_the_references_and_come_earlier(case in cases()) {
        let found = case.units();
        for unit in found.iter() {
            let mut expected: Vec<u64> = case
                .edges
                .iter()
                .filter(|edge| unit.rows.contains(&edge.child))
                .filter_map(|edge| found.unit_of(edge.parent))
                .filter(|&number| number != unit.number)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(unit.depends_on, expected);
            prop_assert!(unit.depends_on.iter().all(|&other| other < unit.number));
        }
    }

    /// Nothing in the order could be swapped for a smaller root.
    #[test]
    fn order_is_by_root_where_dependence_leaves_a_choice(case in cases()) {
        let found = case.units();
        for unit in found.iter() {
            let later = found.iter().skip(unit.number as usize);
            for other in later.filter(|other| other.root < unit.root) {
                prop_assert!(other.depends_on.iter().any(|&number| number >= unit.number));
            }
        }
    }

    /// A unit is one piece: what does not hang from its root came by a merger, along references of its own rows.
    #[test]
    fn a_unit_is_in_one_piece(case in cases()) {
        let found = case.units();
        for unit in found.iter() {
            let inside = along(&case.edges).filter(|(a, b)| {
                [a, b].iter().all(|&&row| unit.rows.contains(&(row as Node)))
            });
            let reach = reach(case.rows, inside.flat_map(|(a, b)| [(a, b), (b, a)]));
            for &row in unit.rows {
                prop_assert!(reach[row as usize][unit.root as usize], "row {} of {:?}", row, unit);
            }
        }
    }

    #[test]
    fn rows_in_a_circle_share_a_unit(case in cases()) {
        let found = case.units();
        let reach = reach(case.rows, along(&case.edges));
        for edge in &case.edges {
            if reach[edge.parent as usize][edge.child as usize] {
                prop_assert_eq!(found.unit_of(edge.child), found.unit_of(edge.parent));
            }
        }
    }

    #[test]
    fn the_order_of_edges_and_roots_is_of_no_account(
        (case, shuffled) in cases().prop_flat_map(|case| {
            let edges = Just(case.edges.clone()).prop_shuffle();
            (Just(case), edges)
        }),
    ) {
        let turned: Option<Vec<Node>> = case.chosen.clone().map(|chosen| chosen.into_iter().rev().collect());
        let other = Case { rows: case.rows, edges: shuffled, chosen: turned };
        let (one, other) = (case.units(), other.units());
        prop_assert!(one.iter().eq(other.iter()));
    }

    #[test]
    fn tables_stand_after_their_parents(relations in edges(9)) {
        let relations: Vec<(usize, usize)> = along(&relations).collect();
        let reach = reach(9, relations.iter().copied());
        let groups = insertion_order(9, &relations);
        let mut place = [None; 9];
        for (at, group) in groups.iter().enumerate() {
            prop_assert_eq!(group.cyclic, group.tables.len() > 1);
            let itself = relations.iter().any(|&(a, b)| a == b && group.tables.contains(&a));
            prop_assert_eq!(group.self_reference, itself);
            for &table in &group.tables {
                prop_assert_eq!(place[table].replace(at), None);
            }
        }
        for a in 0..9 {
            prop_assert!(place[a].is_some());
            for b in 0..9 {
                prop_assert!(!reach[a][b] || place[b] <= place[a]);
                prop_assert_eq!(place[a] == place[b], reach[a][b] && reach[b][a]);
            }
        }
        let mut turned = relations.clone();
        turned.reverse();
        prop_assert_eq!(groups, insertion_order(9, &turned));
    }
}
