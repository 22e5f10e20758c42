//! Where nothing can be held: a clear refusal, no slot, no journal.

use reinstate::cluster::Settings;

use super::{Held, SLOTS};
use crate::support::{Output, TestDb};

/// Refuses with this code and all of these words, and leaves nothing.
#[track_caller]
fn refuses(held: &Held, live: &str, args: &[&str], code: i32, words: &[&str]) {
    let before = held.live.count(SLOTS);
    let mut command = held.command(args);
    command.env("REINSTATE_LIVE", live);
    let output: Output = command.output().unwrap().into();
    let output = output.expect_code(code);
    for word in words {
        assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
    }
    assert_eq!(output.stdout, "");
    assert_eq!(held.live.count(SLOTS), before);
    assert_eq!(
        held.live
            .query_text("select to_regnamespace('reinstate') is null"),
        "t"
    );
}

#[test]
fn without_the_right_the_space_or_a_slot_of_our_own() {
    let held = Held::on(&Settings::default());
    let live = held.live.conninfo();
    held.live
        .run("create role plain login; grant create on database postgres to plain");
    let plain = held.live.conninfo_as("plain");
    refuses(
        &held,
        &plain,
        &["hold"],
        3,
        &[
            "role \"plain\" may not make a replication slot",
            "ALTER ROLE \"plain\" REPLICATION",
        ],
    );
    held.live.run("alter role plain replication");
    refuses(
        &held,
        &plain,
        &["hold"],
        2,
        &["is not known", "pg_read_all_settings", "--free-space SIZE"],
    );
    refuses(
        &held,
        &live,
        &["hold", "--max-wal", "1000TB"],
        2,
        &["1000 TB of WAL", "are more than"],
    );
    refuses(
        &held,
        &live,
        &["hold", "--max-wal", "much"],
        2,
        &["`much` is not a size", "20GB"],
    );
    refuses(&held, &live, &["hold", "--every", "9"], 2, &["--watch"]);
    held.live
        .run("create publication everything for all tables");
    refuses(
        &held,
        &live,
        &["hold"],
        3,
        &[
            "publication everything",
            "FOR ALL TABLES",
            "docs/JOURNAL.md",
        ],
    );
    held.live.run(
        "drop publication everything; select pg_create_physical_replication_slot('reinstate_hold')",
    );
    for verb in ["hold", "unhold"] {
        refuses(
            &held,
            &live,
            &[verb],
            3,
            &[
                "this database's journal does not know",
                "pg_drop_replication_slot",
            ],
        );
    }
    held.live.run("select pg_drop_replication_slot('reinstate_hold'); alter database postgres set default_transaction_read_only = on");
    refuses(&held, &live, &["hold"], 3, &["set to read only"]);
    held.live.run("set default_transaction_read_only = off; alter database postgres reset default_transaction_read_only");
    // What was asked for is enough.
    let mut command = held.command(&["hold", "--free-space", "10GB"]);
    command.env("REINSTATE_LIVE", &plain);
    Output::from(command.output().unwrap()).ok();
    assert_eq!(held.live.count(SLOTS), 1);
}

#[test]
fn on_servers_that_cannot() {
    let minimal = Settings::default()
        .with("wal_level", "minimal")
        .with("max_wal_senders", "0");
    let held = Held::on(&minimal);
    refuses(
        &held,
        &held.live.conninfo(),
        &["hold"],
        3,
        &["wal_level is minimal", "restart"],
    );

    let full = Held::on(&Settings::default().with("max_replication_slots", "1"));
    full.live
        .run("select pg_create_physical_replication_slot('other')");
    refuses(
        &full,
        &full.live.conninfo(),
        &["hold"],
        3,
        &["all 1 replication slots", "max_replication_slots"],
    );

    full.live.run("select pg_drop_replication_slot('other')");
    let follower = Settings {
        standby: true,
        ..Settings::default()
    };
    let standby = Box::leak(Box::new(full.server.base_backup(&follower).unwrap()));
    let standby = TestDb::of(standby, "postgres");
    for verb in ["hold", "unhold"] {
        refuses(
            &full,
            &standby.conninfo(),
            &[verb],
            3,
            &["is a standby", "--live"],
        );
    }
}

#[test]
fn a_slot_in_use_is_not_dropped() {
    let held = Held::on(&Settings::default());
    held.run(&["hold"]).ok();
    let directory = tempfile::tempdir().unwrap();
    let mut reader = std::process::Command::new(held.server.program("pg_receivewal").unwrap())
        .args(["--slot", "reinstate_hold", "-D"])
        .arg(directory.path())
        .arg("-d")
        .arg(held.live.conninfo().replace("dbname=postgres", ""))
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while held
        .live
        .count("select count(*) from pg_replication_slots where active")
        == 0
    {
        assert!(started.elapsed().as_secs() < 20);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let output = held.run(&["unhold"]).expect_code(3);
    assert!(
        output
            .stderr
            .contains("is being read from by server process"),
        "{}",
        output.stderr
    );
    assert_eq!(
        held.live
            .count("select count(*) from reinstate.hold where ended is null"),
        1
    );
    reader.kill().unwrap();
    reader.wait().unwrap();
}
