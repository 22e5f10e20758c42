//! Schemas that differ: what is named, what is compared all the same, what is left out and why.

use serde_json::json;

use super::{entry, lines, run};
use crate::support::{database, pair, pair_dumped};

#[test]
fn columns_added_dropped_retyped_generated() {
    let (snapshot, live) = pair_dumped(
        "create table t (id int primary key, dropped text, kept text, retyped int, gone int,
                         twice int generated always as (retyped * 2) stored);
         insert into t select n, 'x', 'x', n, n from generate_series(1, 50) n;
         alter table t drop column gone;",
    );
    live.run(
        "alter table t drop column dropped; alter table t drop column twice;
         alter table t alter retyped type bigint;
         alter table t add column \"Added\" text not null default 'new', add column twice int, add column plain int;
         alter table t add column computed text generated always as (kept || 'y') stored;
         update t set twice = -1, plain = 7; delete from t where id in (1, 50);
         update t set kept = 'z' where id = 7; update t set retyped = 5000000000 where id = 9",
    );
    let (case, output, json) = run(&snapshot, &live, "rows");
    assert_eq!(output.code, 1);
    let found: Vec<String> = lines(&case)["public.t"]
        .iter()
        .map(|d| format!("{} {}", d.0, d.1[0]))
        .collect();
    assert_eq!(found, ["changed 7", "changed 9", "deleted 1", "deleted 50"]);
    let entry = entry(&json, "public.t");
    assert_eq!(entry["status"], "compared");
    let reason = entry["reason"].as_str().unwrap();
    for part in [
        "dropped",
        "Added",
        "plain",
        "computed",
        "retyped was integer, is bigint",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(!reason.contains("kept"), "{reason}");
}

#[test]
fn tables_of_one_side_and_tables_left_out() {
    let (snapshot, live) = pair_dumped(
        "create table common (id int primary key); insert into common values (1);
         create table lost (id int primary key);
         create extension postgres_fdw; create server elsewhere foreign data wrapper postgres_fdw;
         create foreign table far (id int) server elsewhere;
         create table measured (at date, v int) partition by range (at);
         create table measured_old partition of measured for values from ('2019-01-01') to ('2020-01-01');
         create foreign table measured_far partition of measured for values from ('2018-01-01') to ('2019-01-01')
            server elsewhere;
         create table no_columns (); insert into no_columns default values;
         create table apart (a int); create view v as select 1 as one; create materialized view m as select 1 as one;
         create unlogged table scratch (id int primary key);
         create schema reinstate; create table reinstate.journal (id int primary key);",
    );
    live.run(
        "drop table lost; create table born (id int primary key); alter table apart rename a to b;
         create temporary table passing (id int)",
    );
    let (_, output, json) = run(&snapshot, &live, "rows");
    let status = |table: &str| {
        let entry = entry(&json, table);
        (
            entry["status"].clone(),
            entry["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(status("public.common"), (json!("compared"), String::new()));
    assert_eq!(status("public.lost").0, "only_in_snapshot");
    assert_eq!(status("public.born").0, "only_in_live");
    for (table, why) in [
        ("public.far", "foreign"),
        ("public.measured", "foreign"),
        ("public.no_columns", "no column"),
        ("public.apart", "no column"),
    ] {
        let (status, reason) = status(table);
        assert_eq!(status, "skipped", "{table}");
        assert!(reason.contains(why), "{table}: {reason}");
        assert!(entry(&json, table)["deleted"].is_null(), "{table}");
    }
    let names: Vec<&str> = json["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["table"].as_str().unwrap())
        .collect();
    assert!(names.is_sorted() && names.len() == 8, "{names:?}");
    assert_eq!(output.code, 1, "a lost table is a difference");
}

#[test]
fn tables_of_extensions_are_named_and_left_out() {
    let (snapshot, live) = pair(
        "create table common (id int primary key); create table config (id int primary key); insert into config values (1);
         create extension citext; alter extension citext add table config;",
    );
    live.run("delete from config");
    let (_, output, json) = run(&snapshot, &live, "rows");
    let entry = entry(&json, "public.config");
    assert_eq!(entry["status"], "skipped");
    assert_eq!(entry["reason"], "belongs to extension citext");
    assert_eq!(output.code, 0);
}

#[test]
fn nothing_in_common() {
    let (snapshot, live) = (database(), database());
    snapshot.run("create table a (id int)");
    live.run("create table b (id int)");
    let case = crate::support::Case::new();
    let output = case.run([
        "diff",
        "--snapshot",
        &snapshot.conninfo(),
        "--live",
        &live.conninfo(),
    ]);
    let output = output.expect_code(2);
    assert!(
        output.stderr.contains("no table in common"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_unlogged_table_is_left_out_where_the_backup_emptied_it() {
    let (snapshot, live) = pair_dumped(
        "create unlogged table scratch (id int primary key); insert into scratch select generate_series(1, 9);
         create unlogged table kept (id int primary key); insert into kept select generate_series(1, 9);
         create unlogged table unused (id int primary key)",
    );
    // As every physical backup leaves it.
    snapshot.run("truncate scratch");
    live.run("delete from scratch where id < 4; delete from kept where id < 4");
    let (_, output, json) = run(&snapshot, &live, "rows");
    let scratch = entry(&json, "public.scratch");
    assert_eq!(scratch["status"], "skipped");
    let reason = scratch["reason"].as_str().unwrap();
    assert!(
        reason.contains("no physical backup has its rows"),
        "{reason}"
    );
    assert_eq!(entry(&json, "public.kept")["deleted"], 3);
    assert_eq!(entry(&json, "public.unused")["status"], "compared");
    assert_eq!(output.code, 1);
}
