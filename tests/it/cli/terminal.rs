//! On a terminal, progress is drawn; `script` gives the program one.

use std::process::{Command, Stdio};

use super::story::Story;

/// Whether there is a program that gives another one a terminal.
fn script() -> bool {
    let found = Command::new("script")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|s| s.success())
}

fn on_a_terminal(story: &Story, words: &str, environment: &[(&str, &str)]) -> String {
    let program = env!("CARGO_BIN_EXE_reinstate");
    let line = format!(
        "stty cols 100; '{program}' -C '{}' {words}",
        story.case.path().display()
    );
    let mut command = Command::new("script");
    command
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("REINSTATE_LIVE", story.live.conninfo())
        .env("REINSTATE_SNAPSHOT", story.snapshot.conninfo())
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

#[test]
fn progress_shows_rows_rate_and_time_left() {
    if !script() {
        return;
    }
    let story = Story::begin();
    let grow =
        "insert into users select i, 'm' || i from generate_series(1000, 300000) i; analyze users";
    story.live.run(grow);
    story.snapshot.run(grow);
    let said = on_a_terminal(&story, "diff", &[("NO_COLOR", "1")]);
    let drawn = said
        .split('\r')
        .find(|l| l.contains("public.users") && l.contains(" rows "));
    let drawn = drawn.unwrap_or_else(|| panic!("no bar in {said:?}"));
    assert!(
        drawn.contains("/s ") && drawn.contains(" left"),
        "{drawn:?}"
    );
    // What is left on the screen at the end is the result, without a bar.
    assert!(said.contains("public.users"), "{said}");
    let quiet = on_a_terminal(&story, "diff -q", &[]);
    assert!(!quiet.contains('\u{1b}'), "{quiet:?}");
}
