//! Ctrl-C: what only reads leaves nothing behind, a restore stops between two batches.

use std::process::Stdio;

use super::story::{EXECUTE, Story, files};
use crate::support::Output;

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

#[test]
fn an_interrupted_restore_stops_between_two_batches_and_goes_on_later() {
    let story = Story::extracted();
    // Somebody works on the parent of one unit, which is therefore tried again and again.
    let holding = "begin; select 1 from users where id = 5 for update; select pg_sleep(60)";
    let mut holder = story.live.spawn(holding);
    let wait_for = |sql: &str| {
        while story.live.count(sql) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    wait_for(
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
    );
    let mut command = story.command(EXECUTE);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    wait_for("select count(*) from users where id = 1");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output: Output = child.wait_with_output().unwrap().into();
    let stopped = output.expect_code(130);
    assert!(
        stopped.stderr.contains("stopping after the batch at hand"),
        "{}",
        stopped.stderr
    );
    assert!(
        stopped.stderr.contains("was stopped with 4 rows pending"),
        "{}",
        stopped.stderr
    );
    let _ = holder.kill();
    let _ = holder.wait();
    story.live.run("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()");
    let plan = story.run(["restore"]).ok();
    assert!(plan.stdout.contains("goes on with run"), "{}", plan.stdout);
    let output = story.run(EXECUTE).expect_code(4);
    let run = |said: &str| said.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(run(&stopped.stderr), run(&output.stderr));
    assert_eq!(
        story.case.read("restored.csv").lines().count() - 1,
        4 + 9 + 27 - 9
    );
}
