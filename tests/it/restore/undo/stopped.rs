//! Stopped, killed, gone on with, and which run is the last.

use std::process::Stdio;

use super::{Incident, LOST, Ledger, Output, dump, incident, last_run, undoes, wait_for};

#[test]
fn killed_again_and_again() {
    let incident = super::super::interrupted::large();
    incident.restore().ok();
    let run = last_run(&incident);
    for batches in [1, 3, 6] {
        let mut command = incident.undo_command(&[&run]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(
            &incident,
            &format!("select (count(*) >= {batches})::int from reinstate.undo_rows"),
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let half = incident
        .live
        .count("select coalesce(sum(removed), 0) from reinstate.undo_rows");
    assert!((1..20_000).contains(&half), "{half}");
    Ledger::of(&incident.undo_with(&[&run]).ok()).expect(&[("removed", 20_000)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    let undos = "select count(*) from reinstate.run where kind = 'undo'";
    assert_eq!(incident.live.count(undos), 1);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 20_000)]);
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn interrupted_and_gone_on_with() {
    let incident = super::super::interrupted::large();
    incident.restore().ok();
    let mut command = incident.undo_command(&["--last"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&incident, "select count(*) from reinstate.undo_rows");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output: Output = child.wait_with_output().unwrap().into();
    let ledger = Ledger::of(&output.expect_code(130));
    let pending = ledger.get("pending").as_u64().unwrap();
    assert!(pending > 0);
    assert_eq!(ledger.total("removed") + pending, 20_000);
    let plan = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    plan.expect(&[("removed", 20_000)]);
    assert_eq!(plan.get("resumes"), ledger.get("run"));
    let done = Ledger::of(&incident.undo().ok());
    done.expect(&[("removed", 20_000)]);
    assert_eq!(done.get("run"), ledger.get("run"));
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// A restore that was stopped does not go on after it was taken back: the next one is another run.
#[test]
fn a_canary_is_taken_back() {
    let incident = incident();
    incident.restore_with(&["--max-units", "3"]).expect_code(4);
    undoes(&incident, &[("removed", 9)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from reinstate.run where kind = 'restore'"),
        2
    );
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST)]);
}

#[test]
fn the_last_is_the_last_that_is_not_undone() {
    let incident = incident();
    incident
        .live
        .run("insert into books values (1, 2, 'other', 1)");
    incident.restore().expect_code(4);
    incident.live.run("delete from books where id = 1");
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 3), ("already_present", LOST - 3)]);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LOST)]);
    for rows in [3, LOST - 3] {
        Ledger::of(&incident.undo().ok()).expect(&[("removed", rows)]);
    }
    assert_eq!(dump(&incident.live), incident.after_loss);
    let none = incident.undo().expect_code(2);
    assert!(
        none.stderr.contains("no restore that wrote something"),
        "{}",
        none.stderr
    );
}

/// A unit in parts, the first ones by one run and the rest by the next: whichever are taken back come back.
#[test]
fn parts_of_two_runs_are_taken_back_and_come_again() {
    let incident = Incident::new(
        "create table shelves (id int primary key);
         create table books (id int primary key, shelf_id int not null references shelves on delete cascade, title text);
         create index on books (shelf_id);
         create function fits(id int) returns bool language plpgsql as
           $$ begin if id = 70 then raise 'not this one'; end if; return true; end $$;
         insert into shelves values (1);
         insert into books select n, 1, 'title ' || n from generate_series(1, 120) n",
        "delete from shelves; alter table books add constraint fits check (fits(id))",
    )
    .with(&["--max-unit-rows", "20"]);
    incident.extract(&[]);
    let forbid = |not: &str| {
        let sql = format!("create or replace function fits(id int) returns bool language plpgsql as
                             $$ begin if {not} then raise 'not this one'; end if; return true; end $$");
        incident.live.run(&sql);
    };
    let whole = 121;
    for first_alone in [false, true, false] {
        forbid("id = 70");
        let first = Ledger::of(&incident.restore().expect_code(4));
        first.expect(&[("inserted", 60), ("quarantined", whole - 60)]);
        forbid("false");
        let rest = Ledger::of(&incident.restore().ok());
        rest.expect(&[("inserted", whole - 60), ("already_present", 60)]);
        let first = first.get("run").as_str().unwrap().to_owned();
        if first_alone {
            // The shelf stays, for the books of the second run stand on it.
            let undone = Ledger::of(&incident.undo_with(&[&first]).expect_code(4));
            undone.expect(&[("removed", 59), ("kept_referenced", 1)]);
            let again = Ledger::of(&incident.restore().ok());
            again.expect(&[("inserted", 59), ("already_present", whole - 59)]);
            assert_eq!(dump(&incident.live), incident.before);
            Ledger::of(&incident.undo().ok()).expect(&[("removed", 59)]);
            incident.undo().ok();
            incident.undo_with(&[&first]).ok();
        } else {
            Ledger::of(&incident.undo().ok()).expect(&[("removed", whole - 60)]);
            incident
                .plan()
                .expect(&[("inserted", whole - 60), ("already_present", 60)]);
            Ledger::of(&incident.undo().ok()).expect(&[("removed", 60)]);
        }
        assert_eq!(dump(&incident.live), incident.after_loss);
        Ledger::of(&incident.verify(&[]).expect_code(1)).expect(&[("missing", whole)]);
    }
}
