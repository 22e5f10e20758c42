//! Conventions of every command: where flags stand, which value wins, what goes where.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::story::{EXECUTE, Story};
use crate::support::{Case, Output};

#[test]
fn global_flags_stand_before_and_after_the_verb() {
    let story = Story::begin();
    let case = story.case.path().to_str().unwrap();
    let (live, snapshot) = (story.live.conninfo(), story.snapshot.conninfo());
    let given = [
        "--live",
        &live,
        "--snapshot",
        &snapshot,
        "--format",
        "json",
        "-q",
        "-C",
        case,
    ];
    let before: Vec<&str> = given.iter().copied().chain(["diff"]).collect();
    let after: Vec<&str> = ["diff"].into_iter().chain(given).collect();
    let before = crate::support::reinstate(before).expect_code(1);
    let after = crate::support::reinstate(after).expect_code(1);
    assert_eq!(before.stdout, after.stdout);
    assert_eq!((before.stderr.as_str(), after.stderr.as_str()), ("", ""));
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let story = Story::begin();
    let (live, snapshot) = (story.live.conninfo(), story.snapshot.conninfo());
    let wrong = "host=/nowhere user=nobody";
    let file = |live: &str| {
        story.case.write(
            "reinstate.toml",
            &format!("live = \"{live}\"\nsnapshot = \"{snapshot}\"\n"),
        );
    };
    let run = |args: &[&str], env: Option<&str>| -> Output {
        let mut command = story.case.command(["diff", "-q"]);
        command.args(args);
        if let Some(value) = env {
            command.env("REINSTATE_LIVE", value);
        }
        command.output().unwrap().into()
    };
    file(&live);
    run(&[], None).expect_code(1);
    // An empty variable is as good as none.
    run(&[], Some("")).expect_code(1);
    run(&[], Some(wrong)).expect_code(2);
    run(&["--live", &live], Some(wrong)).expect_code(1);
    file(wrong);
    run(&[], None).expect_code(2);
    run(&[], Some(&live)).expect_code(1);
    // Another configuration file, named.
    let other = story.case.file("other.toml");
    std::fs::write(
        &other,
        format!("live = \"{live}\"\nsnapshot = \"{snapshot}\"\n"),
    )
    .unwrap();
    run(&["--config", other.to_str().unwrap()], None).expect_code(1);
}

#[test]
fn a_flag_beats_the_file_where_it_says_the_default_too() {
    let story = Story::extracted();
    story
        .case
        .write("reinstate.toml", "[restore]\non_conflict = \"remap\"\n");
    let plan = |args: &[&str]| {
        let args = [&["restore", "--format", "json"], args].concat();
        story.run(args).ok().json()["plan_id"].clone()
    };
    assert_eq!(plan(&[]), plan(&["--on-conflict", "remap"]));
    assert_ne!(plan(&[]), plan(&["--on-conflict", "quarantine"]));
}

#[test]
fn json_is_one_document_and_quiet_is_quiet() {
    let story = Story::begin();
    let commands: [(&[&str], i32); 6] = [
        (&["doctor"], 0),
        (&["diff"], 1),
        (&["extract"], 0),
        (&["restore"], 0),
        (&EXECUTE, 4),
        (&["verify"], 1),
    ];
    for (args, code) in commands {
        let json = [args, &["--format", "json", "--quiet"]].concat();
        let output = story.run(json).expect_code(code);
        let document = output.json();
        assert_eq!(document["schema_version"], 1, "{args:?}");
        let only_warnings = output
            .stderr
            .lines()
            .all(|line| line.starts_with("warning: "));
        assert!(only_warnings, "{args:?}: {}", output.stderr);
        // Nothing is coloured or drawn where nobody looks.
        assert!(!output.stderr.contains('\u{1b}') && !output.stdout.contains('\u{1b}'));
    }
    let run = &story.run(["restore", "--format", "json"]).ok().json()["run"];
    assert!(run.is_null());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure_and_a_full_one_is() {
    let story = Story::begin();
    let mut child = story
        .command(["diff"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output: Output = child.wait_with_output().unwrap().into();
    assert!(!output.expect_code(1).stderr.contains("panicked"));

    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = story
        .command(["diff"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output: Output = child.wait_with_output().unwrap().into();
    let output = output.expect_code(2);
    assert!(
        output.stderr.contains("could not be written to stdout"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_libpq_would_pass_over_is_said() {
    let story = Story::begin();
    let home = tempfile::tempdir().unwrap();
    let pgpass = home.path().join(".pgpass");
    std::fs::write(&pgpass, "*:*:*:*:s3cr3t\n").unwrap();
    std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output: Output = story
        .command(["diff"])
        .env("HOME", home.path())
        .output()
        .unwrap()
        .into();
    let said = output.expect_code(1).stderr;
    // Once, although both sides look there.
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    assert!(
        said.contains(".pgpass") && !said.contains("s3cr3t"),
        "{said}"
    );
}

#[test]
fn the_first_line_of_a_plan_names_host_database_and_role() {
    let story = Story::extracted();
    let output = story.run(["restore"]).ok();
    let target = format!("database {} on ", story.live.name);
    let first = output.stdout.lines().next().unwrap();
    assert!(
        first.contains(&target) && first.ends_with(" as postgres"),
        "{first}"
    );
    let id = output.stdout.split_whitespace().nth(1).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&story.case.read("plan.json")).unwrap();
    assert_eq!(plan["plan_id"], id);
    assert_eq!(
        (&plan["plan"], &plan["run"]),
        (&true.into(), &serde_json::Value::Null)
    );
    // And the id is what --plan takes.
    let planned = |id| [&EXECUTE[..], &["--plan", id]].concat();
    story.refuses(planned("0123"), 3, &["plan 0123 is out of date", id]);
    let output = story.run(planned(id)).expect_code(4);
    assert!(output.stderr.contains(&target), "{}", output.stderr);
}

#[test]
fn the_next_command_can_be_copied() {
    let story = Story::begin();
    let case = story.case.path().display();
    let said = story.run(["diff"]).expect_code(1).stderr;
    assert!(
        said.contains(&format!("Next: reinstate -C {case} timeline")),
        "{said}"
    );
    let elsewhere = Case::new();
    let bundle = elsewhere.file("b");
    let said = story
        .run(["extract".as_ref(), "-o".as_ref(), bundle.as_os_str()])
        .ok()
        .stderr;
    assert!(
        said.contains(&format!(
            "Next: reinstate -C {case} restore {}",
            bundle.display()
        )),
        "{said}"
    );
}
