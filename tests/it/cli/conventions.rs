//! Conventions of every command: where flags stand, which value wins, what goes where, who may read the files.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::story::{Story, files};
use crate::support::{Case, Output};

const EXECUTE: [&str; 4] = ["restore", "--execute", "--unrehearsed", "a test"];

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

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
    story.run(["restore"]).expect_code(3);
    story.run(["restore", "--on-conflict", "quarantine"]).ok();
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
fn the_files_of_a_case_are_for_their_owner() {
    let story = Story::begin();
    let run = |args: &[&str], code: i32| {
        // The widest umask there is must not open anything.
        let program = env!("CARGO_BIN_EXE_reinstate");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 000; exec \"$0\" \"$@\"", program, "-C"]);
        command.arg(story.case.path()).args(args);
        command.env("REINSTATE_LIVE", story.live.conninfo());
        command.env("REINSTATE_SNAPSHOT", story.snapshot.conninfo());
        Output::from(command.output().unwrap()).expect_code(code);
    };
    run(&["diff"], 1);
    run(&["extract"], 0);
    run(&["restore"], 0);
    run(&["restore", "--execute", "--unrehearsed", "a test"], 4);
    run(&["verify"], 1);
    let found = files(story.case.path());
    for name in [
        "diff.json",
        "diff.jsonl",
        "plan.json",
        "restored.csv",
        "quarantine.jsonl",
        "certificate.json",
        "runs",
    ] {
        assert!(
            found.contains(&story.case.file(name).display().to_string()),
            "{name} in {found:?}"
        );
    }
    for path in &found {
        let path = std::path::Path::new(path);
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    let hidden = found
        .iter()
        .find(|f| f[story.case.path().as_os_str().len()..].contains("/."));
    assert_eq!(hidden, None, "left over");
}

#[test]
fn restored_csv_holds_what_every_run_gave_back() {
    let story = Story::extracted();
    story
        .run([&EXECUTE[..], &["--max-units", "1"]].concat())
        .expect_code(4);
    let lines = |text: String| text.lines().count() - 1;
    let first = lines(story.case.read("restored.csv"));
    story.run(EXECUTE).expect_code(4);
    let second = lines(story.case.read("restored.csv"));
    assert!(0 < first && first < second, "{first} {second}");
    // What was in the way is gone: a new run brings the rest, and the file has everything.
    story.live.run("delete from users where id = 20");
    story.run(EXECUTE).ok();
    assert_eq!(lines(story.case.read("restored.csv")), 4 + 9 + 27);
    story.run(EXECUTE).ok();
    assert_eq!(lines(story.case.read("restored.csv")), 4 + 9 + 27);
    assert_eq!(story.case.read("quarantine.jsonl"), "");
}

#[test]
fn many_units_left_out_do_not_flood_the_terminal() {
    let story = Story::begin();
    let more = "insert into users select i, 'm' || i from generate_series(100, 139) i";
    story.snapshot.run(more);
    story.run(["extract"]).ok();
    // The same addresses, taken again under other keys.
    story
        .live
        .run("insert into users select i + 100, 'm' || i from generate_series(100, 139) i");
    let output = story.run(["restore"]).ok();
    let named = output.stdout.matches("would be left out").count();
    assert_eq!(named, 10, "{}", output.stdout);
    assert!(
        output.stdout.contains("… and 31 units more"),
        "{}",
        output.stdout
    );
    let output = story.run(EXECUTE).expect_code(4);
    let warnings: Vec<&str> = output
        .stderr
        .lines()
        .filter(|l| l.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 12 + 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("29 more units were left out"),
        "{}",
        output.stderr
    );
    assert_eq!(story.case.read("quarantine.jsonl").lines().count(), 41);
    let output = story.run([&EXECUTE[..], &["-v"]].concat()).expect_code(4);
    assert_eq!(
        output.stderr.matches("left out").count(),
        41 + 1,
        "{}",
        output.stderr
    );
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
        said.contains(&format!("Next: reinstate -C {case} extract")),
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

#[test]
fn an_interrupted_reader_leaves_nothing() {
    let story = Story::begin();
    // A condition that takes its time, when part of the bundle is there already.
    let args = [
        "extract",
        "--root",
        "users",
        "--where",
        "pg_sleep(60) is null",
    ];
    let mut command = story.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let at_work = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event = 'PgSleep'";
    while story.snapshot.count(at_work) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let partial = |f: &String| f.ends_with(".partial");
    assert!(files(story.case.path()).iter().any(partial));
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output: Output = child.wait_with_output().unwrap().into();
    let said = output.expect_code(130).stderr;
    assert!(said.contains("interrupted; nothing was changed"), "{said}");
    assert!(files(story.case.path()).is_empty());
}
