//! What is refused as unsafe (3): nothing is changed, and the message names what stands in the way.

use std::time::{Duration, Instant};

use super::dependents::wait_for;
use super::library::{LOST, incident};
use super::{Incident, Ledger, journal_of};
use crate::support::dump;

/// A plan is made and names the table with all of `words`; the deed is refused with them, and nothing changes.
pub(super) fn plan_tells(incident: &Incident, table: &str, words: &[&str]) {
    let plan = incident.plan();
    let told = plan.get("checks")[table].to_string();
    let output = incident.restore().expect_code(3);
    for word in words {
        assert!(told.contains(word), "{word} in {told}");
        assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
    }
    let text = incident.for_people(&["restore"]).ok();
    for word in words.iter().copied().chain([table, "--execute is refused"]) {
        assert!(text.stdout.contains(word), "{word} in {}", text.stdout);
    }
    assert!(!text.stderr.contains("To carry it out"), "{}", text.stderr);
    assert_eq!(dump(&incident.live), incident.after_loss);
    assert_eq!(journal_of(&incident.live), "");
}

/// Neither plan nor deed is allowed, each says all of `words`, and nothing changes.
fn refuses(incident: &Incident, words: &[&str]) {
    let before = dump(&incident.live);
    for output in [incident.run(&["restore"]), incident.restore()] {
        let output = output.expect_code(3);
        for word in words {
            assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
        }
        assert_eq!(output.stdout, "");
    }
    assert_eq!(dump(&incident.live), before);
    assert_eq!(
        incident
            .live
            .count("select count(*) from pg_namespace where nspname = 'reinstate'"),
        0
    );
}

const TRIGGER: &str = "create schema app;
    create function app.greet() returns trigger language plpgsql as $$ begin return new; end $$;";

#[test]
fn a_trigger_on_insert() {
    for (table, kind) in [
        ("public.books", "before insert on books for each row"),
        (
            "public.chapters",
            "after insert or update on chapters for each statement",
        ),
    ] {
        let incident = incident();
        incident.live.run(&format!(
            "{TRIGGER} create trigger \"Welcome\" {kind} execute function app.greet()"
        ));
        let said = ["Welcome", "app.greet", kind.split(" on").next().unwrap()];
        plan_tells(&incident, table, &said);
        plan_tells(
            &incident,
            table,
            &["--triggers fire", "--triggers suppress"],
        );
    }
}

#[test]
fn a_constraint_trigger() {
    let incident = incident();
    incident.live.run(&format!(
        "{TRIGGER} create constraint trigger checked after insert on books deferrable initially deferred
                   for each row execute function app.greet()"
    ));
    plan_tells(&incident, "public.books", &["checked", "app.greet"]);
}

/// All tables at once: one after the other would take as many tries.
#[test]
fn every_table_with_triggers_is_named() {
    let incident = incident();
    incident.live.run(&format!(
        "{TRIGGER} create trigger one before insert on books for each row execute function app.greet();
                   create trigger two before insert on chapters for each row execute function app.greet()"
    ));
    plan_tells(&incident, "public.books", &["one calling app.greet"]);
    let said = incident.restore().expect_code(3).stderr;
    assert!(said.contains("public.chapters cannot take"), "{said}");
    assert!(said.contains("two calling app.greet"), "{said}");
}

#[test]
fn triggers_that_do_not_fire_are_no_reason() {
    let incident = incident();
    incident.live.run(&format!(
        "{TRIGGER} create trigger a before update or delete on books for each row execute function app.greet();
                   create trigger b before insert on books for each row execute function app.greet();
                   alter table books disable trigger b;
                   create trigger c before insert on owners for each row execute function app.greet();
                   create trigger d before insert on books for each row execute function app.greet();
                   alter table books enable replica trigger d"
    ));
    incident.restore().ok();
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn a_table_that_live_lacks() {
    let incident = incident();
    incident.live.run("drop table chapters");
    refuses(
        &incident,
        &["public.chapters", "live does not have this table"],
    );
}

#[test]
fn a_column_that_nothing_would_fill() {
    let incident = incident();
    incident.live.run("alter table books add column shop int; update books set shop = 1; alter table books alter shop set not null");
    refuses(&incident, &["public.books", "shop", "default"]);
}

#[test]
fn a_role_that_may_not_write() {
    let incident = incident();
    let role = format!("reader_{}", incident.live.name);
    incident.live.run(&format!(
        "create role {role} login; grant select on all tables in schema public to {role}"
    ));
    for mut command in [
        incident.command(&["restore"]),
        incident.restore_command(&[]),
    ] {
        command.env("REINSTATE_LIVE", incident.live.conninfo_as(&role));
        let output = crate::support::Output::from(command.output().unwrap()).expect_code(3);
        let said = output.stderr;
        assert!(
            said.contains("public.books") && said.contains("INSERT") && said.contains(&role),
            "{said}"
        );
    }
    assert_eq!(journal_of(&incident.live), "");
    incident
        .live
        .run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn without_a_rehearsal() {
    let incident = incident();
    let output = incident.run(&["restore", "--execute"]).expect_code(3);
    assert!(output.stderr.contains("--unrehearsed"), "{}", output.stderr);
    assert_eq!(journal_of(&incident.live), "");
    incident.restore().ok();
    assert_eq!(
        incident
            .live
            .query_text("select unrehearsed from reinstate.run"),
        "a test"
    );
}

#[test]
fn a_publication_of_all_tables() {
    let incident = incident();
    incident
        .live
        .run("create publication everything for all tables");
    let output = incident.restore().expect_code(3);
    assert!(output.stderr.contains("everything"), "{}", output.stderr);
    assert_eq!(dump(&incident.live), incident.after_loss);
    assert_eq!(journal_of(&incident.live), "");
}

#[test]
fn a_plan_that_is_out_of_date() {
    let incident = incident();
    let id = incident.plan().get("plan_id").as_str().unwrap().to_owned();
    let refused = |id: &str, words: &str| {
        let output = incident.restore_with(&["--plan", id]).expect_code(3);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert_eq!(journal_of(&incident.live), "");
    };
    refused("000000000000", &id);
    incident
        .live
        .run("insert into books values (4, 2, 'other', 1)");
    refused(&id, "out of date");
    incident.live.run("delete from books where id = 4");
    // Rows that come back meanwhile, as they were, are no difference.
    incident
        .live
        .run("insert into chapters select 100, 11, ''; delete from chapters where id = 100");
    incident
        .live
        .run("insert into books values (4, 5, 'isbn 4', 4, 'note 4', '[40, 45)')");
    let output = incident.restore_with(&["--plan", &id]).ok();
    Ledger::of(&output).expect(&[("inserted", LOST - 1), ("already_present", 1)]);
    assert_eq!(dump(&incident.live), incident.before);
}

const HOLD: &str = "select pg_advisory_lock(1919248750, 1937006964); select pg_sleep(40) /* holds the run lock */;";
const HOLDING: &str = "select count(*) from pg_locks where locktype = 'advisory' and granted
    and database = (select oid from pg_database where datname = current_database())";

#[test]
fn a_second_run_while_another_is_alive() {
    let incident = incident();
    let mut other = incident.live.spawn(HOLD);
    wait_for(&incident, HOLDING);
    let started = Instant::now();
    let output = incident.restore().expect_code(3);
    assert!(
        output.stderr.contains("another run is at work"),
        "{}",
        output.stderr
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(dump(&incident.live), incident.after_loss);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn an_unfinished_run_whose_process_is_alive() {
    let incident = incident();
    incident.restore_with(&["--max-units", "2"]).expect_code(4);
    let now = dump(&incident.live);
    let mut other = incident.live.spawn(HOLD);
    wait_for(&incident, HOLDING);
    // It could be about to end: ten seconds of patience, and no more.
    let started = Instant::now();
    let output = incident.restore().expect_code(3);
    assert!(
        output.stderr.contains("another run is at work"),
        "{}",
        output.stderr
    );
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
    assert_eq!(dump(&incident.live), now);
    // The server ends the other session: the next one goes on.
    incident.live.run("select pg_terminate_backend(pid) from pg_stat_activity where query like '%holds the run lock%' and pid <> pg_backend_pid() and datname = current_database()");
    other.wait().unwrap();
    incident.restore().ok();
    assert_eq!(dump(&incident.live), incident.before);
}

/// With a swapped connection string everything would be found in its place, and certified.
#[test]
fn the_snapshot_given_as_live() {
    let incident = incident();
    let snapshot = incident.snapshot.conninfo();
    let before = dump(&incident.snapshot);
    for args in [
        &["restore"][..],
        &["restore", "--execute", "--unrehearsed", "test"],
        &["verify"],
    ] {
        let args = [args, &["--live", &snapshot]].concat();
        let output = incident.run(&args).expect_code(3);
        assert!(
            output.stderr.contains("--live reaches the snapshot"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(dump(&incident.snapshot), before);
    let journal = "select count(*) from pg_namespace where nspname = 'reinstate'";
    assert_eq!(incident.snapshot.count(journal), 0);
}
