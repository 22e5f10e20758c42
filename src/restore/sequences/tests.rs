use super::*;

fn sequence(increment: i64, least: i64, greatest: i64) -> Sequence {
    let descending = increment < 0;
    let (least, greatest) = (i128::from(least), i128::from(greatest));
    Sequence {
        name: TableName::new("public", "s"),
        columns: Vec::new(),
        increment: i128::from(increment).abs(),
        descending,
        least: if descending { -greatest } else { least },
        greatest: if descending { -least } else { greatest },
        cycles: false,
        cache: 1,
        computed: false,
        rights: Rights {
            select: true,
            usage: true,
            update: true,
        },
        reach: None,
        beyond: None,
    }
}

fn at(last_value: i64, is_called: bool) -> Option<Position> {
    Some(Position {
        last_value,
        is_called,
    })
}

/// From, to and whether there is a reason not to, of each decision.
fn decided(
    sequence: &Sequence,
    position: Option<Position>,
) -> Vec<(Option<i64>, Option<i64>, bool)> {
    let decided = sequence.decide(position, "fixer");
    let short = |d: SequenceMove| (d.from, d.to, d.reason.is_some());
    decided.into_iter().map(short).collect()
}

#[test]
fn one_that_stands_at_or_past_the_key_stays() {
    let mut s = sequence(1, 1, i64::MAX);
    s.meet(100);
    assert!(decided(&s, at(100, true)).is_empty());
    assert!(decided(&s, at(101, false)).is_empty());
    assert_eq!(decided(&s, at(100, false)), [(Some(100), Some(100), false)]);
    assert_eq!(decided(&s, at(99, true)), [(Some(99), Some(100), false)]);
    assert_eq!(decided(&s, at(1, false)), [(Some(1), Some(100), false)]);
}

#[test]
fn it_keeps_to_its_own_steps() {
    let mut odd = sequence(2, 1, i64::MAX);
    odd.meet(100);
    assert_eq!(decided(&odd, at(7, true)), [(Some(7), Some(101), false)]);
    let mut ten = sequence(10, 1, i64::MAX);
    ten.meet(27);
    // The next would be 25, and somebody has 27: 35 is next.
    assert_eq!(decided(&ten, at(15, true)), [(Some(15), Some(35), false)]);
    assert!(decided(&ten, at(25, true)).is_empty());
}

#[test]
fn descending_is_the_mirror() {
    let mut s = sequence(-1, i64::MIN, -1);
    for key in [-5, -40, 7] {
        s.meet(key);
    }
    assert_eq!(decided(&s, at(-1, false)), [(Some(-1), Some(-40), false)]);
    assert!(decided(&s, at(-40, true)).is_empty());
    assert_eq!(s.decide(at(-1, false), "fixer")[0].key, -40);
}

#[test]
fn the_end_of_its_numbers_is_left_to_it() {
    let mut s = sequence(1, 1, 2_147_483_647);
    s.meet(2_147_483_647);
    assert_eq!(decided(&s, at(5, true)), [(Some(5), None, true)]);
    s.meet(40);
    let both = [(Some(5), Some(40), false), (Some(5), None, true)];
    assert_eq!(decided(&s, at(5, true)), both);
    // What it cannot hand out is nothing to it.
    s = sequence(1, 1, 1_000);
    s.meet(5_000);
    s.meet(-3);
    assert!(decided(&s, at(5, true)).is_empty());
}

#[test]
fn what_is_not_moved_has_a_reason() {
    let mut s = sequence(1, 1, i64::MAX);
    s.meet(500_000);
    s.rights.update = false;
    let said = |s: &Sequence, p| s.decide(p, "Fixer")[0].reason.clone().unwrap_or_default();
    let grant = "GRANT UPDATE ON SEQUENCE \"public\".\"s\" TO \"Fixer\"";
    assert!(said(&s, at(5, true)).contains(grant));
    // A small distance takes less.
    assert_eq!(said(&s, at(499_000, true)), "");
    s.rights.usage = false;
    assert!(said(&s, at(499_000, true)).contains("GRANT USAGE"));
    assert!(said(&s, None).contains("GRANT SELECT, USAGE, UPDATE"));
    s.cycles = true;
    assert!(said(&s, at(5, true)).contains("cycles"));
    s.computed = true;
    assert!(said(&s, at(5, true)).contains("computes"));
}
