//! `hold` and `unhold`, on servers of the tests' own: a slot belongs to a whole server.

mod refused;
mod watched;

use reinstate::cluster::{Cluster, Settings};

use crate::support::{Case, Output, TestDb, start};

const SLOTS: &str = "select count(*) from pg_replication_slots";

/// A server with a table, and a case beside it.
struct Held {
    server: &'static Cluster,
    live: TestDb,
    case: Case,
}

impl Held {
    fn on(settings: &Settings) -> Self {
        let server: &'static Cluster = Box::leak(Box::new(start(settings)));
        let live = TestDb::of(server, "postgres");
        live.run("create table t (id int, filler text)");
        Self {
            server,
            live,
            case: Case::new(),
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap().into()
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.case.command(args);
        command.env("REINSTATE_LIVE", self.live.conninfo());
        command
    }

    /// Writes about so many megabytes of WAL and lets the server recycle what nobody holds.
    fn write(&self, megabytes: u32) {
        self.live.run(&format!(
            "insert into t select n, repeat('x', 1000) from generate_series(1, {megabytes} * 950) n; truncate t;
             select pg_switch_wal(); checkpoint"
        ));
    }

    /// Whether the file in which the held WAL begins is still there.
    fn first_file_is_kept(&self, lsn: &str) -> bool {
        let sql =
            format!("select count(*) from pg_ls_waldir() where name = pg_walfile_name('{lsn}')");
        self.live.count(&sql) == 1
    }
}

#[test]
fn wal_is_kept_until_it_is_given_up() {
    let held = Held::on(
        &Settings::default()
            .with("max_wal_size", "32MB")
            .with("min_wal_size", "32MB"),
    );
    let output = held.run(&["hold"]).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(
        lines[0].starts_with("held: database postgres on ") && lines[0].ends_with(" as postgres"),
        "{}",
        output.stdout
    );
    assert!(
        lines[1].starts_with("slot reinstate_hold keeps WAL from 0/"),
        "{}",
        output.stdout
    );
    assert!(lines[2].contains("/pg_wal), of which"), "{}", output.stdout);
    assert!(
        output.stdout.contains("the limit is reached in "),
        "{}",
        output.stdout
    );
    assert!(
        output
            .stdout
            .contains("what was recycled does not come back"),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("nobody watches it"),
        "{}",
        output.stderr
    );
    let lsn = held
        .live
        .query_text("select restart_lsn from reinstate.hold where ended is null");
    assert_eq!(
        held.live
            .query_text("select restart_lsn from pg_replication_slots"),
        lsn
    );
    held.write(100);
    assert!(held.first_file_is_kept(&lsn));

    // Again: nothing new, but since when and how much.
    let document = held.run(&["hold", "--format", "json"]).ok().json();
    assert_eq!(
        (&document["command"], &document["state"]),
        (&"hold".into(), &"already_held".into())
    );
    assert!(
        document["retained_bytes"].as_u64().unwrap() > 80 << 20,
        "{document}"
    );
    assert!(
        document["since"].as_str().unwrap().ends_with('Z'),
        "{document}"
    );
    assert!(document["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(held.live.count("select count(*) from reinstate.hold"), 1);
    let said = held.run(&["hold"]).ok().stdout;
    assert!(
        said.starts_with("already held: database postgres"),
        "{said}"
    );

    let doctor = held.run(&["doctor"]).ok().stdout;
    assert!(
        doctor.contains("WAL is held (slot reinstate_hold): 1"),
        "{doctor}"
    );
    let output = held.run(&["unhold"]).ok();
    assert!(
        output.stdout.starts_with("given up: database postgres on "),
        "{}",
        output.stdout
    );
    assert_eq!(held.live.count(SLOTS), 0);
    let journal =
        "select reason, ended is not null, max_wal > 0, command like '% hold' from reinstate.hold";
    assert_eq!(held.live.query_text(journal), "unhold|t|t|t");
    held.write(100);
    assert!(!held.first_file_is_kept(&lsn));
    let output = held.run(&["unhold", "--format", "json"]).ok();
    assert_eq!(output.json()["state"], "nothing");
}

#[test]
fn limits_are_what_was_asked_for_and_can_be_changed() {
    let held = Held::on(&Settings::default());
    let limits = "select max_wal, margin, free_space from reinstate.hold where ended is null";
    let given = [
        "hold",
        "--free-space",
        "100GB",
        "--max-wal",
        "20GB",
        "--margin",
        "5GB",
    ];
    let said = held.run(&given).ok().stdout;
    assert!(
        said.contains(
            "may keep 20 GB; 100 GB are free (as you say), of which 5 GB are to stay free"
        ),
        "{said}"
    );
    let gb = |n: u64| (n << 30).to_string();
    assert_eq!(
        held.live.query_text(limits),
        format!("{}|{}|{}", gb(20), gb(5), gb(100))
    );
    held.run(&["hold", "--free-space", "100GB", "--max-wal", "30GB"])
        .ok();
    assert_eq!(
        held.live.query_text(limits),
        format!("{}|{}|{}", gb(30), gb(5), gb(100))
    );
    let output = held
        .run(&["hold", "--free-space", "100GB", "--max-wal", "99GB"])
        .expect_code(2);
    assert!(
        output
            .stderr
            .contains("99 GB of WAL and a margin of 5 GB are more than the 100 GB"),
        "{}",
        output.stderr
    );
    assert_eq!(
        held.live.query_text(limits),
        format!("{}|{}|{}", gb(30), gb(5), gb(100))
    );
}

/// Limits of an earlier hold must fit what is free now.
#[test]
fn what_is_held_already_must_still_fit() {
    let held = Held::on(&Settings::default());
    held.run(&["hold", "--free-space", "100GB"]).ok();
    for args in [
        &["--free-space", "1MB"][..],
        &["--free-space", "40GB"],
        &["--free-space", "40GB", "--max-wal", "31GB"],
    ] {
        let output = held.run(&[&["hold"], args].concat()).expect_code(2);
        assert!(
            output
                .stderr
                .contains("a margin of 10 GB are more than the")
                && output.stderr.contains("that the slot keeps already"),
            "{}",
            output.stderr
        );
        assert_eq!(output.stdout, "");
    }
    // Smaller limits fit; and what an earlier hold may keep is warned of where it no longer does.
    let small = ["hold", "--free-space", "40GB", "--max-wal", "20GB"];
    held.run(&small).ok();
    held.live
        .run("update reinstate.hold set max_wal = 1000::int8 << 40");
    let output = held.run(&["hold"]).ok();
    assert!(
        output
            .stderr
            .contains("warning: 1000 TB of WAL and a margin of 10 GB are more than the"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_slot_that_somebody_dropped_is_made_anew() {
    let held = Held::on(&Settings::default());
    held.run(&["hold"]).ok();
    held.live
        .run("select pg_drop_replication_slot('reinstate_hold')");
    let said = held.run(&["hold"]).ok().stdout;
    assert!(said.starts_with("held: "), "{said}");
    let journal = "select coalesce(reason, 'open') from reinstate.hold order by began";
    assert_eq!(
        held.live.query_text(journal),
        "its slot was dropped by somebody\nopen"
    );
    held.live
        .run("select pg_drop_replication_slot('reinstate_hold')");
    let said = held.run(&["unhold"]).ok().stdout;
    assert!(said.contains("had been dropped by somebody"), "{said}");
    assert_eq!(
        held.live
            .count("select count(*) from reinstate.hold where ended is null"),
        0
    );
}

#[test]
fn a_journal_of_the_first_version_gets_the_table() {
    let held = Held::on(&Settings::default());
    held.run(&["hold"]).ok();
    held.run(&["unhold"]).ok();
    let older = "drop table reinstate.hold; delete from reinstate.version; insert into reinstate.version values (1)";
    held.live.run(older);
    assert_eq!(
        held.run(&["unhold", "--format", "json"]).ok().json()["state"],
        "nothing"
    );
    held.run(&["hold"]).ok();
    assert_eq!(
        held.live
            .query_text("select max(version) from reinstate.version"),
        "2"
    );
    assert_eq!(held.live.count("select count(*) from reinstate.hold"), 1);
    // The new table would stop a subscriber as the others would.
    held.run(&["unhold"]).ok();
    held.live
        .run(&format!("{older}; create publication p for all tables"));
    let output = held.run(&["hold"]).expect_code(3);
    assert!(
        output.stderr.contains("publication p") && output.stderr.contains("FOR ALL TABLES"),
        "{}",
        output.stderr
    );
    assert_eq!(held.live.count(SLOTS), 0);
}

#[test]
fn what_the_server_took_back_is_said_to_be_lost() {
    let held = Held::on(
        &Settings::default()
            .with("max_slot_wal_keep_size", "32MB")
            .with("max_wal_size", "32MB")
            .with("min_wal_size", "32MB"),
    );
    let said = held.run(&["hold"]).ok().stdout;
    assert!(
        said.contains("the server itself gives a slot up at 32 MB"),
        "{said}"
    );
    held.write(80);
    held.write(80);
    let output = held.run(&["hold"]).expect_code(3);
    assert!(
        output
            .stderr
            .contains("is lost: the server itself gave the slot up"),
        "{}",
        output.stderr
    );
    held.run(&["unhold"]).ok();
    assert_eq!(held.live.count(SLOTS), 0);
    held.run(&["hold"]).ok();
}
