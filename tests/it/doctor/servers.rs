//! Servers of the test's own: where a snapshot comes from, what it still does, and what live writes down.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reinstate::clock::ManualClock;
use reinstate::cluster::{Cluster, Settings};
use reinstate::doctor::{Given, Level, examine};
use reinstate::pg::Access;

use super::{doctor, found, texts};
use crate::support::{TestDb, database, pair, start};

fn server(settings: &Settings) -> &'static mut Cluster {
    Box::leak(Box::new(start(settings)))
}

#[test]
fn a_physical_copy_that_is_not_isolated() {
    let production = server(
        &Settings::default()
            .with("archive_mode", "on")
            .with("archive_command", "/bin/false %p"),
    );
    let still_at_work = Settings::default()
        .with("archive_mode", "on")
        .with("archive_command", "/bin/cp %p /archive/%f");
    TestDb::of(production, "postgres").run(
        "create table t (id int primary key); insert into t values (1);
         create schema cron; create table cron.job (active bool); insert into cron.job values (true), (false), (true);
         create extension postgres_fdw; create server elsewhere foreign data wrapper postgres_fdw",
    );
    let copy = production.base_backup(&still_at_work).unwrap();
    let copy = Box::leak(Box::new(copy));
    let (live, snapshot) = (
        TestDb::of(production, "postgres"),
        TestDb::of(copy, "postgres"),
    );
    snapshot.run(
        "create subscription s connection 'host=/nowhere' publication p with (connect = false);
         update pg_subscription set subenabled = true",
    );
    live.run("insert into t values (2); select pg_switch_wal()");
    let started = Instant::now();
    while live.count("select failed_count from pg_stat_archiver") == 0 {
        assert!(started.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(100));
    }
    let given = ["--snapshot", &snapshot.conninfo()];
    let document = doctor(&live, &given).ok().json();
    let origin = &texts(&document, "origin")[0];
    assert!(
        origin.starts_with("is a physical copy of live's server"),
        "{origin}"
    );
    let archives = &texts(&document, "archives")[0];
    assert!(
        archives.starts_with("archives its own WAL") && archives.contains("/bin/cp"),
        "{archives}"
    );
    // What follows the program's name can hold a secret.
    assert!(!archives.contains("/archive"), "{archives}");
    assert_eq!(
        texts(&document, "jobs"),
        ["has 2 active pg_cron jobs: the copy may run production's jobs"]
    );
    assert!(texts(&document, "subscriptions")[0].ends_with(": s"));
    assert!(texts(&document, "foreign_servers")[0].ends_with(": elsewhere"));
    assert!(found(&document, "isolated").is_empty());
    // It was never asked to replay anything it could tell the time of; the operator has to.
    assert_eq!(found(&document, "snapshot_time")[0]["about"], "snapshot");
    let archive = &texts(&document, "archive")[0];
    assert!(archive.starts_with("archiving fails: "), "{archive}");

    snapshot.run(
        "alter system set archive_command = '/bin/true'; select pg_reload_conf();
         update cron.job set active = false; update pg_subscription set subenabled = false; drop server elsewhere",
    );
    std::thread::sleep(Duration::from_millis(300));
    let document = doctor(&live, &given).ok().json();
    assert_eq!(found(&document, "isolated").len(), 1, "{document}");
}

#[test]
fn a_standby_that_still_follows() {
    let production = server(&Settings::default());
    let conninfo = production.conninfo("postgres");
    let live = TestDb::of(production, "postgres");
    live.run("create table t (id int primary key); insert into t values (1)");
    let follower = Settings {
        standby: true,
        ..Settings::default().with("primary_conninfo", &conninfo)
    };
    let copy: &'static Cluster = Box::leak(Box::new(production.base_backup(&follower).unwrap()));
    let standby = TestDb::of(copy, "postgres");
    live.run("insert into t values (2)");
    let started = Instant::now();
    while standby.query_text("select count(*) from t") != "2" {
        let log = std::fs::read_to_string(copy.log_file()).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(30), "{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let document = doctor(&live, &["--snapshot", &standby.conninfo()])
        .ok()
        .json();
    let follows = &found(&document, "follows")[0];
    assert!(
        follows["text"]
            .as_str()
            .unwrap()
            .starts_with("receives WAL from a primary"),
        "{follows}"
    );
    assert_eq!(found(&document, "standby")[0]["about"], "snapshot");
    let time = &found(&document, "snapshot_time")[0];
    assert_eq!(time["level"], "good");
    assert!(
        time["text"]
            .as_str()
            .unwrap()
            .contains("Z: the last transaction that it replayed"),
        "{time}"
    );
    let standbys = &texts(&document, "standbys")[0];
    assert!(
        standbys.starts_with("1 standby or subscriber"),
        "{standbys}"
    );
    // As live, a standby can be compared with only.
    let document = doctor(&standby, &[]).ok().json();
    assert_eq!(found(&document, "standby")[0]["about"], "live");
    assert!(texts(&document, "not_seen").is_empty(), "{document}");
}

#[test]
fn a_dump_is_a_logical_copy_and_one_server_is_no_copy() {
    let (snapshot, live) = pair("create table t (id int primary key)");
    let document = doctor(&live, &["--snapshot", &snapshot.conninfo()])
        .ok()
        .json();
    assert_eq!(
        texts(&document, "origin"),
        ["is a database of live's own server"]
    );
    // Its settings are live's own: no reason to complain of them.
    assert!(found(&document, "isolated").is_empty());
    let other = server(&Settings::default());
    let dumped = TestDb::of(other, "postgres");
    dumped.run("create table t (id int primary key)");
    let document = doctor(&live, &["--snapshot", &dumped.conninfo()])
        .ok()
        .json();
    let origin = &texts(&document, "origin")[0];
    assert!(origin.starts_with("is a logical copy"), "{origin}");
}

#[test]
fn a_managed_server_is_told_what_to_do_instead() {
    let live = TestDb::of(server(&Settings::default()), "postgres");
    live.run("create table t (id int primary key)");
    assert!(found(&doctor(&live, &[]).ok().json(), "managed").is_empty());
    live.run("create role cloudsqlsuperuser");
    let document = doctor(&live, &[]).ok().json();
    let managed = &found(&document, "managed")[0];
    assert!(
        managed["text"]
            .as_str()
            .unwrap()
            .contains("Google Cloud SQL"),
        "{managed}"
    );
    assert!(
        managed["advice"]
            .as_str()
            .unwrap()
            .contains("a clone to a point in time"),
        "{managed}"
    );
}

#[tokio::test]
async fn clocks_that_differ_are_said() {
    let live = database();
    live.run("create table t (id int primary key)");
    let session = live.session(Access::Reading).await;
    let look = async |now: Timestamp| {
        let clock = ManualClock::new(now);
        let given = Given {
            live: Some(&session),
            snapshot: None,
            declared: &[],
            renames: &[],
            snapshot_time: None,
            clock: &clock,
        };
        let findings = examine(&given).await.findings.0;
        let clock = findings.into_iter().find(|f| f.code == "clock");
        clock.map(|f| (f.level, f.text))
    };
    let minute = jiff::SignedDuration::from_mins(1);
    let (level, text) = look(Timestamp::now() - minute).await.unwrap();
    assert_eq!(level, Level::Warning);
    assert!(text.ends_with("s ahead of this machine's"), "{text}");
    let (_, text) = look(Timestamp::now() + minute).await.unwrap();
    assert!(
        text.starts_with("its clock is 5") || text.starts_with("its clock is 6"),
        "{text}"
    );
    assert!(text.ends_with("s behind this machine's"), "{text}");
    assert_eq!(look(Timestamp::now()).await, None);
}

#[test]
fn publications_and_constraints_that_wait_are_named() {
    let live = database();
    live.run(
        "create table parents (id int primary key, code int unique deferrable);
         create table t (id int primary key, parent_id int references parents deferrable initially deferred);
         create publication part for table t; create publication everything for all tables",
    );
    let document = doctor(&live, &[]).ok().json();
    let deferrable = &texts(&document, "deferrable")[0];
    assert!(
        deferrable.contains("public.t (t_parent_id_fkey)")
            && deferrable.contains("public.parents (parents_code_key)"),
        "{deferrable}"
    );
    assert!(
        texts(&document, "publication")[0].starts_with("publication everything is FOR ALL TABLES")
    );
    assert_eq!(texts(&document, "publications"), ["publications: part"]);
}
