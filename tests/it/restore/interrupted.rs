//! Runs that stop half way, by will or by force, end where an undisturbed run ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::{Output, dump};

#[test]
fn a_canary_and_then_the_rest_are_one_run() {
    let incident = incident();
    let mut runs = Vec::new();
    for (args, inserted, code) in [
        (&["--max-units", "3"][..], 9, 4),
        (&["--max-units", "3"], 18, 4),
        (&[], LOST, 0),
    ] {
        let output = incident.restore_with(args).expect_code(code);
        let ledger = Ledger::of(&output);
        ledger.expect(&[("inserted", inserted), ("pending", LOST - inserted)]);
        assert_eq!(
            incident
                .live
                .count("select count(*) from books where id <= 10"),
            inserted as i64 / 3
        );
        runs.push(ledger.get("run").clone());
    }
    assert!(
        runs.iter().all(|r| *r == runs[0] && r.is_string()),
        "{runs:?}"
    );
    assert_eq!(
        incident
            .live
            .query_text("select state, count(*) from reinstate.run group by 1"),
        "done|1"
    );
    assert_eq!(dump(&incident.live), incident.before);
    let csv = incident.case.read("restored.csv");
    assert_eq!(csv.lines().count() as u64, 1 + LOST);
}

#[test]
fn a_canary_that_is_the_whole() {
    let incident = incident();
    let output = incident.restore_with(&["--max-units", "10"]).ok();
    Ledger::of(&output).expect(&[("inserted", LOST)]);
    let output = incident.restore_with(&["--max-units", "1"]).ok();
    Ledger::of(&output).expect(&[("already_present", LOST)]);
}

#[test]
fn units_left_out_get_another_chance_when_a_run_goes_on() {
    let incident = incident();
    incident
        .live
        .run("insert into books values (1, 2, 'other', 1)");
    let output = incident.restore_with(&["--max-units", "2"]).expect_code(4);
    Ledger::of(&output).expect(&[("inserted", 3), ("quarantined", 3), ("pending", LOST - 6)]);
    incident.live.run("delete from books where id = 1");
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", LOST)]);
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn a_server_in_trouble_is_no_units_fault() {
    let incident = incident();
    incident.live.run(
        "create function full_disk(n int) returns bool language plpgsql as
            $$ begin if n = 6 then raise disk_full using message = 'no space left'; end if; return true; end $$;
         alter table books add constraint room check (full_disk(pages)) not valid",
    );
    let output = incident.restore().expect_code(4);
    assert!(
        output.stderr.contains("no space left") && output.stderr.contains("again"),
        "{}",
        output.stderr
    );
    assert_eq!(
        incident.live.query_text("select state from reinstate.run"),
        "running"
    );
    assert_eq!(
        incident
            .live
            .count("select count(*) from reinstate.quarantined"),
        0
    );
    incident.live.run("alter table books drop constraint room");
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", LOST)]);
    assert_eq!(incident.live.count("select count(*) from reinstate.run"), 1);
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn a_unit_that_takes_too_long() {
    let incident = Incident::new(
        "create table roots (id int primary key);
         create table leaves (id int primary key, root_id int not null references roots on delete cascade);
         insert into roots select n from generate_series(1, 30) n;
         insert into leaves select n, 1 + n % 30 from generate_series(1, 120) n;
         insert into leaves select 1000 + n, 30 from generate_series(1, 150) n",
        "delete from roots",
    );
    incident.extract(&[]);
    // Twenty milliseconds a row: most units fit in a batch, one takes three seconds.
    incident.live.run(
        "create function slow(n int) returns bool language plpgsql as $$ begin perform pg_sleep(0.02); return true; end $$;
         alter table leaves add constraint slow check (slow(id))",
    );
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", 29 * 5), ("quarantined", 155)]);
    let left = incident.quarantine();
    assert!(
        left[0]["reason"]
            .as_str()
            .unwrap()
            .contains("--max-unit-time"),
        "{left:?}"
    );
    let output = incident.restore_with(&["--max-unit-time", "20s"]).ok();
    Ledger::of(&output).expect(&[("inserted", 155), ("already_present", 29 * 5)]);
    assert_eq!(dump(&incident.live), incident.before);
}

/// 2,000 roots with eight dependents each, and as many rows without a key: 20,000, in hundreds of small batches, so that
/// there is time to disturb it.
pub(super) fn large() -> Incident {
    let incident = Incident::new(
        "create table roots (id int primary key, name text);
         create table leaves (id int primary key, root_id int not null references roots on delete cascade, name text);
         create table notes (root_id int not null references roots on delete cascade, body text);
         create index on leaves (root_id);
         create index on notes (root_id);
         insert into roots select n, 'root ' || n from generate_series(1, 2200) n;
         insert into leaves select n, 1 + n % 2200, 'leaf ' || n from generate_series(1, 17600) n;
         insert into notes select 1 + n % 2200, 'note' from generate_series(1, 2200) n",
        "delete from roots where id <= 2000",
    );
    let small = "[restore]\ntarget_batch = \"4ms\"\n";
    incident.case.write("reinstate.toml", small);
    let extracted = incident.extract(&[]);
    assert_eq!(
        (extracted.total("rows"), extracted.total("units")),
        (20_000, 2_000)
    );
    incident
}

/// Batches that the journal knows.
fn batches(incident: &Incident) -> i64 {
    let there = incident
        .live
        .count("select count(*) from pg_class where oid = to_regclass('reinstate.batch')");
    if there == 0 {
        return 0;
    }
    incident.live.count("select count(*) from reinstate.batch")
}

/// Ends as an undisturbed run ends.
fn whole(incident: &Incident, last: &Output) {
    Ledger::of(last).expect(&[("inserted", 20_000)]);
    assert_eq!(dump(&incident.live), incident.before);
    assert_eq!(incident.live.count("select count(*) from reinstate.run"), 1);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 20_000)]);
}

/// Starts a restore, lets it commit a few more batches, waits a little longer and kills it.
fn kill_one(incident: &Incident, after_batches: i64, and: Duration) -> bool {
    let known = batches(incident);
    let mut command = incident.restore_command(&[]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while batches(incident) < known + after_batches && started.elapsed() < Duration::from_secs(30) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
    std::thread::sleep(and);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn killed_again_and_again() {
    killed_often(&large());
}

#[test]
fn killed_while_triggers_are_suppressed() {
    let incident = large().with(&["--triggers", "suppress"]);
    incident.live.run(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no rows today'; end $$;
         create trigger refuses before insert on roots for each row execute function refuse();
         create trigger refuses before insert on leaves for each row execute function refuse();
         create trigger refuses before insert on notes for each row execute function refuse()",
    );
    killed_often(&incident);
}

fn killed_often(incident: &Incident) {
    let mut killed = 0;
    for (batches, milliseconds) in [(0, 60), (0, 120), (1, 0), (1, 13), (2, 29), (1, 41), (3, 7)] {
        killed += u32::from(kill_one(
            incident,
            batches,
            Duration::from_millis(milliseconds),
        ));
        // Never a part of a unit.
        let torn = "select count(*) from roots r where
                      (select count(*) from leaves where root_id = r.id) <> 8 or (select count(*) from notes where root_id = r.id) <> 1";
        assert_eq!(incident.live.count(torn), 0);
    }
    assert!(killed >= 4, "{killed} were killed in time");
    whole(incident, &incident.restore().ok());
}

/// A process that stands still in the middle of a batch (a laptop's lid, a debugger) holds its locks for a second or so,
/// not for as long as it sleeps; woken, it goes on.
#[test]
fn a_frozen_process_lets_go() {
    let incident = large();
    let child = incident
        .restore_command(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let signal = |name: &str| {
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(sent.unwrap().success());
    };
    let open = "select count(*) from pg_stat_activity where application_name = 'reinstate restore'
                 and datname = current_database() and state = 'idle in transaction'";
    let mut seen = false;
    for _ in 0..400 {
        signal("-STOP");
        // Whatever the server was doing is done by now.
        std::thread::sleep(Duration::from_millis(30));
        if incident.live.count(open) > 0 {
            seen = true;
            break;
        }
        signal("-CONT");
        std::thread::sleep(Duration::from_millis(3));
    }
    if seen {
        let started = Instant::now();
        while incident.live.count(open) > 0 {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "still holds its locks"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    signal("-CONT");
    let output = child.wait_with_output().unwrap();
    assert!(seen, "never stopped in the middle of a transaction");
    assert!(output.status.success());
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn the_servers_end_of_a_session_is_survived() {
    let incident = large();
    let mut command = incident.restore_command(&[]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut ended, mut known) = (0, 0);
    for _ in 0..4 {
        // Back at work since the last time.
        let started = Instant::now();
        while batches(&incident) <= known && started.elapsed() < Duration::from_secs(15) {}
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where application_name = 'reinstate restore' and datname = current_database()";
        ended += incident.live.count(sql);
        known = batches(&incident);
    }
    let output: Output = child.wait_with_output().unwrap().into();
    assert!(ended >= 2, "{ended} sessions were ended in time");
    whole(&incident, &output.ok());
}

#[test]
fn a_signal_stops_it_between_two_batches() {
    let incident = large();
    let mut command = incident.restore_command(&[]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while batches(&incident) < 1 {}
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output: Output = child.wait_with_output().unwrap().into();
    let ledger = Ledger::of(&output.expect_code(130));
    assert!(ledger.total("pending") > 0);
    assert_eq!(ledger.total("inserted") + ledger.total("pending"), 20_000);
    whole(&incident, &incident.restore().ok());
}
