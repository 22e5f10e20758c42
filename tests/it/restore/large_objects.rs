//! Large objects that rows point at: what a story cannot say. The story is `fixtures/large_objects`.

mod changed;
mod rights;

use serde_json::json;

use super::{Incident, Ledger};
use crate::support::dump;

/// Three files, each with a large object of its own: small, empty, of several pieces. The loss removes all of them.
const SETUP: &str = "
create table files (id int primary key, name text, content oid);
select lo_from_bytea(81001, 'small'); select lo_create(81002);
select lo_from_bytea(81003, string_agg(decode(md5(n::text), 'hex'), '' order by n)) from generate_series(1, 400000) n;
insert into files values (1, 'small', 81001), (2, 'empty', 81002), (3, 'large', 81003), (4, 'stays', null)";
const LOSS: &str = "select lo_unlink(content) from files where content is not null; delete from files where id < 4";

fn incident() -> Incident {
    // However busy the machine is.
    Incident::new(SETUP, LOSS).with(&["--max-unit-time", "60s"])
}

fn extracted() -> Incident {
    let incident = incident();
    let done = incident.extract(&[]);
    assert_eq!(done.get("large_objects"), 3);
    incident
}

#[test]
fn the_plan_tells_of_them_and_the_run_counts_them() {
    let incident = extracted();
    incident.live.run("select lo_create(81002)");
    let after_loss = dump(&incident.live);
    let plan = incident.plan();
    let objects = json!({"to_create": 2, "bytes": 6_400_005, "present": 1});
    assert_eq!(plan.get("large_objects"), &objects);
    let large = &plan.get("large_units")[0];
    assert_eq!(
        (&large["root"], &large["large_object_bytes"]),
        (&json!("public.files 3"), &json!(6_400_000))
    );
    let text = incident.for_people(&["restore"]).ok().stdout;
    for words in [
        "2 large objects to create, 6,400,005 bytes",
        "1 there already",
        "6,400,000 bytes of large objects",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let done = Ledger::of(&incident.restore().ok());
    assert_eq!(
        done.get("large_objects"),
        &json!({"created": 2, "bytes": 6_400_005})
    );
    assert_eq!(dump(&incident.live), incident.before);
    // What was there already is not ours to take away.
    let undone = Ledger::of(&incident.undo().ok());
    assert_eq!(undone.get("large_objects"), &json!({"removed": 2}));
    assert_eq!(dump(&incident.live), after_loss);
}

#[test]
fn another_object_under_the_number_leaves_the_unit_out() {
    let incident = extracted();
    incident
        .live
        .run("select lo_from_bytea(81001, 'other'); select lo_from_bytea(81003, 'short')");
    let plan = incident.plan();
    plan.expect(&[("inserted", 1), ("quarantined", 2)]);
    let reasons = plan.get("left_out").to_string();
    for words in [
        "large object 81001, which it points at, is another one in live: 5 bytes there, 5 in the bundle, and their SHA-256 differ",
        "large object 81003, which it points at, is another one in live: 5 bytes there, 6400000 in the bundle",
        "42710",
    ] {
        assert!(reasons.contains(words), "{words} in {reasons}");
    }
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    // Nothing can stand in for an object.
    for policy in ["quarantine", "remap", "skip"] {
        let done = incident
            .restore_with(&["--on-conflict", policy])
            .expect_code(4);
        assert_eq!(Ledger::of(&done).total("quarantined"), 2, "{policy}");
    }
    assert_eq!(
        incident
            .live
            .query_text("select convert_from(lo_get(81001), 'UTF8')"),
        "other"
    );
    assert_eq!(
        incident
            .live
            .query_text("select string_agg(id::text, ' ' order by id) from files"),
        "2 4"
    );
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("identical", 1), ("quarantined", 2)]);
    incident
        .live
        .run("select lo_unlink(81001), lo_unlink(81003)");
    assert_ne!(incident.plan().get("plan_id"), id.as_str());
    incident.restore().ok();
    assert_eq!(dump(&incident.live), incident.before);
}

/// Somebody takes the number after we looked: the server refuses, and the unit looks again.
#[test]
fn a_number_taken_at_the_last_moment() {
    let incident = extracted();
    let mut other = incident
        .live
        .spawn("begin; select lo_from_bytea(81001, 'other'); select pg_sleep(1.2); commit");
    let waiting = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()
                    and datname = current_database()";
    while incident.live.count(waiting) == 0 {}
    let done = Ledger::of(&incident.restore().expect_code(4));
    assert!(other.wait().unwrap().success());
    assert_eq!(done.total("quarantined"), 1, "{:#?}", incident.quarantine());
    done.expect(&[("inserted", 2), ("quarantined", 1)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from files where id = 1"),
        0
    );
    assert_eq!(
        incident
            .live
            .query_text("select convert_from(lo_get(81001), 'UTF8')"),
        "other"
    );
}

#[test]
fn what_an_excluded_row_pointed_at_does_not_come() {
    let incident = extracted();
    let exclude =
        "[[exclude]]\ntable = \"files\"\nreason = \"erased\"\nlive_sql = \"select 1 as id\"\n";
    incident.case.write("reinstate.toml", exclude);
    let done = Ledger::of(&incident.restore().ok());
    done.expect(&[("inserted", 2), ("excluded", 1)]);
    assert_eq!(
        incident.live.query_text(
            "select string_agg(oid::text, ' ' order by oid) from pg_largeobject_metadata"
        ),
        "81002 81003"
    );
}

#[test]
fn by_hand_with_psql() {
    let incident = extracted();
    incident.live.run("select lo_create(81002)");
    incident.live.run("select lo_put(81002, 0, 'other')");
    let output = super::by_hand(&incident);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("large object 81002 is there with another content"),
        "{complaint}"
    );
    incident
        .live
        .run("select lo_unlink(81002), lo_create(81002)");
    assert!(super::by_hand(&incident).status.success());
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", 3)]);
}

/// Rows that came back by other means, without what they point at, get it.
#[test]
fn rows_that_are_there_already_get_theirs() {
    let incident = extracted();
    incident.live.run(
        "insert into files values (1, 'small', 81001), (2, 'empty', 81002), (3, 'large', 81003)",
    );
    Ledger::of(&incident.verify(&[]).expect_code(1)).expect(&[("identical", 3)]);
    let done = Ledger::of(&incident.restore().ok());
    done.expect(&[("already_present", 3)]);
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 3)]);
}

#[test]
fn a_bundle_without_any_has_no_files_and_makes_no_question() {
    let incident = Incident::new(
        "create table t (id int primary key, what oid); insert into t values (1, 1259), (2, null)",
        "delete from t",
    );
    assert_eq!(incident.extract(&[]).get("large_objects"), 0);
    assert!(
        !incident
            .case
            .file("bundle/large_objects.jsonl.zst")
            .exists()
    );
    let done = Ledger::of(&incident.restore().ok());
    assert!(done.get("large_objects").is_null());
    assert_eq!(dump(&incident.live), incident.before);
}
