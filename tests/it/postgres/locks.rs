//! Who waits for whom, and for how long.

use std::time::{Duration, Instant};

use super::{end, session, until, until_asleep, with};

#[test]
fn on_conflict_waits_for_an_uncommitted_row() {
    let db = with("create table t (id int primary key)");
    let first = session(
        &db,
        "begin;\ninsert into t values (1);\nselect pg_sleep(1);\nrollback",
    );
    until_asleep(&db);
    let complaint = db
        .run_failing("set lock_timeout = '100ms'; insert into t values (1) on conflict do nothing");
    assert!(complaint.contains("lock timeout"), "{complaint}");
    // Without a bound it waits, and inserts when the other gives up.
    assert_eq!(
        db.query_text("insert into t values (1) on conflict do nothing returning id"),
        "1"
    );
    end(first).ok();
}

#[test]
fn the_check_of_a_foreign_key_holds_back_updates_of_the_parents_key_only() {
    let db = with(
        "create table p (id int primary key, email text unique, name text);
         create table c (id int primary key, p_id int references p);
         insert into p values (1, 'a', 'a')",
    );
    let child = session(
        &db,
        "begin;\ninsert into c values (1, 1);\nselect pg_sleep(2);\ncommit",
    );
    until_asleep(&db);
    let impatient = |sql: &str| format!("set lock_timeout = '100ms'; {sql}");
    db.run(&impatient("update p set name = 'b'"));
    db.run(&impatient("select from p for no key update"));
    for blocked in [
        "update p set email = 'b'",
        "delete from p",
        "select from p for update",
    ] {
        let complaint = db.run_failing(&impatient(blocked));
        assert!(complaint.contains("lock timeout"), "{blocked}: {complaint}");
    }
    assert_eq!(db.query_text("select id from p for update skip locked"), "");
    end(child).ok();
}

#[test]
fn key_share_nowait_gives_way_at_once() {
    let db = with(
        "create table p (id int primary key, name text); insert into p values (1, 'a'), (2, 'b')",
    );
    let holder = session(
        &db,
        "begin;\nselect from p where id = 2 for update;\nselect pg_sleep(1);\ncommit",
    );
    until_asleep(&db);
    let started = Instant::now();
    let complaint =
        db.run_failing("\\set VERBOSITY verbose\nselect from p order by id for key share nowait");
    assert!(complaint.contains("55P03"), "{complaint}");
    assert!(started.elapsed() < Duration::from_millis(900));
    // An update of other columns is not in the way.
    end(holder).ok();
    let holder = session(
        &db,
        "begin;\nupdate p set name = 'c' where id = 2;\nselect pg_sleep(1);\ncommit",
    );
    until_asleep(&db);
    assert_eq!(
        db.query_text("select count(*) from (select from p order by id for key share nowait) s"),
        "2"
    );
    end(holder).ok();
}

/// Who waits first looks for a deadlock first, and loses: with a plain `lock_timeout` that is the application. NOWAIT
/// makes us lose instead.
#[test]
fn a_lock_timeout_lets_the_application_lose_a_deadlock() {
    let ours = |lock: &str| {
        format!(
            "begin;\nset local lock_timeout = '2s';\nselect from p where id = 1 for key share;\nselect pg_sleep(0.3);\n\
             do $$ begin
                 while not exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())
                 loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$;\nselect pg_sleep(0.4);\n{lock};\nrollback"
        )
    };
    for (lock, application_loses) in [
        ("select from p where id = 2 for key share", true),
        ("select from p where id = 2 for key share nowait", false),
    ] {
        let db = with("create table p (id int primary key); insert into p values (1), (2)");
        let restore = session(&db, &ours(lock));
        until_asleep(&db);
        let application = session(
            &db,
            "begin;\nselect from p where id = 2 for update;\nselect from p where id = 1 for update;\ncommit",
        );
        let (restore, application) = (end(restore), end(application));
        if application_loses {
            let said = application.expect_code(1).stderr;
            assert!(said.contains("deadlock detected"), "{said}");
            restore.ok();
        } else {
            application.ok();
            let said = restore.expect_code(1).stderr;
            assert!(said.contains("could not obtain lock"), "{said}");
        }
    }
}

/// A client that does not read holds back vacuum like a long transaction, though it never asked for a snapshot.
#[test]
fn a_stalled_copy_keeps_dead_rows() {
    let db = with(
        "create table t (id int, v text) with (autovacuum_enabled = off);
         create table wide as select repeat('x', 1000) as v from generate_series(1, 20000);
         insert into t select n, 'v' from generate_series(1, 10000) n",
    );
    let mut stalled = session(&db, "copy wide to stdout");
    until(&db, "wait_event = 'ClientWrite'");
    db.run("delete from t");
    db.run("vacuum t");
    assert!(db.count("select pg_relation_size('t')") > 0);
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    let started = Instant::now();
    while db.count("select pg_relation_size('t')") > 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
        db.run("vacuum t");
    }
}

#[test]
fn a_lock_timeout_counts_for_each_lock() {
    let db = with("create table t (id int primary key)");
    let mut holders = Vec::new();
    for id in 1..=3 {
        holders.push(session(
            &db,
            &format!(
                "begin;\ninsert into t values ({id});\nselect pg_sleep({});\nrollback",
                f64::from(id) * 0.5
            ),
        ));
    }
    until(
        &db,
        "wait_event = 'PgSleep' and (select count(*) from pg_locks where relation = 't'::regclass and mode = 'RowExclusiveLock') = 3",
    );
    let started = Instant::now();
    db.run(
        "set lock_timeout = '1200ms'; insert into t values (1), (2), (3) on conflict do nothing",
    );
    assert!(
        started.elapsed() > Duration::from_millis(1_000),
        "it waited {:?}",
        started.elapsed()
    );
    for holder in holders {
        end(holder).ok();
    }
}
