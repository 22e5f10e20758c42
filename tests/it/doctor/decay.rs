//! What is going on in live at this moment, and what that leaves behind.

use std::time::{Duration, Instant};

use super::{doctor, found, texts};
use crate::support::{TestDb, database};

/// Waits until a count is not zero.
fn wait_for(db: &TestDb, sql: &str) {
    let started = Instant::now();
    while db.count(sql) == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "{sql}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn deletions_going_on_are_seen_with_their_table_and_who_runs_them() {
    let live = database();
    live.run(
        "create table t (id int primary key); create table quiet (id int primary key);
              insert into t select generate_series(1, 100000); insert into quiet values (1)",
    );
    let quiet = doctor(&live, &[]).ok().json();
    // The statistics of what was just filled may arrive late; deletions there were none.
    assert!(
        texts(&quiet, "deletions")[0].starts_with("no row was deleted"),
        "{quiet}"
    );

    let mut purge = String::from("set application_name = 'purge job';\n");
    for id in 1..=40_000 {
        purge += &format!("delete from t where id = {id};\n");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), purge).unwrap();
    let mut loops = live
        .client("psql")
        .args(["-X", "-q", "-f"])
        .arg(file.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let slow = "set application_name = 'slow one'; delete from t where id = 99999 and pg_sleep(30) is not null;";
    let mut slow = live.spawn(slow);
    wait_for(
        &live,
        "select count(*) from pg_stat_activity where application_name = 'slow one' and wait_event = 'PgSleep'",
    );
    let document = doctor(&live, &[]).ok().json();
    let deletions = &found(&document, "deletions")[0];
    let text = deletions["text"].as_str().unwrap();
    assert_eq!(deletions["level"], "warning");
    assert!(text.contains("slow one as postgres"), "{text}");
    assert_eq!(
        deletions["tables"],
        serde_json::json!(["public.t"]),
        "{text}"
    );
    assert!(
        text.contains("public.t ") && text.contains(" a second"),
        "{text}"
    );
    live.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('slow one', 'purge job')");
    for child in [&mut slow, &mut loops] {
        let _ = child.wait();
    }
}

#[test]
fn dead_rows_are_counted_with_what_becomes_of_them() {
    let live = database();
    live.run(
        "create table t (id int primary key) with (autovacuum_enabled = off); insert into t select generate_series(1, 1000)",
    );
    live.run("delete from t where id > 400");
    wait_for(
        &live,
        "select n_dead_tup from pg_stat_user_tables where relname = 't'",
    );
    let document = doctor(&live, &[]).ok().json();
    let dead = &found(&document, "dead_rows")[0];
    assert_eq!(dead["tables"], serde_json::json!(["public.t"]));
    let said = |field: &str| dead[field].as_str().unwrap().to_owned();
    assert!(said("text").ends_with(": public.t about 600"), "{dead}");
    assert!(
        said("advice").starts_with("one SELECT can prune them"),
        "{dead}"
    );
    assert!(
        said("next").starts_with("ALTER TABLE \"public\".\"t\" SET (autovacuum_enabled = off)"),
        "{dead}"
    );
    // What the server keeps of them is said as it is here.
    assert!(
        said("advice").contains("CREATE EXTENSION pageinspect"),
        "{dead}"
    );
    live.run("create extension pageinspect");
    let document = doctor(&live, &[]).ok().json();
    let advice = &found(&document, "dead_rows")[0]["advice"];
    assert!(
        advice
            .as_str()
            .unwrap()
            .contains("pageinspect and commit timestamps are there"),
        "{advice}"
    );
}

#[test]
fn what_a_role_may_not_see_is_a_finding() {
    let live = database();
    let role = format!("{}_blind", live.name);
    live.run(&format!(
        "create table t (id int primary key); create role {role} login; grant select on t to {role}"
    ));
    let mut busy = live.spawn("select pg_sleep(30)");
    wait_for(
        &live,
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    let case = crate::support::Case::new();
    let conninfo = live.conninfo_as(&role);
    let output = case.run(["doctor", "--live", &conninfo, "--format", "json"]);
    let document = output.ok().json();
    let hidden = &found(&document, "activity_hidden")[0];
    assert!(
        hidden["next"]
            .as_str()
            .unwrap()
            .contains("GRANT pg_monitor TO"),
        "{hidden}"
    );
    let unseen = texts(&document, "not_seen");
    assert!(
        unseen
            .iter()
            .any(|t| t.starts_with("pg_wal could not be looked at")),
        "{unseen:?}"
    );
    assert_eq!(document["totals"]["problem"], 0);
    live.run("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'");
    let _ = busy.wait();
    live.run(&format!("grant pg_monitor to {role}"));
    let output = case.run(["doctor", "--live", &conninfo, "--format", "json"]);
    let document = output.ok().json();
    assert!(texts(&document, "not_seen").is_empty(), "{document}");
    live.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn dead_rows_that_can_be_evidence_are_not_looked_at() {
    let (snapshot, live) = crate::support::pair(
        "create extension pageinspect;
         create table users (id int primary key);
         create table visits (id int primary key, user_id int) with (autovacuum_enabled = off);
         insert into users select generate_series(1, 100);
         insert into visits select n, n % 100 + 1 from generate_series(1, 5000) n",
    );
    live.run("delete from visits where id % 2 = 0");
    wait_for(
        &live,
        "select n_dead_tup from pg_stat_user_tables where relname = 'visits'",
    );
    let heap = |state: &str| {
        live.query_text(&format!(
            "select count(*) from generate_series(0, pg_relation_size('visits') / 8192 - 1) b,
                    lateral heap_page_items(get_raw_page('visits', b::int)) where t_xmax <> 0 -- {state}"
        ))
    };
    let before = heap("before");
    assert_eq!(before, "2500");
    let document = doctor(&live, &[]).ok().json();
    assert_eq!(
        found(&document, "not_measured")[0]["tables"],
        serde_json::json!(["public.visits"])
    );
    assert!(texts(&document, "undeclared")[0].ends_with("(not measured)"));
    assert_eq!(heap("after"), before);
    let given = ["--snapshot", &snapshot.conninfo()];
    let document = doctor(&live, &given).ok().json();
    assert!(found(&document, "not_measured").is_empty(), "{document}");
    assert!(
        texts(&document, "undeclared")[0].ends_with("(1000 of 1000 values sampled match)"),
        "{document}"
    );
    assert_eq!(heap("with both"), before);
}
