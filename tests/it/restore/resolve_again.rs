//! What a run left out, tried again; and what a plan foretold, compared with the outcome.

use super::resolve::{KINDS, LOST, OF_TWO, incident, quarantined_reason};
use super::{Incident, Ledger};
use crate::support::dump;

#[test]
fn exactly_what_a_run_left_out_is_tried_again() {
    let incident = incident(&KINDS[1]);
    let plan = Ledger::of(&incident.run(&["restore"]).ok());
    let left = plan.total("quarantined");
    let first = Ledger::of(&incident.restore_with(&["--max-units", "1"]).expect_code(4));
    let run = first.get("run").as_str().unwrap().to_owned();
    let refused = incident
        .restore_with(&["--only-quarantined", &run])
        .expect_code(3);
    assert!(refused.stderr.contains("was stopped"), "{}", refused.stderr);
    incident.restore().expect_code(4);
    let line = &incident.quarantine()[0];
    assert_eq!(line["run"], serde_json::json!(run));
    let retry = line["retry"].as_str().unwrap();
    assert!(
        retry.contains(&format!("restore --execute --only-quarantined {run}")),
        "{retry}"
    );

    // What was deleted since is not brought back by a retry, nor anything else.
    incident.live.run("delete from users where id = 102");
    let plan = Ledger::of(&incident.run(&["restore", "--only-quarantined", &run]).ok());
    plan.expect(&[("inserted", left), ("already_present", LOST - left)]);
    let done = Ledger::of(&incident.restore_with(&["--only-quarantined", &run]).ok());
    done.expect(&[("inserted", left), ("already_present", LOST - left)]);
    assert_eq!(dump(&incident.live), incident.before);
    let refused = incident.restore_with(&["--only-quarantined", "nonsense"]);
    let refused = refused.expect_code(2);
    assert!(
        refused.stderr.contains("knows no such run"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_command_that_a_plan_prints_carries_it_out() {
    let incident = incident(&KINDS[1]);
    let config = incident.case.file("else where.toml");
    std::fs::write(&config, "").unwrap();
    let config = config.to_str().unwrap();
    let asked = ["restore", "--on-conflict", "remap", "--max-unit-time", "3s"];
    let plan = incident
        .for_people(&[&["--config", config], &asked[..]].concat())
        .ok();
    let (_, command) = plan.stderr.split_once("carry it out: ").unwrap();
    let options = "--execute --on-conflict remap --max-unit-time 3000ms --plan ";
    assert!(command.contains(options), "{command}");
    // A plan of other settings has another id, and is refused.
    let other = command.replace("--on-conflict remap", "");
    assert!(!typed(&incident, &other).success());
    assert!(typed(&incident, command).success());
    let verified = Ledger::of(&incident.verify(&[]).ok());
    assert!(verified.total("remapped") > 0);
}

/// A command as a person types it.
fn typed(incident: &Incident, command: &str) -> std::process::ExitStatus {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_reinstate"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", command.lines().next().unwrap()])
        .env("PATH", path)
        .env("REINSTATE_LIVE", incident.live.conninfo())
        .env("REINSTATE_SNAPSHOT", incident.snapshot.conninfo())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    shell.status().unwrap()
}

#[test]
fn a_retry_under_another_policy() {
    let incident = incident(&KINDS[1]);
    let first = Ledger::of(&incident.restore().expect_code(4));
    let run = first.get("run").as_str().unwrap().to_owned();
    let left = first.total("quarantined");
    let rest = ("already_present", LOST - left);
    let again = incident
        .restore_with(&["--only-quarantined", &run])
        .expect_code(4);
    Ledger::of(&again).expect(&[rest, ("quarantined", left)]);
    Ledger::of(&incident.verify(&[]).expect_code(1))
        .expect(&[("identical", LOST - left), ("quarantined", left)]);
    let remap = ["--only-quarantined", &run, "--on-conflict", "remap"];
    let done = Ledger::of(&incident.restore_with(&remap).ok());
    done.expect(&[("inserted", left - 1), rest, ("remapped", 1)]);
    let all = Ledger::of(&incident.restore().ok());
    all.expect(&[("already_present", LOST - 1), ("remapped", 1)]);
}

#[test]
fn a_retry_looks_at_nothing_else() {
    let incident = incident(&KINDS[1]);
    let first = Ledger::of(&incident.restore().expect_code(4));
    let run = first.get("run").as_str().unwrap().to_owned();
    let left = first.total("quarantined");
    incident.undo().ok();
    // Of the others it says that they are pending, and it is not done with the bundle. What it depends on is not there.
    let remap = ["--only-quarantined", &run, "--on-conflict", "remap"];
    let plan = Ledger::of(&incident.run(&[&["restore"], &remap[..]].concat()).ok());
    plan.expect(&[("quarantined", left), ("pending", LOST - left)]);
    let again = incident.restore_with(&remap).expect_code(4);
    Ledger::of(&again).expect(&[("quarantined", left), ("pending", LOST - left)]);
    Ledger::of(&incident.verify(&[]).expect_code(1))
        .expect(&[("missing", LOST - left), ("quarantined", left)]);
    let reason = quarantined_reason(&again, &incident);
    assert!(
        reason.contains("which it references, is no longer in live"),
        "{reason}"
    );
}

#[test]
fn outcome_and_prediction_are_compared() {
    let incident = incident(&KINDS[0]);
    // What a condition does that raises an error, no plan can know.
    incident.live.run(
        "create function fits(title text) returns bool language plpgsql as
           $$ begin if title = 'post 3' then raise 'too short'; end if; return true; end $$;
         alter table posts add constraint short check (fits(title)) not valid",
    );
    let args = ["--on-conflict", "skip"];
    let plan = Ledger::of(&incident.run(&[&["restore"], &args[..]].concat()).ok());
    plan.expect(&[("inserted", LOST - OF_TWO), ("skipped", OF_TWO)]);
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    let unknown =
        incident.restore_with(&["--on-conflict", "skip", "--max-units", "1", "--plan", &id]);
    assert!(
        Ledger::of(&unknown.expect_code(4))
            .get("prediction")
            .is_null(),
        "not at its end"
    );
    let plan = Ledger::of(&incident.run(&[&["restore"], &args[..]].concat()).ok());
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    let done = incident
        .restore_with(&["--on-conflict", "skip", "--plan", &id])
        .expect_code(4);
    let done = Ledger::of(&done);
    let prediction = done.get("prediction");
    assert_eq!(
        (&prediction["held"], &prediction["plan"]),
        (&false.into(), &id.into())
    );
    let unit = &prediction["units"][0];
    assert!(unit["foretold"].is_null(), "{unit}");
    assert!(
        unit["outcome"].as_str().unwrap().contains("short"),
        "{unit}"
    );
    let rows = prediction["rows"].as_array().unwrap();
    let posts = rows
        .iter()
        .find(|r| r["table"] == "public.posts" && r["state"] == "quarantined");
    assert_eq!(posts.unwrap()["foretold"], 0);

    // People read the same.
    let args = [
        "restore",
        "--execute",
        "--unrehearsed",
        "a test",
        "--on-conflict",
        "skip",
    ];
    let plan = Ledger::of(&incident.run(&["restore", "--on-conflict", "skip"]).ok());
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    let people = incident
        .for_people(&[&args[..], &["--plan", &id]].concat())
        .expect_code(4);
    for part in [
        "other than plan",
        "was left out; in the plan it came",
        "in the plan",
    ] {
        assert!(people.stdout.contains(part), "{part}: {}", people.stdout);
    }
}
