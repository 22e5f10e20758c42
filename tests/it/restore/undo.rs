//! `undo`: takes away what a restore brought back, and nothing that anybody has touched or built upon since.

mod keyless;
mod refused;
mod stopped;
mod triggers;

use super::dependents::wait_for;
use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::{Output, dump};

/// The last restore that wrote something: one that was killed as it ended leaves nothing to the next.
pub(super) fn last_run(incident: &Incident) -> String {
    incident
        .live
        .query_text("select run from reinstate.run r where exists (select from reinstate.batch_rows b where b.run = r.run and inserted > 0)
                order by started desc limit 1")
}

/// Restored, with nobody's hand on it yet.
fn restored() -> Incident {
    let incident = incident();
    incident.restore().ok();
    incident
}

/// Plan and deed say the same, and the deed ends with 4 where rows are kept.
#[track_caller]
fn undoes(incident: &Incident, expected: &[(&str, u64)]) -> Ledger {
    let run = last_run(incident);
    let before = dump(&incident.live);
    Ledger::of(&incident.undo_plan(&[&run]).ok()).expect(expected);
    assert_eq!(dump(&incident.live), before);
    let kept = expected
        .iter()
        .any(|(state, n)| state.starts_with("kept") && *n > 0);
    let output = incident.undo_with(&[&run]);
    let ledger = Ledger::of(&output.expect_code(if kept { 4 } else { 0 }));
    ledger.expect(expected);
    ledger
}

/// The state after the loss, with what the SQL does to it.
fn lost_but(incident: &Incident, sql: &str) -> String {
    let db = crate::support::copy_database(&incident.snapshot);
    db.run("delete from books where id <= 10");
    db.run(sql);
    dump(&db)
}

#[test]
fn the_state_after_the_loss() {
    let incident = restored();
    let ledger = undoes(&incident, &[("removed", LOST)]);
    assert_eq!(ledger.get("undoes"), last_run(&incident).as_str());
    assert_eq!(ledger.get("unlinked"), 0);
    assert_eq!(dump(&incident.live), incident.after_loss);
    let journal = incident.live.query_text(
        "select kind, state, settings ->> 'undoes' = (select run from reinstate.run order by started limit 1) from reinstate.run order by started",
    );
    assert_eq!(journal, "restore|done|\nundo|done|t");
    let events = incident.case.read(&format!(
        "runs/{}.jsonl",
        ledger.get("run").as_str().unwrap()
    ));
    assert!(events.contains("batch_committed") && events.contains("run_finished"));
    assert_eq!(incident.case.read("restored.csv").lines().count(), 1);
}

#[test]
fn people_read_what_happens() {
    let incident = restored();
    incident
        .live
        .run("update chapters set title = 'mine' where id = 1");
    let plan = incident.for_people(&["undo", "--last"]).ok();
    for words in [
        "would be taken back",
        "removed",
        "public.chapters 1: edited since",
        "public.books 2: referenced by what stays",
    ] {
        assert!(plan.stdout.contains(words), "{words}: {}", plan.stdout);
    }
    assert!(plan.stderr.contains("--execute"), "{}", plan.stderr);
    let done = incident
        .for_people(&["undo", "--last", "--execute"])
        .expect_code(4);
    assert!(done.stdout.contains("kept changed"), "{}", done.stdout);
    assert!(
        done.stderr.contains("2 rows, kept because"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_edited_row_stays_with_its_ancestors_and_nothing_else() {
    let incident = restored();
    // An update that changes nothing counts as well. Chapter 3 belongs to book 4, chapter 23 too.
    incident.live.run("update chapters set title = title where id = 3; update books set note = 'mine' where id = 7");
    undoes(
        &incident,
        &[
            ("removed", LOST - 3),
            ("kept_changed", 2),
            ("kept_referenced", 1),
        ],
    );
    let expected = lost_but(
        &incident,
        "insert into books values (4, 5, 'isbn 4', 4, 'note 4', '[40, 45)'), (7, 3, 'isbn 7', 7, 'mine', '[70, 75)');
         insert into chapters values (3, 4, 'chapter 3')",
    );
    assert_eq!(dump(&incident.live), expected);
    // Rows that were kept get another chance, and are kept again.
    undoes(
        &incident,
        &[
            ("already_gone", LOST - 3),
            ("kept_changed", 2),
            ("kept_referenced", 1),
        ],
    );
    assert_eq!(dump(&incident.live), expected);
    let last = incident.undo_plan(&["--last"]).expect_code(2).stderr;
    let hint = format!("`reinstate undo {}` tries those again", last_run(&incident));
    assert!(last.contains(&hint), "{last}");
    // They are there already, as they are.
    let back = Ledger::of(&incident.restore().ok());
    back.expect(&[("inserted", LOST - 3), ("already_present", 3)]);
    let (gone, _) = super::difference(&incident.before, &dump(&incident.live));
    assert_eq!(gone.len(), 1, "{gone:?}");
    // What the second restore brought back can be taken back, up to the same rows.
    let run = last_run(&incident);
    Ledger::of(&incident.undo_with(&[&run]).ok()).expect(&[("removed", LOST - 3)]);
    assert_eq!(dump(&incident.live), expected);
}

#[test]
fn a_child_that_the_application_added_is_never_cascaded_away() {
    let incident = restored();
    incident.live.run(
        "create table reviews (id int primary key, book_id int references books on delete cascade);
         create table marks (id int primary key, chapter_id int references chapters on delete set null);
         insert into chapters values (100, 6, 'an epilogue'); insert into reviews values (1, 2); insert into marks values (1, 3)",
    );
    // Book 6 by its new chapter; book 2 by its review; chapter 3, and with it book 4, by its mark.
    undoes(&incident, &[("removed", LOST - 4), ("kept_referenced", 4)]);
    assert_eq!(
        incident.live.query_text(
            "select (select string_agg(id::text, ',' order by id) from books where id <= 10),
                    (select string_agg(c.id::text, ',' order by c.id) from chapters c join books b on b.id = c.book_id where b.id <= 10),
                    (select count(*) from reviews), (select count(chapter_id) from marks)"
        ),
        "2,4,6|3,100|1|1"
    );
    // When they are gone, the rest can go.
    incident
        .live
        .run("drop table marks, reviews; delete from chapters where id = 100");
    undoes(&incident, &[("removed", 4), ("already_gone", LOST - 4)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn rows_deleted_since_are_gone_already() {
    let incident = restored();
    incident.live.run("delete from books where id = 1");
    undoes(&incident, &[("removed", LOST - 3), ("already_gone", 3)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// A row under the same key that somebody else wrote is not ours.
#[test]
fn a_row_created_anew_is_kept() {
    let incident = restored();
    incident
        .live
        .run("delete from chapters where id = 5; insert into chapters values (5, 15, 'another')");
    undoes(&incident, &[("removed", LOST - 1), ("kept_changed", 1)]);
    assert_eq!(
        incident
            .live
            .query_text("select title from chapters where id = 5"),
        "another"
    );
}

const SLEEPS: &str = "select count(*) from pg_stat_activity where query like '%pg_sleep(3)%' and wait_event = 'PgSleep'
    and datname = current_database() and pid <> pg_backend_pid()";

/// The application inserts a child and commits while the undo runs: lock first, look in a new statement.
#[test]
fn an_uncommitted_child_is_waited_for_and_kept() {
    let incident = restored();
    let mut application = incident.live.spawn(
        "begin; insert into chapters values (100, 6, 'an epilogue'); select pg_sleep(3); commit;",
    );
    wait_for(&incident, SLEEPS);
    let output = incident.undo().expect_code(4);
    Ledger::of(&output).expect(&[("removed", LOST - 1), ("kept_referenced", 1)]);
    assert!(application.wait().unwrap().success());
    assert_eq!(
        incident
            .live
            .query_text("select book_id from chapters where id = 100"),
        "6"
    );
    assert_eq!(
        incident.live.query_text(
            "select count(*) from chapters c join books b on b.id = c.book_id where b.id = 6"
        ),
        "1"
    );
}

#[test]
fn an_uncommitted_child_that_is_given_up_keeps_nothing() {
    let incident = restored();
    let mut application = incident.live.spawn(
        "begin; insert into chapters values (100, 6, 'an epilogue'); select pg_sleep(3); rollback;",
    );
    wait_for(&incident, SLEEPS);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert!(application.wait().unwrap().success());
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// Whoever edits a row when its turn comes goes first, and keeps it; a table locked for a while is waited for.
#[test]
fn the_application_goes_first() {
    let incident = restored();
    let mut application = incident
        .live
        .spawn("begin; update books set note = 'mine' where id = 6; select pg_sleep(3); commit;");
    wait_for(&incident, SLEEPS);
    let output = incident.undo().expect_code(4);
    Ledger::of(&output).expect(&[("removed", LOST - 1), ("kept_changed", 1)]);
    assert!(application.wait().unwrap().success());
    assert_eq!(
        incident
            .live
            .query_text("select note from books where id = 6"),
        "mine"
    );

    let incident = restored();
    let mut application = incident
        .live
        .spawn("begin; lock table chapters in share mode; select pg_sleep(3); commit;");
    wait_for(&incident, SLEEPS);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert!(application.wait().unwrap().success());
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// Units that depend on others, in batches of their own.
#[test]
fn ancestors_in_other_units_are_kept_and_wait() {
    for foreign_keys in [true, false] {
        let incident = super::dependents::incident(foreign_keys);
        incident.restore().ok();
        let rows = 92;
        let dossier = incident.live.count("select max(id) from dossiers d where exists (
            select from reinstate.batch_rows b where table_name = 'public.dossiers' and keys @> array['[\"' || d.id || '\"]'])");
        let mut application = incident.live.spawn(&format!(
            "begin; update dossiers set id = id where id = {dossier}; select pg_sleep(3); commit;"
        ));
        wait_for(&incident, SLEEPS);
        let output = incident.undo().expect_code(4);
        assert!(application.wait().unwrap().success());
        // The dossier, its procedure and its agency.
        Ledger::of(&output).expect(&[
            ("removed", rows - 3),
            ("kept_changed", 1),
            ("kept_referenced", 2),
        ]);
        let back = Ledger::of(&incident.restore().ok());
        back.expect(&[("inserted", rows - 3), ("already_present", 3)]);
        assert_eq!(dump(&incident.live), incident.before);
    }
}

/// References that only the configuration states, polymorphic ones too, by tables of which nothing was lost.
#[test]
fn declared_references_are_looked_at() {
    let incident = incident();
    incident.case.write(
        "reinstate.toml",
        "[[relation]]\nfrom = \"notes(record_id)\"\nwhen = { record_type = \"Book\" }\nto = \"books(id)\"\n",
    );
    incident
        .live
        .run("create table notes (record_type text, record_id text)");
    incident.restore().ok();
    incident
        .live
        .run("insert into notes values ('Book', '6'), ('Chapter', '2'), ('Book', null)");
    undoes(&incident, &[("removed", LOST - 1), ("kept_referenced", 1)]);
    assert_eq!(
        incident
            .live
            .query_text("select string_agg(id::text, ',') from books where id <= 10"),
        "6"
    );
}
