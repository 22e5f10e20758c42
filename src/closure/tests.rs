//! Small graphs, drawn. `2>1` is row 2 referring to row 1 by the most natural relation, `2>1:3` by one of rank 3.

use super::{Edge, Node, Roots, Units, insertion_order, units};

/// Reads a drawing.
fn edges(drawing: &str) -> Vec<Edge> {
    drawing
        .split_whitespace()
        .map(|arrow| {
            let (arrow, rank) = arrow.split_once(':').unwrap_or((arrow, "0"));
            let (child, parent) = arrow.split_once('>').unwrap();
            Edge {
                child: child.parse().unwrap(),
                parent: parent.parse().unwrap(),
                rank: rank.parse().unwrap(),
            }
        })
        .collect()
}

/// One unit a line: its number, its rows with the root in brackets, what it depends on, and whether it is only needed.
fn drawn(units: &Units) -> Vec<String> {
    units
        .iter()
        .map(|unit| {
            let rows: Vec<String> = unit
                .rows
                .iter()
                .map(|&row| {
                    if row == unit.root {
                        format!("[{row}]")
                    } else {
                        row.to_string()
                    }
                })
                .collect();
            let mut line = format!("{}: {}", unit.number, rows.join(" "));
            if !unit.depends_on.is_empty() {
                line.push_str(&format!(" after {:?}", unit.depends_on));
            }
            if unit.needed {
                line.push_str(" needed");
            }
            line
        })
        .collect()
}

#[track_caller]
fn all(rows: u32, drawing: &str, expected: &[&str]) {
    assert_eq!(drawn(&units(rows, &edges(drawing), Roots::All)), expected);
}

#[track_caller]
fn chosen(rows: u32, drawing: &str, roots: &[Node], expected: &[&str]) {
    let units = units(rows, &edges(drawing), Roots::Chosen(roots));
    assert_eq!(drawn(&units), expected);
}

#[test]
fn nothing_deleted_makes_no_units() {
    let none = units(0, &[], Roots::All);
    assert!(none.is_empty());
    assert_eq!((none.len(), none.get(1), none.unit_of(0)), (0, None, None));
    chosen(3, "1>0", &[], &[]);
}

#[test]
fn lone_rows_are_units_in_their_own_order() {
    all(3, "", &["1: [0]", "2: [1]", "3: [2]"]);
}

#[test]
fn a_cascade_is_one_unit() {
    all(5, "1>0 2>0 3>1 4>3", &["1: [0] 1 2 3 4"]);
}

#[test]
fn an_owner_can_come_later_than_its_rows() {
    all(4, "0>3 1>0", &["1: [2]", "2: 0 1 [3]"]);
}

#[test]
fn a_shared_parent_owned_by_nobody_heads_the_unit_of_all_its_children() {
    all(4, "1>0 2>0 3>0", &["1: [0] 1 2 3"]);
}

#[test]
fn a_shared_parent_that_was_not_asked_for_is_a_unit_of_its_own() {
    chosen(
        4,
        "1>0 2>0 3>0",
        &[3, 1],
        &["1: [0] needed", "2: [1] after [1]", "3: [3] after [1]"],
    );
}

#[test]
fn a_join_row_belongs_to_the_more_natural_parent_and_then_to_the_smaller() {
    all(3, "2>0 2>1", &["1: [1]", "2: [0] 2 after [1]"]);
    all(3, "2>0:1 2>1", &["1: [0]", "2: [1] 2 after [1]"]);
    all(3, "2>0:3 2>1:2 2>0:1", &["1: [1]", "2: [0] 2 after [1]"]);
}

#[test]
fn self_references() {
    all(1, "0>0", &["1: [0]"]);
    all(4, "0>0 1>0 2>1 3>2", &["1: [0] 1 2 3"]);
    all(4, "0>1 1>2 2>3 3>0", &["1: [0] 1 2 3"]);
    all(4, "3>2 2>1 1>3 0>3", &["1: 0 [1] 2 3"]);
}

#[test]
fn tables_that_refer_to_each_other() {
    all(5, "0>2 2>0 1>3 3>1 4>3", &["1: [0] 2", "2: [1] 3 4"]);
}

#[test]
fn a_circle_belongs_to_its_owner_outside() {
    // 1 and 2 refer to each other naturally, but only 0 is outside.
    all(4, "1>2 2>1 2>0:7 3>1", &["1: [0] 1 2 3"]);
    all(
        4,
        "2>3 3>2 2>0:2 3>1:1",
        &["1: [0]", "2: [1] 2 3 after [1]"],
    );
}

#[test]
fn units_that_need_each_other_are_one() {
    // Row 2 of 0 needs 1, row 3 of 1 needs 0.
    all(4, "2>0 2>1:1 3>1 3>0:1", &["1: [0] 1 2 3"]);
    // Around three units; a fourth stands behind, a fifth before.
    all(
        8,
        "3>0 3>1:1 4>1 4>2:1 5>2 5>0:1 6>0:1 6>7 5>7:2 7>7",
        &["1: [0] 1 2 3 4 5 6 7"],
    );
    all(
        8,
        "3>0 3>1:1 4>1 4>2:1 5>2 5>0:1 5>7:2",
        &["1: [6]", "2: [7]", "3: [0] 1 2 3 4 5 after [2]"],
    );
}

#[test]
fn units_come_after_what_they_depend_on_and_else_by_root() {
    all(
        7,
        "4>0 4>3:1 5>1 5>2:1 6>1 6>0:1 6>2:2",
        &[
            "1: [2]",
            "2: [3]",
            "3: [0] 4 after [2]",
            "4: [1] 5 6 after [1, 3]",
        ],
    );
}

#[test]
fn a_missing_parent_comes_with_its_own_parents_and_nothing_else() {
    // 4 was chosen; 2 and 0 are its ancestors; 1 and 3 are their other children.
    chosen(
        6,
        "1>0 2>0 3>2 4>2 5>4",
        &[4],
        &[
            "1: [0] needed",
            "2: [2] after [1] needed",
            "3: [4] 5 after [2]",
        ],
    );
}

#[test]
fn a_descendant_brings_its_other_parent() {
    chosen(3, "2>0 2>1", &[0], &["1: [1] needed", "2: [0] 2 after [1]"]);
    // However natural: who was not asked for owns nobody below.
    chosen(
        3,
        "2>0:5 2>1",
        &[0],
        &["1: [1] needed", "2: [0] 2 after [1]"],
    );
}

#[test]
fn needed_parents_in_a_circle_are_one_unit() {
    chosen(
        3,
        "0>1 1>0 2>1",
        &[2],
        &["1: [0] 1 needed", "2: [2] after [1]"],
    );
}

#[test]
fn a_root_that_hangs_from_another_root_joins_it() {
    chosen(4, "1>0 2>1 3>2", &[2, 0, 2], &["1: [0] 1 2 3"]);
}

#[test]
fn a_chosen_row_heads_its_circle() {
    chosen(3, "0>1 1>2 2>0", &[2, 1], &["1: 0 [1] 2"]);
}

#[test]
fn rows_find_their_unit() {
    let found = units(4, &edges("1>0 2>0"), Roots::Chosen(&[2]));
    let numbers: Vec<_> = (0..5).map(|row| found.unit_of(row)).collect();
    assert_eq!(numbers, [Some(1), None, Some(2), None, None]);
    assert_eq!(found.get(2), found.iter().nth(1));
    assert_eq!((found.get(0), found.get(3)), (None, None));
}

#[test]
#[should_panic]
fn an_edge_to_a_row_that_does_not_exist_is_a_bug() {
    units(2, &edges("1>2"), Roots::All);
}

/// A chain is the deepest graph there is: nothing may recurse, and nothing may be quadratic.
#[test]
fn a_chain_of_a_million_rows() {
    const ROWS: u32 = 1_000_000;
    let mut chain: Vec<Edge> = (1..ROWS)
        .map(|child| Edge {
            child,
            parent: child - 1,
            rank: 0,
        })
        .collect();
    let straight = units(ROWS, &chain, Roots::All);
    assert_eq!((straight.len(), straight.unit_of(ROWS - 1)), (1, Some(1)));

    // From the middle: half of it below, half of it needed, row by row.
    let middle = ROWS / 2;
    let halved = units(ROWS, &chain, Roots::Chosen(&[middle]));
    assert_eq!(halved.len(), middle as usize + 1);
    assert_eq!(halved.iter().filter(|unit| !unit.needed).count(), 1);

    chain.push(Edge {
        child: 0,
        parent: ROWS - 1,
        rank: 0,
    });
    assert_eq!(units(ROWS, &chain, Roots::All).len(), 1);
}

/// `*` a circle, `@` a table that refers to itself.
#[track_caller]
fn ordered(tables: usize, drawing: &str, expected: &str) {
    let relations: Vec<(usize, usize)> = edges(drawing)
        .iter()
        .map(|edge| (edge.child as usize, edge.parent as usize))
        .collect();
    let groups: Vec<String> = insertion_order(tables, &relations)
        .iter()
        .map(|group| {
            let tables: Vec<String> = group.tables.iter().map(usize::to_string).collect();
            let circle = if group.cyclic { "*" } else { "" };
            let itself = if group.self_reference { "@" } else { "" };
            format!("{}{circle}{itself}", tables.join("+"))
        })
        .collect();
    assert_eq!(groups.join(" "), expected);
}

#[test]
fn tables_parents_first() {
    ordered(0, "", "");
    ordered(3, "", "0 1 2");
    ordered(4, "0>3 1>0 1>3 1>3", "2 3 0 1");
    ordered(3, "0>2 2>1", "1 2 0");
    ordered(2, "0>0 0>1", "1 0@");
    ordered(5, "1>3 3>1 1>4 0>3 2>2", "2@ 4 1+3* 0");
    ordered(4, "0>1 1>2 2>0 1>1 3>2", "0+1+2*@ 3");
}
