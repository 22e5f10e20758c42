//! `hold --watch`: gives the slot up before it harms, and leaves it when it is asked to stop.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reinstate::cluster::Settings;

use super::{Held, SLOTS};
use crate::support::Output;

/// A watch that is under way: it has looked at the slot at least once.
fn watching(held: &Held, args: &[&str]) -> Child {
    let mut command = held.command(&[&["hold", "--watch", "--every", "1"], args].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = Instant::now();
    let at_work = "select count(*) from pg_stat_activity where application_name = 'reinstate hold'
                    and query like '%pg_replication_slots where slot_name%'";
    while held.live.count(at_work) == 0 || held.live.count(SLOTS) == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no watch");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn end(mut child: Child) -> Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            let output: Output = child.wait_with_output().unwrap().into();
            panic!("it goes on: {}{}", output.stdout, output.stderr);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.wait_with_output().unwrap().into()
}

#[test]
fn it_is_given_up_at_either_limit() {
    let held = Held::on(&Settings::default());
    let child = watching(&held, &["--max-wal", "40MB"]);
    held.write(20);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(held.live.count(SLOTS), 1);
    held.write(40);
    let output = end(child).expect_code(4);
    assert!(
        output.stdout.starts_with("held: database postgres on "),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("given up: it kept ")
            && output.stderr.contains("40 MB is the limit"),
        "{}",
        output.stderr
    );
    assert_eq!(held.live.count(SLOTS), 0);
    let reason = held.live.query_text("select reason from reinstate.hold");
    assert!(
        reason.ends_with("of WAL, and 40 MB is the limit"),
        "{reason}"
    );

    // Nothing fills a disk here; the margin grows instead, as another `hold --margin` would make it.
    let child = watching(&held, &[]);
    held.live
        .run("update reinstate.hold set margin = 1::int8 << 60 where ended is null");
    let output = end(child).expect_code(4);
    assert!(
        output.stderr.contains("are to stay free"),
        "{}",
        output.stderr
    );
    assert_eq!(held.live.count(SLOTS), 0);
}

#[test]
fn stopping_the_watch_leaves_the_slot() {
    let held = Held::on(&Settings::default());
    let child = watching(&held, &["--format", "json"]);
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = end(child).expect_code(130);
    assert!(
        output.stderr.contains("slot reinstate_hold is still there"),
        "{}",
        output.stderr
    );
    assert_eq!(output.json()["watch"], "interrupted");
    assert_eq!(held.live.count(SLOTS), 1);
    assert_eq!(
        held.live
            .count("select count(*) from reinstate.hold where ended is null"),
        1
    );

    // It is taken up again, and ends when somebody gives the slot up elsewhere.
    let child = watching(&held, &[]);
    held.run(&["unhold"]).ok();
    let output = end(child).ok();
    assert!(
        output.stdout.starts_with("already held: "),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("was given up elsewhere"),
        "{}",
        output.stderr
    );
    assert_eq!(
        held.live.query_text("select reason from reinstate.hold"),
        "unhold"
    );
}

#[test]
fn a_server_that_goes_away_is_asked_again() {
    let mut server = crate::support::start(&Settings::default());
    let case = crate::support::Case::new();
    let conninfo = server.conninfo("postgres");
    let mut command = case.command(["hold", "--watch", "--every", "1"]);
    command.env("REINSTATE_LIVE", &conninfo);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    server.stop(reinstate::cluster::StopMode::Fast).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    server.restart().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let unhold = case.run(["unhold", "--live", &conninfo]).ok();
    assert!(unhold.stdout.starts_with("given up: "), "{}", unhold.stdout);
    let output = end(child).ok();
    assert_eq!(
        output.stderr.matches("trying again").count(),
        1,
        "{}",
        output.stderr
    );
}
