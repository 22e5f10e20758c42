//! What people did to large objects after the restore: seen by `verify`, respected by `undo`.

use serde_json::json;

use super::super::Ledger;
use super::extracted;
use crate::support::dump;

#[test]
fn verify_sees_objects_that_are_gone_or_changed() {
    let incident = extracted();
    incident.restore().ok();
    let verified = |args: &[&str], code: i32| {
        let output = incident.verify(args).expect_code(code);
        let ledger = Ledger::of(&output);
        // The rows themselves are as they were.
        ledger.expect(&[("identical", 3)]);
        (ledger.get("large_objects").clone(), output.stderr)
    };
    let (objects, _) = verified(&["--strict"], 0);
    assert_eq!(
        objects,
        json!({"identical": 3, "other": 0, "missing": 0, "unreadable": 0, "rows_without": 0, "named": []})
    );
    // Three pages in the middle of the second piece.
    incident
        .live
        .run("select lo_put(81003, 300000, repeat('x', 6000)::bytea)");
    verified(&[], 0);
    let (objects, _) = verified(&["--strict"], 1);
    assert_eq!(
        (&objects["other"], &objects["rows_without"]),
        (&json!(1), &json!(1))
    );
    incident.live.run("select lo_unlink(81001)");
    let (objects, said) = verified(&[], 1);
    assert_eq!(objects["missing"], 1);
    assert_eq!(
        objects["named"],
        json!(["81001: missing", "81003: other content"])
    );
    assert!(
        said.contains("1 large object that these rows point at: not in live"),
        "{said}"
    );
}

#[test]
fn undo_keeps_what_was_changed_and_what_rows_point_at() {
    let incident = extracted();
    incident.restore().ok();
    incident.live.run(
        "create table covers (id int primary key, picture oid);
         insert into covers values (1, 81001);
         select lo_put(81003, 6399999, 'x')",
    );
    let plan = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    let outcome = json!({"removed": 1, "kept_referenced": 1, "kept_changed": 1});
    assert_eq!(plan.get("large_objects"), &outcome);
    let run = plan.get("undoes").as_str().unwrap().to_owned();
    let output = incident.undo_with(&["--last"]).expect_code(4);
    let undone = Ledger::of(&output);
    undone.expect(&[("removed", 3)]);
    assert_eq!(undone.get("large_objects"), &outcome);
    let left = "select string_agg(oid::text, ' ' order by oid) from pg_largeobject_metadata";
    assert_eq!(incident.live.query_text(left), "81001 81003");
    let log = incident.case.read(&format!(
        "runs/{}.jsonl",
        undone.get("run").as_str().unwrap()
    ));
    assert_eq!(log.matches("large_object_kept").count(), 2, "{log}");

    // Another undo looks at them once more.
    incident.live.run("drop table covers");
    let undone = Ledger::of(&incident.undo_with(&[&run]).expect_code(4));
    assert_eq!(
        undone.get("large_objects"),
        &json!({"removed": 1, "kept_changed": 1})
    );
    // What somebody has written to is another object now.
    assert_eq!(incident.live.query_text(left), "81003");
    let plan = incident.plan();
    plan.expect(&[("inserted", 2), ("quarantined", 1)]);
}

/// Removed by somebody and made again under its number, with the same content: it is not ours.
#[test]
fn undo_tells_an_object_from_another_of_the_same_content() {
    let incident = extracted();
    incident.restore().ok();
    incident.live.run(
        "select lo_unlink(81001); select lo_from_bytea(81001, 'small'); select lo_unlink(81002)",
    );
    let undone = Ledger::of(&incident.undo_with(&["--last"]).expect_code(4));
    let outcome = json!({"removed": 1, "kept_changed": 1, "already_gone": 1});
    assert_eq!(undone.get("large_objects"), &outcome);
}

/// Rows that are kept keep what they point at; the shared object goes with the last of them.
#[test]
fn undo_keeps_the_objects_of_rows_that_are_kept() {
    let incident = super::Incident::new(
        "create table files (id int primary key, name text, content oid);
         select lo_from_bytea(82001, 'shared');
         insert into files values (1, 'a', 82001), (2, 'b', 82001)",
        "select lo_unlink(82001); delete from files",
    );
    incident.extract(&[]);
    let done = Ledger::of(&incident.restore_with(&["--max-units", "1"]).expect_code(4));
    assert_eq!(done.get("large_objects")["created"], 1);
    incident.restore().ok();
    incident
        .live
        .run("update files set name = 'edited' where id = 2");
    let undone = Ledger::of(&incident.undo_with(&["--last"]).expect_code(4));
    undone.expect(&[("removed", 1), ("kept_changed", 1)]);
    assert_eq!(undone.get("large_objects"), &json!({"kept_referenced": 1}));
    assert_eq!(
        incident
            .live
            .count("select count(*) from pg_largeobject_metadata where oid = 82001"),
        1
    );
    // Back again, and away with all of it: also what the first run brought.
    incident
        .live
        .run("update files set name = 'b' where id = 2; delete from files where id = 2");
    incident.restore().ok();
    let after = dump(&incident.live);
    assert!(after.contains("large object 82001"), "{after}");
    let undone = Ledger::of(&incident.undo().ok());
    assert_eq!(undone.get("large_objects"), &json!({"removed": 1}));
}
