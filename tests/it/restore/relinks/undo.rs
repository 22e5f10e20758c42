//! Filled references, taken back before the rows that they point at.

use super::*;

fn run_of(incident: &Incident) -> String {
    incident
        .live
        .query_text("select run from reinstate.run where kind = 'restore' order by started limit 1")
}

/// What an undo's plan says, and then its deed, which agree.
#[track_caller]
fn undone(incident: &Incident, code: i32) -> Ledger {
    let plan = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    let done = Ledger::of(&incident.undo().expect_code(code));
    assert_eq!(plan.get("unlinks"), done.get("unlinks"), "plan and deed");
    assert_eq!(plan.get("totals"), done.get("totals"), "plan and deed");
    done
}

#[test]
fn it_leads_back_to_the_loss() {
    let incident = incident("", WITH_TRANSACTION);
    for _ in 0..2 {
        assert_eq!(restored(&incident, &[], 0), json!({"relinked": BOOKS}));
        as_before(&incident);
        let done = undone(&incident, 0);
        assert_eq!(done.get("unlinks"), &json!({"unlinked": BOOKS}));
        done.expect(&[("removed", 2)]);
        assert_eq!(dump(&incident.live), incident.after_loss);
    }
    let again = Ledger::of(&incident.undo_with(&[&run_of(&incident)]).ok());
    assert_eq!(again.get("unlinked"), 0);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn what_others_have_written_to_since_is_theirs() {
    let incident = incident("", WITH_TRANSACTION);
    incident.restore().ok();
    incident.live.run(
        "update books set title = 'new' where id = 2;
         update books set editor_id = 9 where id = 12;
         update books set editor_id = null where id = 22;
         delete from books where id = 32",
    );
    // Book 2 still points at person 3, and who edited it may stand by that: both stay.
    let done = undone(&incident, 4);
    let expected = json!({"unlinked": 4, "kept_changed": 1, "elsewhere": 2, "already_gone": 1});
    assert_eq!(done.get("unlinks"), &expected);
    done.expect(&[("removed", 1), ("kept_referenced", 1)]);
    assert_eq!(edited_by(&incident, "3, 4"), "2:3");
    assert_eq!(edited_by(&incident, "9"), "8:9 12:9 18:9 28:9 38:9");
    // Restored again, what we emptied is filled again, and what its owner has emptied is not.
    let again = restored(&incident, &[], 0);
    let expected =
        json!({"relinked": 4, "as_before": 1, "reassigned": 1, "emptied_since": 1, "gone": 1});
    assert_eq!(again, expected);
    assert_eq!(edited_by(&incident, "3, 4"), "2:3 3:4 13:4 23:4 33:4");
}

#[test]
fn a_reference_that_a_later_run_filled_goes_with_the_row() {
    let incident = incident("", WITH_TRANSACTION);
    assert_eq!(
        restored(&incident, &["--relinks", "none"], 0),
        json!({"not_asked": BOOKS})
    );
    assert_eq!(restored(&incident, &[], 0), json!({"relinked": BOOKS}));
    let done = Ledger::of(&incident.undo_with(&[&run_of(&incident)]).ok());
    assert_eq!(done.get("unlinked"), BOOKS);
    done.expect(&[("removed", 2)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// The first reference of a row that is filled changes its `xmin`: what had written to the row before us counts for the second,
/// and again after an undo.
#[test]
fn two_references_of_one_row() {
    let incident = incident_of(
        "alter table books add reader_id int references people on delete set null; update books set reader_id = 3",
        "update books set reader_id = null where id = 1",
        WITH_TRANSACTION,
    );
    for _ in 0..2 {
        let expected = json!({"relinked": BOOKS + 39, "unproven": 1});
        assert_eq!(restored(&incident, &[], 0), expected);
        assert_eq!(left(&incident), ["1 unproven"]);
        let read = "select count(*) from books where reader_id = 3";
        assert_eq!(incident.live.count(read), 39);
        undone(&incident, 0).expect(&[("removed", 2)]);
        assert_eq!(dump(&incident.live), incident.after_loss);
    }
}

#[test]
fn a_row_that_the_application_holds_is_waited_for() {
    let incident = incident("", WITH_TRANSACTION);
    incident.restore().ok();
    let application = incident
        .live
        .spawn("begin; select * from books where id = 2 for update; select pg_sleep(2); rollback;");
    super::super::dependents::wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%' and wait_event = 'PgSleep'",
    );
    let done = Ledger::of(&incident.undo().ok());
    assert!(application.wait_with_output().unwrap().status.success());
    assert_eq!(done.get("unlinks"), &json!({"unlinked": BOOKS}));
    assert_eq!(dump(&incident.live), incident.after_loss);
}
