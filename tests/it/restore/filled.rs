//! Columns that live has and the backup had not, and the values that `[[fill]]` gives them (`fixtures/filled` tells the rest).

use super::{Incident, Ledger, journal_of};
use crate::support::dump;

const SETUP: &str = "
    create table posts (id int primary key, title text, state varchar(20));
    create table notes (id int primary key, post_id int references posts on delete cascade);
    create table others (id int primary key);
    insert into posts select n, 'title ' || n, 'new' from generate_series(1, 10) n;
    insert into notes select n, n from generate_series(1, 10) n";

/// Since the backup; a default, NULL, and a value that nobody knows.
const MIGRATION: &str = "
    alter table posts add kind varchar(8) not null default 'standard', add flagged boolean not null default false, add extra text,
                      add serial serial, add twice int generated always as (id * 2) stored;
    alter table posts alter kind drop default, drop state";

const FILL: &str = "[[fill]]\ntable = 'posts'\ncolumn = 'kind'\nvalue = 'standard'\n";

fn incident() -> Incident {
    let incident = Incident::new(SETUP, "delete from posts where id <= 3");
    incident.extract(&[]);
    incident.live.run(MIGRATION);
    incident.case.write("reinstate.toml", FILL);
    Incident {
        after_loss: dump(&incident.live),
        ..incident
    }
}

#[test]
fn a_plan_says_where_each_value_comes_from() {
    let incident = incident();
    let plan = incident.plan();
    let added = serde_json::json!([
        {"column": "kind", "from": "fill", "value": "standard"},
        {"column": "flagged", "from": "default"},
        {"column": "extra", "from": "null"},
        {"column": "serial", "from": "sequence"},
        {"column": "twice", "from": "generated"},
    ]);
    assert_eq!(plan.get("checks")["public.posts"]["added_columns"], added);
    let text = incident.for_people(&["restore"]).ok().stdout;
    let line = "kind ([[fill]]), flagged (its default), extra (NULL), serial (from its sequence), twice (computed)";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains(
            "live no longer has state; not restored (if it was renamed, say so: [[rename]])"
        ),
        "{text}"
    );
    // Another value is another deed.
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    incident
        .case
        .write("reinstate.toml", &FILL.replace("'standard'", "'special'"));
    let said = incident
        .restore_with(&["--plan", &id])
        .expect_code(3)
        .stderr;
    assert!(said.contains("out of date"), "{said}");
    incident.case.write("reinstate.toml", FILL);
    incident.restore_with(&["--plan", &id]).ok();
}

/// Whatever the column holds, it is the same row.
#[test]
fn what_it_holds_is_not_compared() {
    let incident = incident();
    incident.restore().ok();
    let kinds = "select string_agg(kind, ' ' order by id) from posts where id <= 3";
    assert_eq!(
        incident.live.query_text(kinds),
        "standard standard standard"
    );
    incident
        .live
        .run("update posts set kind = 'edited' where id = 2");
    let verified = incident.verify(&["--strict"]).ok();
    Ledger::of(&verified).expect(&[("identical", 6)]);
    let left = verified.json()["not_compared"].to_string();
    assert!(left.contains("kind") && left.contains("[[fill]]"), "{left}");
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", 6)]);
    assert_eq!(incident.live.query_text(kinds), "standard edited standard");
    // An undo looks at who wrote the row last, as ever.
    let undone = Ledger::of(&incident.undo().expect_code(4));
    undone.expect(&[("removed", 5), ("kept_changed", 1)]);
}

#[test]
fn without_an_entry_the_way_out_is_named() {
    let incident = incident();
    incident.case.write("reinstate.toml", "");
    for output in [
        incident.run(&["restore"]),
        incident.restore(),
        incident.verify(&[]),
    ] {
        let said = output.expect_code(3).stderr;
        for word in ["public.posts", "kind", "[[fill]]"] {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// Each is refused (2) by plan and deed, and nothing changes.
#[test]
fn entries_that_nothing_can_take() {
    let incident = incident();
    for (entry, words) in [
        (
            "table = 'post'\ncolumn = 'kind'\nvalue = 'x'",
            &["public.post", "live has no such table"][..],
        ),
        (
            "table = 'posts'\ncolumn = 'kinds'\nvalue = 'x'",
            &["kinds", "live has no such column"],
        ),
        (
            "table = 'others'\ncolumn = 'kind'\nvalue = 'x'",
            &["public.others", "live has no such column"],
        ),
        (
            "table = 'posts'\ncolumn = 'title'\nvalue = 'x'",
            &["title", "the bundle has it"],
        ),
        (
            "table = 'posts'\ncolumn = 'twice'\nvalue = '2'",
            &["twice", "computes it"],
        ),
        (
            "table = 'posts'\ncolumn = 'flagged'\nvalue = 'perhaps'",
            &["flagged", "boolean does not take 'perhaps'"],
        ),
        (
            "table = 'posts'\ncolumn = 'kind'\nvalue = 'longer than that'",
            &["kind", "has no room"],
        ),
        (
            "table = 'posts'\ncolumn = 'kind'\nvalue = 'x'\n[[fill]]\ntable = 'public.posts'\ncolumn = 'kind'\nvalue = 'y'",
            &["kind", "another entry"],
        ),
        (
            "table = 'posts'\ncolumn = 'kind'",
            &["fill 1", "`value` is missing"],
        ),
        (
            "table = 'posts'\nvalue = 'x'",
            &["fill 1", "`column` is missing"],
        ),
        (
            "table = 'posts'\ncolumn = 'kind'\nvalue = ['x']",
            &["fill 1", "`value` is text"],
        ),
        (
            "table = 'posts'\ncolum = 'kind'",
            &["did you mean `fill.column`"],
        ),
    ] {
        // The column without a default has its value, so that nothing else is in the way.
        let whole = format!("[[fill]]\n{entry}\n");
        let other = if entry.contains("'kind") && entry.contains("'posts'") {
            ""
        } else {
            FILL
        };
        incident
            .case
            .write("reinstate.toml", &format!("{whole}{other}"));
        for output in [incident.run(&["restore"]), incident.restore()] {
            let said = output.expect_code(2).stderr;
            for word in words {
                assert!(said.contains(word), "{word} in {said}");
            }
        }
    }
    assert_eq!(dump(&incident.live), incident.after_loss);
    assert_eq!(journal_of(&incident.live), "");
}

/// A run goes on with the values that are asked for now, and the journal says so.
#[test]
fn a_run_goes_on_with_other_values() {
    let incident = incident();
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    let value = "select settings->'fills'->0->>'value' from reinstate.run";
    assert_eq!(incident.live.query_text(value), "standard");
    incident
        .case
        .write("reinstate.toml", &FILL.replace("'standard'", "'special'"));
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 6)]);
    assert_eq!(incident.live.query_text(value), "special");
    let kinds = "select string_agg(kind, ' ' order by kind, id) from posts where id <= 3";
    assert_eq!(incident.live.query_text(kinds), "special special standard");
    assert_eq!(incident.live.count("select count(*) from reinstate.run"), 1);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 6)]);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 6)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// What the value meets in live is the server's to say: the unit stays out, the others come.
#[test]
fn a_value_that_is_taken_leaves_the_unit_out() {
    let incident = incident();
    incident.live.run(
        "alter table posts add unique (title, kind);
         insert into posts (id, title, kind) values (99, 'title 2', 'standard')",
    );
    let done = Ledger::of(&incident.restore().expect_code(4));
    done.expect(&[("inserted", 4), ("quarantined", 2)]);
    let left = &incident.quarantine()[0];
    assert_eq!(
        (&left["sqlstate"], &left["root"]["key"][0]),
        (&"23505".into(), &"2".into())
    );
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 4)]);
}
