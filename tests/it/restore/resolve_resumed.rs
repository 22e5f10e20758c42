//! `--on-conflict` in runs that are killed, cut off or stopped: they end as an undisturbed run ends.

use std::process::Stdio;
use std::time::Duration;

use super::cut::Proxy;
use super::resolve::{KINDS, LOST, incident, lines, refer_to};
use super::{Incident, Ledger};
use crate::support::{Output, cluster, dump};

/// Four hundred users with posts, in units of which many depend on others; a quarter of them signed up again.
fn large() -> Incident {
    let incident = Incident::new(
        "create table users (id int primary key, email text unique);
         create table posts (id int primary key, user_id int not null references users on delete cascade);
         create table follows (who int references users on delete cascade, whom int references users, primary key (who, whom));
         create table marks (user_id int not null references users on delete cascade, mark text);
         create index on posts (user_id); create index on follows (whom); create index on marks (user_id);
         insert into users select n, 'mail ' || n from generate_series(1, 450) n;
         insert into posts select n, 1 + n % 450 from generate_series(1, 3600) n;
         insert into follows select n, 1 + (n * 7) % 450 from generate_series(1, 450) n where n <> 1 + (n * 7) % 450;
         insert into marks select n, 'mark' from generate_series(1, 450) n",
        "delete from follows where whom <= 400 or who <= 400; delete from users where id <= 400",
    );
    let small = "[restore]\ntarget_batch = \"2ms\"\n";
    incident.case.write("reinstate.toml", small);
    incident.extract(&[]);
    incident
        .live
        .run("insert into users select 1000 + n, 'mail ' || n from generate_series(4, 400, 4) n");
    incident
}

/// What an undisturbed run leaves, by policy: rows of live, and counts.
fn undisturbed(policy: &str) -> (String, Vec<(&'static str, u64)>) {
    let incident = large();
    let done = Ledger::of(&incident.restore_with(&["--on-conflict", policy]).ok());
    let states = ["inserted", "remapped", "skipped"];
    let counts = states.map(|state| (state, done.total(state)));
    (dump(&incident.live), counts.to_vec())
}

#[track_caller]
fn ends_alike(incident: &Incident, policy: &str, last: &Output) {
    let (rows, counts) = undisturbed(policy);
    Ledger::of(last).expect(&counts);
    assert_eq!(dump(&incident.live), rows, "{policy}");
    let verified = Ledger::of(&incident.verify(&["--strict"]).ok());
    let verified_counts = [("identical", counts[0].1), counts[1], counts[2]];
    verified.expect(&verified_counts);
}

#[test]
fn killed_on_the_way() {
    for policy in ["remap", "skip"] {
        let incident = large();
        let args = ["--on-conflict", policy];
        let mut killed = 0;
        for milliseconds in [60, 90, 120, 150, 190, 230, 280, 330] {
            let mut command = incident.restore_command(&args);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(milliseconds));
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        assert!(killed >= 2, "{killed} were killed in time");
        let last = incident.restore_with(&args).ok();
        ends_alike(&incident, policy, &last);
        let undone = Ledger::of(&incident.undo().ok());
        assert_eq!(
            undone.total("kept_changed") + undone.total("kept_referenced"),
            0
        );
        assert_eq!(
            incident
                .live
                .count("select count(*) from posts where user_id <= 400"),
            0
        );
    }
}

#[test]
fn stopped_after_each_unit() {
    for policy in ["remap", "skip"] {
        let incident = incident(&KINDS[1]);
        let args = ["--on-conflict", policy, "--max-units", "1"];
        for _ in 0..3 {
            incident.restore_with(&args).expect_code(4);
        }
        let last = Ledger::of(&incident.restore_with(&args).ok());
        assert_eq!(
            last.total("inserted") + last.total("remapped") + last.total("skipped"),
            LOST
        );
        let held = if policy == "remap" {
            "2|2|2|1|1"
        } else {
            "0|0|0|0|0"
        };
        assert_eq!(refer_to(&incident, "102"), held);
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_remembered() {
    let incident = large();
    let port = cluster().port();
    let wire = Proxy::start(port, 3);
    let mut command = incident.restore_command(&["--on-conflict", "remap"]);
    let live = wire.conninfo(&incident.live.tcp_conninfo(), port);
    command.env("REINSTATE_LIVE", live);
    let output = Output::from(command.output().unwrap()).ok();
    assert_eq!(wire.left(), 0, "not every cut was made");
    ends_alike(&incident, "remap", &output);
}

/// What one policy decided holds when the run goes on, or another run follows, under another.
#[test]
fn decided_is_decided() {
    let incident = incident(&KINDS[1]);
    let args = ["--on-conflict", "remap", "--max-units", "3"];
    incident.restore_with(&args).expect_code(4);
    let decided = lines(&incident, "resolved.jsonl");
    let remapped = decided.iter().any(|l| l["state"] == "remapped");
    assert!(remapped, "{decided:#?}");
    let last = Ledger::of(&incident.restore().ok());
    last.expect(&[("inserted", LOST - 1), ("remapped", 1)]);
    assert_eq!(refer_to(&incident, "102"), "2|2|2|1|1");
    let settings = incident
        .live
        .query_text("select settings ->> 'on_conflict' from reinstate.run");
    assert_eq!(settings, "quarantine", "as the last command had it");
}

/// People edit and build upon what was pointed to the live row: an undo keeps that, and the live row stays as it is.
#[test]
fn an_undo_keeps_what_people_touched() {
    let incident = incident(&KINDS[1]);
    incident.restore_with(&["--on-conflict", "remap"]).ok();
    incident
        .live
        .run("update posts set title = 'edited' where user_id = 102 and id = 1");
    let undone = Ledger::of(&incident.undo().expect_code(4));
    undone.expect(&[("removed", LOST - 2), ("kept_changed", 1)]);
    assert_eq!(refer_to(&incident, "102"), "1|0|0|0|0");
    assert_eq!(
        incident
            .live
            .count("select count(*) from users where id = 102"),
        1
    );
    let back = Ledger::of(&incident.restore_with(&["--on-conflict", "remap"]).ok());
    back.expect(&[
        ("inserted", LOST - 2),
        ("already_present", 1),
        ("remapped", 1),
    ]);
    assert_eq!(refer_to(&incident, "102"), "2|2|2|1|1");
}

/// The live row goes away between two batches: who depends on the row it stood in for is left out.
#[test]
fn the_live_row_is_deleted_meanwhile() {
    let incident = incident(&KINDS[1]);
    let args = ["--on-conflict", "remap", "--max-units", "3"];
    let first = Ledger::of(&incident.restore_with(&args).expect_code(4));
    assert_eq!(first.total("remapped"), 1);
    incident.live.run(
        "delete from notes where about_type = 'User' and about_id = '102';
         delete from messages where to_id = 102; delete from users where id = 102",
    );
    let last = incident
        .restore_with(&["--on-conflict", "remap"])
        .expect_code(4);
    let left = incident.quarantine();
    assert_eq!(left.len(), 1, "{left:#?}");
    let reason = left[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("public.users 102, which it references, is no longer in live"),
        "{reason}"
    );
    assert!(Ledger::of(&last).total("quarantined") > 0);
}
