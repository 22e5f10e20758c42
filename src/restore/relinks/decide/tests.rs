use super::*;
use crate::bundle::{Evidence, RowName};
use crate::ident::{Key, TableName};

const NOBODY: u32 = 700;
const DELETER: u32 = 711;

fn record() -> RelinkRecord {
    RelinkRecord {
        unit: 1,
        parent: RowName {
            table: 0,
            key: Key(vec!["7".into()]),
        },
        table: TableName::new("public", "books"),
        key: Key(vec!["1".into()]),
        key_columns: vec!["id".into()],
        columns: vec!["tenant".into(), "owner".into()],
        values: vec!["t".into(), "7".into()],
        parent_columns: vec!["tenant".into(), "id".into()],
        set_default: false,
        evidence: Some(Evidence {
            from: Some("2020-01-21T16:40:00Z".into()),
            to: "2020-01-21T16:50:00Z".into(),
            source: "audit".into(),
            transaction: Some(DELETER),
            contradicted: false,
        }),
        xmin: None,
        committed: None,
        compared: vec!["title".into()],
        content: Some("c0ffee".into()),
    }
}

fn child(xmin: u32, owner: Option<&str>) -> ChildSeen {
    ChildSeen::There(Child {
        xmin,
        committed: None,
        content: Some("c0ffee".into()),
        values: vec![Some("t".into()), owner.map(str::to_owned)],
    })
}

fn here() -> ParentSeen {
    ParentSeen::There(vec![Some("t".into()), Some("7".into())])
}

fn decided(record: &RelinkRecord, child: &ChildSeen, mode: Relinking) -> Verdict {
    let known = (&Window::default(), &Past::default());
    decide(record, &here(), child, mode, known)
}

fn filled(proof: Proof, xmin: u32) -> Verdict {
    Verdict::Fill(Filling {
        values: vec!["t".into(), "7".into()],
        columns: vec![1],
        proof,
        xmin,
    })
}

#[test]
fn only_what_the_deletion_is_proved_to_have_emptied() {
    let (proven, all) = (Relinking::Proven, Relinking::All);
    let of = |xmin, mode| decided(&record(), &child(xmin, None), mode);
    assert_eq!(of(DELETER, proven), filled(Proof::Transaction, DELETER));
    assert_eq!(of(NOBODY, proven), Verdict::Left(Reason::Unproven));
    assert_eq!(of(NOBODY, all), filled(Proof::Content, NOBODY));
    assert_eq!(
        of(DELETER, Relinking::None),
        Verdict::Left(Reason::NotAsked)
    );
    let mut edited = record();
    edited.content = Some("other".into());
    let edited = decided(&edited, &child(NOBODY, None), all);
    assert_eq!(edited, Verdict::Left(Reason::Changed));
}

#[test]
fn what_points_somewhere_is_left() {
    let of = |owner| decided(&record(), &child(DELETER, Some(owner)), Relinking::All);
    assert_eq!(of("7"), Verdict::AsBefore);
    assert_eq!(of("8"), Verdict::Left(Reason::Reassigned));
    let gone = decided(&record(), &ChildSeen::Gone, Relinking::All);
    assert_eq!(gone, Verdict::Left(Reason::Gone));
    let held = decided(&record(), &ChildSeen::Held, Relinking::All);
    assert_eq!(held, Verdict::Left(Reason::Locked));
    let moved = Child {
        xmin: DELETER,
        values: vec![Some("u".into()), None],
        ..Child::default()
    };
    let moved = decided(&record(), &ChildSeen::There(moved), Relinking::Proven);
    assert_eq!(moved, Verdict::Left(Reason::Reassigned));
}

#[test]
fn commit_times_prove_only_inside_what_is_known() {
    let at = |time: &str| {
        let seen = Child {
            xmin: NOBODY,
            committed: time.parse().ok(),
            values: vec![Some("t".into()), None],
            ..Child::default()
        };
        ChildSeen::There(seen)
    };
    let (inside, before) = (at("2020-01-21T16:45:00Z"), at("2020-01-21T16:39:59Z"));
    let proven = filled(Proof::Committed, NOBODY);
    let unproven = Verdict::Left(Reason::Unproven);
    assert_eq!(decided(&record(), &inside, Relinking::Proven), proven);
    assert_eq!(decided(&record(), &before, Relinking::Proven), unproven);
    // Half-open.
    let end = at("2020-01-21T16:50:00Z");
    assert_eq!(decided(&record(), &end, Relinking::Proven), unproven);
    // Neither no evidence, nor two backups hours apart, nor sources that contradict each other prove anything.
    for source in ["none", "bracket"] {
        let mut record = record();
        record.evidence.as_mut().unwrap().source = source.into();
        assert_eq!(decided(&record, &inside, Relinking::Proven), unproven);
    }
    let mut contradicted = record();
    contradicted.evidence.as_mut().unwrap().contradicted = true;
    let contradicted = decided(&contradicted, &inside, Relinking::Proven);
    assert_eq!(contradicted, unproven);
    // A window that somebody asked for does, also before the parent was deleted.
    let window = Window {
        between: interval(Some("2020-01-21T16:30:00Z"), "2020-01-21T17:00:00Z"),
        transactions: Vec::new(),
    };
    let known = (&window, &Past::default());
    let asked = decide(&record(), &here(), &before, Relinking::Proven, known);
    assert_eq!(asked, proven);
}

#[test]
fn the_parent_must_be_there() {
    let known = (&Window::default(), &Past::default());
    let of = |parent: &ParentSeen| {
        let child = child(DELETER, None);
        decide(&record(), parent, &child, Relinking::Proven, known)
    };
    let left = |reason| Verdict::Left(reason);
    assert_eq!(of(&ParentSeen::NotBack), left(Reason::ParentNotBack));
    assert_eq!(of(&ParentSeen::Changed), left(Reason::ParentChanged));
    assert_eq!(of(&ParentSeen::Held), left(Reason::Locked));
    assert_eq!(of(&ParentSeen::Pending), left(Reason::Pending));
    assert_eq!(of(&ParentSeen::Coming), filled(Proof::Transaction, DELETER));
    let stand_in = ParentSeen::There(vec![Some("t".into()), Some("9".into())]);
    let Verdict::Fill(filling) = of(&stand_in) else {
        panic!("not filled");
    };
    assert_eq!(filling.values, ["t", "9"]);
}

#[test]
fn an_older_bundle_and_a_default_are_left() {
    let mut older = record();
    older.parent_columns.clear();
    let older = decided(&older, &child(DELETER, None), Relinking::All);
    assert_eq!(older, Verdict::Left(Reason::OlderBundle));
    let mut default = record();
    default.set_default = true;
    let default = decided(&default, &child(DELETER, Some("1")), Relinking::All);
    assert_eq!(default, Verdict::Left(Reason::SetDefault));
}
