//! What is refused, and what an earlier version's journal lacks.

use super::{LOST, Ledger, Output, dump, incident, restored};

#[test]
fn what_is_not_there_or_not_a_restore() {
    let incident = incident();
    for args in [&["20200122T093000Z-2632"][..], &["--last"]] {
        incident.undo_plan(args).expect_code(2);
    }
    incident.restore().ok();
    let unknown = incident
        .undo_with(&["20200122T093000Z-2632"])
        .expect_code(2);
    assert!(
        unknown.stderr.contains("knows no run"),
        "{}",
        unknown.stderr
    );
    incident.undo_plan(&[]).expect_code(2);
    incident.undo().ok();
    let undo = incident
        .live
        .query_text("select run from reinstate.run where kind = 'undo'");
    let refused = incident.undo_with(&[&undo]).expect_code(3);
    assert!(
        refused.stderr.contains("only a restore"),
        "{}",
        refused.stderr
    );
}

#[test]
fn another_bundle() {
    let incident = restored();
    incident.live.run("delete from chapters where id = 30");
    let other = incident.case.file("other").display().to_string();
    incident.extract(&["-o", &other]);
    let refused = incident
        .undo_with(&["--last", "--bundle", &other])
        .expect_code(2);
    assert!(
        refused.stderr.contains("--bundle DIR"),
        "{}",
        refused.stderr
    );
    assert_eq!(incident.live.count("select count(*) from books"), 20);
}

#[test]
fn rights_that_are_missing_are_named() {
    let incident = restored();
    let role = format!("taker_{}", incident.live.name);
    let live = &incident.live;
    live.run(&format!(
        "create role {role} login; grant usage on schema public, reinstate to {role};
         grant select on all tables in schema public to {role};
         grant select, insert, update on all tables in schema reinstate to {role}"
    ));
    let undo = || -> Output {
        let mut command = incident.undo_command(&["--last"]);
        command.env("REINSTATE_LIVE", live.conninfo_as(&role));
        command.output().unwrap().into()
    };
    let said = undo().expect_code(3).stderr;
    assert!(
        said.contains("lacks DELETE") && said.contains(&role),
        "{said}"
    );
    live.run(&format!("grant delete on books, chapters to {role}"));
    let said = undo().expect_code(3).stderr;
    assert!(said.contains("lacks UPDATE on one column"), "{said}");
    live.run(&format!("grant update (id) on books, chapters to {role}"));
    Ledger::of(&undo().ok()).expect(&[("removed", LOST)]);
    assert_eq!(dump(live), incident.after_loss);
    live.run(&format!("drop owned by {role}; drop role {role}"));
}

/// A rule could turn the deletion into anything; once it is out of the way, rows go.
#[test]
fn rules_on_delete_are_named_with_the_way_out() {
    let incident = restored();
    let live = &incident.live;
    let full = dump(live);
    live.run("create rule \"keep them\" as on delete to chapters do instead nothing");
    let said = incident.undo_with(&["--last"]).expect_code(3).stderr;
    let way_out = r#"ALTER TABLE "public"."chapters" DISABLE RULE "keep them""#;
    assert!(
        said.contains("rules rewrite what is deleted from it (keep them)")
            && said.contains(way_out),
        "{said}"
    );
    assert_eq!(dump(live), full);
    live.run(way_out);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert_eq!(dump(live), incident.after_loss);
}

/// A journal of an earlier version gets the table that it lacks.
#[test]
fn a_journal_of_an_earlier_version() {
    let incident = restored();
    incident.live.run("drop table reinstate.undo_rows; delete from reinstate.version; insert into reinstate.version values (2)");
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LOST)]);
    let run = incident
        .live
        .query_text("select run from reinstate.run order by started limit 1");
    Ledger::of(&incident.undo_plan(&[&run]).ok()).expect(&[("removed", LOST)]);
    Ledger::of(&incident.undo_with(&[&run]).ok()).expect(&[("removed", LOST)]);
    assert_eq!(
        incident
            .live
            .query_text("select max(version) from reinstate.version"),
        "3"
    );
    assert_eq!(dump(&incident.live), incident.after_loss);
}
