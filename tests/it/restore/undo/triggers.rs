//! Triggers on DELETE: asked about, by name; what fires is noticed, and what is suppressed leaves no hole.

use std::process::Stdio;

use super::{Incident, LOST, Ledger, Output, dump, restored};

const FIRE: &[&str] = &["--last", "--triggers", "fire"];
const SUPPRESS: &[&str] = &["--last", "--triggers", "suppress"];
/// A unit of the library: a book and its two chapters.
const UNIT: u64 = 3;

/// The library, restored; from then on it has these triggers, which call a function that does `body`.
fn with(body: &str, triggers: &str) -> Incident {
    let incident = restored();
    incident.live.run(&format!(
        "create table log (what text, id text);
         create function act() returns trigger language plpgsql as $$ begin {body} end $$; {triggers}"
    ));
    incident
}

/// The one unit that stays is that of book 4, with this reason in the run's log; the other nine are gone.
#[track_caller]
fn book_4_stays(incident: &Incident, output: Output, reason: &str) {
    let undone = Ledger::of(&output.expect_code(4));
    undone.expect(&[("removed", LOST - UNIT), ("kept_referenced", UNIT)]);
    let run = undone.get("run").as_str().unwrap();
    let log = incident.case.read(&format!("runs/{run}.jsonl"));
    assert!(log.contains(reason), "{reason}: {log}");
    let live = &incident.live;
    assert_eq!(
        live.query_text("select string_agg(id::text, ' ') from books where id <= 10"),
        "4"
    );
    assert_eq!(
        live.count("select count(*) from chapters where book_id = 4"),
        2
    );
}

#[test]
fn nobody_has_said_whether_they_fire() {
    let incident = with(
        "return old;",
        "create schema app; alter function act() set schema app;
         create trigger \"Farewell\" before delete on books for each row execute function app.act();
         create trigger other after delete on chapters execute function app.act();
         create trigger harmless before insert or update on books for each row execute function app.act()",
    );
    let there = dump(&incident.live);
    let plan = incident.undo_plan(&["--last"]).ok();
    Ledger::of(&plan).expect(&[("removed", LOST)]);
    let people = incident.for_people(&["undo", "--last"]).ok();
    let refused = incident.undo().expect_code(3);
    for said in [&plan.stdout, &people.stdout, &refused.stderr] {
        for words in [
            "public.books",
            "Farewell calling app.act",
            "public.chapters",
            "other calling app.act",
            "--triggers suppress",
        ] {
            assert!(
                said.replace("\\\"", "\"").contains(words),
                "{words}: {said}"
            );
        }
        assert!(!said.contains("harmless"), "{said}");
    }
    assert!(
        people.stderr.contains("would be refused"),
        "{}",
        people.stderr
    );
    assert_eq!(dump(&incident.live), there);
    incident
        .live
        .run("alter table books disable trigger \"Farewell\"; drop trigger other on chapters");
    incident.undo().ok();
}

#[test]
fn they_fire() {
    // The function finds its table as the application does.
    let incident = with(
        "insert into log values (tg_name, old.id); return old;",
        "create trigger each before delete on books for each row execute function act();
         create constraint trigger late after delete on chapters deferrable initially deferred for each row execute function act();
         create trigger replica before delete on books for each row execute function act();
         alter table books enable replica trigger replica",
    );
    let people = incident
        .for_people(&["undo", "--last", "--triggers", "fire"])
        .ok();
    let words = "public.books: triggers will fire on every row deleted: each calling public.act before delete, for each row";
    assert!(people.stdout.contains(words), "{}", people.stdout);
    assert!(
        people.stderr.contains("--execute --triggers fire"),
        "{}",
        people.stderr
    );
    Ledger::of(&incident.undo_plan(FIRE).ok()).expect(&[("removed", LOST)]);
    Ledger::of(&incident.undo_with(FIRE).ok()).expect(&[("removed", LOST)]);
    let log = "select string_agg(what || ' ' || n, ', ' order by what) from (select what, count(*) n from log group by 1) l";
    assert_eq!(incident.live.query_text(log), "each 10, late 20");
    let recorded = "select settings ->> 'triggers' from reinstate.run where kind = 'undo'";
    assert_eq!(incident.live.query_text(recorded), "fire");
    incident.live.run("drop table log");
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn one_that_does_not_let_a_row_go() {
    // As where deleting means setting a mark.
    let incident = with(
        "if old.id = 4 then update public.books set note = 'deleted' where id = 4; return null; end if; return old;",
        "create trigger marks before delete on books for each row execute function act()",
    );
    let output = incident.undo_with(FIRE);
    book_4_stays(
        &incident,
        output,
        "a trigger kept a row of it from being deleted",
    );
    assert_eq!(
        incident
            .live
            .query_text("select note from books where id = 4"),
        "note 4"
    );
}

#[test]
fn one_that_writes_the_row_again() {
    let incident = with(
        "if old.id = 4 then insert into public.books select (old).*; end if; return null;",
        "create trigger again after delete on books for each row execute function act()",
    );
    let output = incident.undo_with(FIRE);
    book_4_stays(&incident, output, "wrote it again");
}

#[test]
fn one_that_refuses_at_the_commit() {
    let incident = with(
        "if old.id = 4 then raise 'not this one'; end if; return null;",
        "create constraint trigger late after delete on books deferrable initially deferred for each row execute function act()",
    );
    let output = incident.undo_with(FIRE);
    book_4_stays(&incident, output, "not this one");
}

#[test]
fn they_are_suppressed() {
    let incident = with(
        "insert into public.log values (tg_name, old.id); return null;",
        "create trigger never before delete on books for each row execute function act();
         create trigger never before delete on chapters for each row execute function act()",
    );
    let people = incident
        .for_people(&["undo", "--last", "--triggers", "suppress"])
        .ok();
    let words = "public.chapters: triggers are kept from firing: never calling";
    assert!(people.stdout.contains(words), "{}", people.stdout);
    Ledger::of(&incident.undo_with(SUPPRESS).ok()).expect(&[("removed", LOST)]);
    assert_eq!(incident.live.count("select count(*) from log"), 0);
    incident.live.run("drop table log");
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// What somebody else has come to hang from a row stays, and keeps the row: nothing cascades, and nothing is left behind.
#[test]
fn suppressed_they_leave_nothing_that_refers_to_what_is_gone() {
    let incident = with(
        "if old.id = 4 then insert into public.chapters values (99, 4, 'the last'); end if; return old;",
        "create trigger ordinary before delete on chapters for each row execute function act();
         create trigger always before delete on books for each row execute function act();
         alter table books enable always trigger always",
    );
    incident
        .live
        .run("insert into chapters values (98, 5, 'by the owner')");
    let refused = incident.undo_with(SUPPRESS).expect_code(3).stderr;
    assert!(
        refused.contains("--accept-trigger public.books.always"),
        "{refused}"
    );
    let accepting = [SUPPRESS, &["--accept-trigger", "public.books.always"]].concat();
    let undone = Ledger::of(&incident.undo_with(&accepting).expect_code(4));
    undone.expect(&[("removed", LOST - UNIT - 1), ("kept_referenced", UNIT + 1)]);
    let live = &incident.live;
    assert_eq!(
        live.query_text("select string_agg(id::text, ' ' order by id) from books where id <= 10"),
        "4 5"
    );
    let orphans = "select count(*) from chapters c where not exists (select from books b where b.id = c.book_id)";
    assert_eq!(live.count(orphans), 0);
    assert_eq!(
        live.query_text("select string_agg(id::text, ' ') from chapters where id > 90"),
        "98"
    );
    live.run("alter table chapters drop constraint chapters_book_id_fkey, add foreign key (book_id) references books");
}

#[test]
fn what_cannot_be_asked_for() {
    let incident = with(
        "return old;",
        "create trigger each before delete on books for each row execute function act()",
    );
    let unknown = [SUPPRESS, &["--accept-trigger", "public.books.ech"]].concat();
    for deed in [incident.undo_plan(&unknown), incident.undo_with(&unknown)] {
        let said = deed.expect_code(2).stderr;
        assert!(said.contains("public.books.ech"), "{said}");
    }
    let both = [FIRE, &["--accept-trigger", "public.books.each"]].concat();
    incident.undo_with(&both).expect_code(2);
    incident
        .undo_with(&["--last", "--max-unit-time", "soon"])
        .expect_code(2);
    let role = format!("taker_{}", incident.live.name);
    incident.live.run(&format!(
        "create role {role} login; grant usage on schema public, reinstate to {role};
         grant select, insert, update, delete on all tables in schema public to {role};
         grant select, insert, update on all tables in schema reinstate to {role}"
    ));
    let mut command = incident.undo_command(SUPPRESS);
    command.env("REINSTATE_LIVE", incident.live.conninfo_as(&role));
    let refused: Output = command.output().unwrap().into();
    let said = refused.expect_code(3).stderr;
    assert!(
        said.contains("may not suppress triggers") && said.contains(&role),
        "{said}"
    );
}

/// References in a circle are emptied by UPDATE: its triggers are asked about too.
#[test]
fn a_circle_that_came_back_in_parts() {
    let incident = Incident::new(
        "create table folders (id int primary key, parent_id int references folders, name text);
         create index on folders (parent_id);
         insert into folders select n, null, 'folder ' || n from generate_series(1, 60) n;
         update folders set parent_id = case when id < 60 then id + 1 else 1 end;
         create function act() returns trigger language plpgsql as $$ begin raise 'never'; end $$",
        "truncate folders",
    )
    .with(&["--max-unit-rows", "10"]);
    incident.extract(&[]);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 60)]);
    incident
        .live
        .run("create trigger never before update on folders for each row execute function act()");
    let refused = incident.undo().expect_code(3).stderr;
    assert!(
        refused.contains("emptied again (never calling public.act"),
        "{refused}"
    );
    // What it raises keeps the circle, whole.
    Ledger::of(&incident.undo_with(FIRE).expect_code(4)).expect(&[("kept_referenced", 60)]);
    assert_eq!(dump(&incident.live), incident.before);
    let run = incident
        .live
        .query_text("select run from reinstate.run where kind = 'restore'");
    let again = [&run, "--triggers", "suppress"];
    Ledger::of(&incident.undo_with(&again).ok()).expect(&[("removed", 60)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// One that goes on may treat them otherwise.
#[test]
fn an_undo_that_goes_on() {
    let incident = with(
        "perform pg_sleep(0.05); return old;",
        "create trigger slow before delete on books for each row execute function act()",
    );
    let mut command = incident.undo_command(FIRE);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    super::wait_for(
        &incident,
        "select count(*) from reinstate.run where kind = 'undo'",
    );
    child.kill().unwrap();
    child.wait().unwrap();
    Ledger::of(&incident.undo_with(SUPPRESS).ok()).expect(&[("removed", LOST)]);
    let recorded =
        "select count(*), max(settings ->> 'triggers'), max(settings ->> 'undoes') is not null
                      from reinstate.run where kind = 'undo'";
    assert_eq!(incident.live.query_text(recorded), "1|suppress|t");
}
