//! The files of a case: who may read them, and what they hold.

use std::os::unix::fs::PermissionsExt;

use super::story::{EXECUTE, Story, files};
use crate::support::Output;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
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
        "conflicts.jsonl",
        "resolved.jsonl",
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
