//! Dead tuples: nothing wrong is ever asserted, only less known. They go when anybody reads their page, so these tests hold
//! a snapshot open that keeps them.

use super::scene::Scene;
use crate::support::TestDb;

const SETUP: &str = "
create extension pageinspect;
create table numbers (id int primary key, v text) with (autovacuum_enabled = off);
create table words (a text, b uuid, primary key (a, b)) with (autovacuum_enabled = off);
create table dates (d date primary key) with (autovacuum_enabled = off);
create table parts (x text, id int primary key) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100) with (autovacuum_enabled = off);
create table parts_2 (id int primary key, gone int, x text) with (autovacuum_enabled = off);
alter table parts_2 drop column gone;
alter table parts attach partition parts_2 for values from (100) to (200);
insert into numbers select n, 'v' from generate_series(1, 1000) n;
insert into words select 'w' || n, ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid from generate_series(1, 100) n;
insert into words values (repeat('long ', 500), '00000000-0000-0000-0000-000000000000');
insert into dates values ('2020-01-01');
insert into parts select 'x', n from generate_series(50, 149) n;
";

/// A transaction that keeps every row deleted from now on.
struct Holder(std::process::Child);

impl Holder {
    fn of(live: &TestDb) -> Self {
        let held = "select count(*) from pg_stat_activity where datname = current_database() and backend_xmin is not null
                    and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()";
        let child = live.spawn("begin isolation level repeatable read; select pg_sleep(60)");
        while live.count(held) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn window<'a>(from: &'a str, to: &'a str) -> Vec<&'a str> {
    vec![
        "extract",
        "--evidence",
        "dead-tuples",
        "--from",
        from,
        "--to",
        to,
        "--undetermined",
        "exclude",
    ]
}

#[test]
fn deleted_rows_are_found_on_their_pages() {
    let scene = Scene::new(SETUP);
    let _held = Holder::of(&scene.live);
    scene
        .live
        .run("delete from numbers where id = 1; delete from parts where id = 60");
    let from = scene.now();
    scene.live.run(
        "delete from numbers where id between 10 and 19; delete from words where a in ('w1', 'w2') or a like 'long%';
         delete from dates; delete from parts where id in (50, 149);
         update numbers set v = 'edited' where id = 500; begin; delete from numbers where id = 600; rollback",
    );
    let to = scene.now();
    scene.live.run("delete from numbers where id = 2");
    let output = scene.dated(&window(&from, &to)).ok();
    let mut expected: std::collections::BTreeSet<String> =
        (10..20).map(|n| format!("public.numbers: {n}")).collect();
    for n in [1, 2] {
        expected.insert(format!(
            "public.words: w{n}, 00000000-0000-0000-0000-{n:012}"
        ));
    }
    expected.extend(["public.parts: 50", "public.parts: 149"].map(str::to_owned));
    assert_eq!(scene.bundled(), expected);
    assert!(
        output.stderr.contains("a source of last resort"),
        "{}",
        output.stderr
    );
    // The long text and the date stay undetermined; they were left out, and counted.
    assert!(
        output.stdout.contains("--undetermined exclude"),
        "{}",
        output.stdout
    );
    for unit in scene.units() {
        assert_eq!(unit["evidence"]["source"], "dead-tuples");
        assert!(unit["evidence"]["transaction"].is_u64());
    }
}

#[test]
fn a_row_created_again_under_the_same_key_dates_nothing_but_its_own_end() {
    let scene = Scene::new(SETUP);
    let _held = Holder::of(&scene.live);
    scene.live.run("delete from numbers where id in (1, 2)");
    scene
        .live
        .run("insert into numbers values (1, 'another'), (2, 'another')");
    let from = scene.now();
    scene.live.run("delete from numbers where id in (1, 3)");
    let to = scene.now();
    scene.dated(&window(&from, &to)).ok();
    // 1 was deleted before the window; what was deleted in it under that key is another row.
    assert_eq!(scene.bundled(), ["public.numbers: 3".to_owned()].into());
}

#[test]
fn an_edited_row_is_not_mistaken_for_the_backups() {
    let scene = Scene::new(SETUP);
    let _held = Holder::of(&scene.live);
    scene
        .live
        .run("update numbers set v = 'edited' where id = 5");
    let from = scene.now();
    scene.live.run("delete from numbers where id = 5");
    let to = scene.now();
    let refused = scene
        .dated(&[
            "extract",
            "--evidence",
            "dead-tuples",
            "--from",
            &from,
            "--to",
            &to,
        ])
        .expect_code(3);
    // No later than its end: that is all that is known.
    let listed = scene.case.read("undetermined.jsonl");
    let row: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
    assert!(row["to"].as_str().unwrap() <= to.as_str(), "{row}");
    assert_eq!(
        row["transaction"],
        serde_json::Value::Null,
        "{}",
        refused.stderr
    );
}

#[test]
fn without_the_extension_or_the_right_it_is_said() {
    let scene = Scene::new("create table t (id int primary key); insert into t values (1)");
    scene.live.run("delete from t");
    let refused = scene
        .run(&["timeline", "--evidence", "dead-tuples"])
        .expect_code(2);
    assert!(
        refused.stderr.contains("CREATE EXTENSION pageinspect"),
        "{}",
        refused.stderr
    );
    let drawn = scene.run(&["timeline"]).ok();
    assert!(
        drawn.stderr.contains("dead-tuples: live has no extension"),
        "{}",
        drawn.stderr
    );
}

#[test]
fn a_savepoint_has_a_number_of_its_own() {
    let scene = Scene::new(SETUP);
    let _held = Holder::of(&scene.live);
    let xid = scene.live.query_text(
        "begin; select txid_current(); delete from numbers where id in (1, 2);
         savepoint a; delete from numbers where id in (3, 4, 5); release a; commit",
    );
    let refused = scene
        .run(&["extract", "--evidence", "dead-tuples", "--xid", xid.trim()])
        .expect_code(3);
    assert!(
        refused.stderr.contains("3 of public.numbers"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_row_that_died_before_the_backup_dates_nothing() {
    let live = crate::support::database();
    live.run(SETUP);
    let _held = Holder::of(&live);
    live.run("delete from numbers where id in (1, 2, 3); insert into numbers values (1, 'new'), (2, 'new'), (3, 'new')");
    let snapshot = crate::support::dump_restore(&live);
    let mut scene = Scene::of(snapshot, live);
    let from = scene.now();
    scene.live.run("delete from numbers where id in (1, 2)");
    let to = scene.now();
    // Where nobody says when the backup was taken, either life could have been the backup's.
    let args = window(&from, &to);
    let nothing = scene.run(&args).expect_code(2);
    assert!(
        nothing.stderr.contains("nobody knows"),
        "{}",
        nothing.stderr
    );
    scene.taken = from.clone();
    let wider = [
        "extract",
        "--evidence",
        "dead-tuples",
        "--from",
        &from,
        "--to",
        &to,
    ];
    scene.dated(&wider).ok();
    assert_eq!(scene.bundled().len(), 2);
}
