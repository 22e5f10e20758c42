//! What happens to a run besides its own death: the server crashes, ends its sessions, or the wire swallows everything.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reinstate::cluster::{Cluster, Settings, StopMode};

use super::dependents::wait_for;
use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::proxy::{Deed, Moment, Point, Proxy};
use crate::support::{Case, Output, cluster, dump, long, start};

fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a command over a wire that hangs at its `nth` commit.
fn over_a_wire_that_hangs(incident: &Incident, mut command: Command, moment: Moment) -> Output {
    let port = cluster().port();
    let point = Point {
        nth: 0,
        moment,
        deed: Deed::Hang,
    };
    let wire = Proxy::start(port, |sql| sql == "commit", Some(point));
    let live = wire.conninfo(&incident.live.tcp_conninfo(), port);
    let started = Instant::now();
    let mut child = spawn(command.env("REINSTATE_LIVE", live));
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nothing but a hang is left of it by now.
    let _ = child.kill();
    assert!(wire.struck());
    child.wait_with_output().unwrap().into()
}

/// The server has committed and waits for us, who will never hear of it; nor will it hear that we are gone.
#[test]
fn a_connection_that_hangs_is_given_up_and_nothing_is_done_twice() {
    let incident = incident();
    let command = incident.restore_command(&[]);
    let output = over_a_wire_that_hangs(&incident, command, Moment::Sent).ok();
    Ledger::of(&output).expect(&[("inserted", LOST)]);
    assert_eq!(dump(&incident.live), incident.before);
    if long() {
        let command = incident.undo_command(&["--last"]);
        let output = over_a_wire_that_hangs(&incident, command, Moment::Sent).ok();
        Ledger::of(&output).expect(&[("removed", LOST)]);
        assert_eq!(dump(&incident.live), incident.after_loss);
        let command = incident.restore_command(&[]);
        let output = over_a_wire_that_hangs(&incident, command, Moment::Before).ok();
        Ledger::of(&output).expect(&[("inserted", LOST)]);
        assert_eq!(dump(&incident.live), incident.before);
    }
}

#[test]
fn an_undo_survives_the_servers_end_of_its_session() {
    let incident = super::interrupted::large();
    incident.restore().ok();
    let child = spawn(&mut incident.undo_command(&["--last"]));
    let (mut ended, mut known) = (0, 0);
    for _ in 0..3 {
        // Back at work since the last time.
        let at_work = format!("select (count(*) > {known})::int from reinstate.undo_rows");
        wait_for(&incident, &at_work);
        ended += incident.live.count(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
              where application_name = 'reinstate undo' and datname = current_database()",
        );
        known = incident
            .live
            .count("select count(*) from reinstate.undo_rows");
    }
    let output: Output = child.wait_with_output().unwrap().into();
    assert!(ended >= 2, "{ended} sessions were ended in time");
    Ledger::of(&output.ok()).expect(&[("removed", 20_000)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// Runs statements on a server of our own and gives what they return.
fn ask(server: &Cluster, database: &str, sql: &str) -> Option<String> {
    let output = Command::new(server.program("psql").unwrap())
        .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .arg(server.conninfo(database))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| printed.trim().to_owned())
}

const ROWS: &str = "select md5(string_agg(r, ',' order by r)) from (
    select 'root ' || r::text as r from roots r union all select 'leaf ' || l::text from leaves l
    union all select 'note ' || n::text from notes n) s";

/// The server crashes in the middle of a run, and comes back with what was committed.
#[test]
fn a_server_that_crashes_has_what_was_committed() {
    let mut server = start(&Settings::default().with("autovacuum", "off"));
    let setup = "create table roots (id int primary key, name text);
         create table leaves (id int primary key, root_id int not null references roots on delete cascade);
         create table notes (root_id int not null references roots on delete cascade, body text);
         create index on leaves (root_id); create index on notes (root_id);
         insert into roots select n, 'root ' || n from generate_series(1, 3000) n;
         insert into leaves select n, 1 + n % 3000 from generate_series(1, 15000) n;
         insert into notes select 1 + n % 3000, 'note' from generate_series(1, 6000) n";
    ask(&server, "postgres", "create database live").unwrap();
    ask(&server, "live", setup).unwrap();
    ask(
        &server,
        "postgres",
        "create database snapshot template live",
    )
    .unwrap();
    let before = ask(&server, "live", ROWS);
    ask(&server, "live", "delete from roots where id <= 2500").unwrap();
    let after_loss = ask(&server, "live", ROWS);
    let case = Case::new();
    case.write("reinstate.toml", "[restore]\ntarget_batch = \"4ms\"\n");
    let (live, snapshot) = (server.conninfo("live"), server.conninfo("snapshot"));
    let command = |args: &[&str]| {
        let mut command = case.command(args);
        command.env("REINSTATE_LIVE", &live);
        command.env("REINSTATE_SNAPSHOT", &snapshot);
        command
    };
    let run = |args: &[&str]| Output::from(command(args).output().unwrap());
    run(&["extract"]).ok();
    let restore = ["restore", "--execute", "--unrehearsed", "a test"];
    let undo = ["undo", "--last", "--execute"];
    for (args, table, end) in [
        (&restore[..], "batch", before),
        (&undo, "undo_rows", after_loss),
    ] {
        let child = spawn(&mut command(args));
        let count = format!("select count(*) from reinstate.{table}");
        let begun = || ask(&server, "live", &count).is_some_and(|n| n.parse::<u32>().unwrap() > 2);
        let waited = Instant::now();
        while !begun() {
            assert!(waited.elapsed() < Duration::from_secs(30), "never begun");
        }
        server.stop(StopMode::Immediate).unwrap();
        server.restart().unwrap();
        let output: Output = child.wait_with_output().unwrap().into();
        if output.code != 0 {
            run(args).ok();
        }
        assert_eq!(ask(&server, "live", ROWS), end);
    }
}
