//! The command: its JSON, exit codes, patterns, and what it says of what it cannot do.

use serde_json::json;

use super::{lines, run, run_with};
use crate::support::{Case, copy_database, pair, pair_dumped};

#[test]
fn json_exactly_as_designed() {
    let (snapshot, live) = pair_dumped(
        "create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b'), (3, 'c');
         create table bag (v text); insert into bag values ('a'), ('a');
         create table \"Two\" (a int, b text, primary key (a, b)); insert into \"Two\" values (1, 'x y');
         create table gone (id int primary key); insert into gone values (1);",
    );
    live.run(
        "delete from t where id = 1; update t set v = 'B' where id = 2; insert into t values (4, 'd');
         delete from bag where ctid = '(0,1)'; delete from \"Two\"; drop table gone; create table born (id int)",
    );
    let (case, output, mut json) = run(&snapshot, &live, "rows");
    assert_eq!(output.code, 1);
    // Beside the contract; `unknowable.rs` looks at it.
    assert!(json.as_object_mut().unwrap().remove("unknowable").is_some());
    let expected = json!({
        "schema_version": 1,
        "tables": [
            {"table": "public.\"Two\"", "key": ["a", "b"], "status": "compared",
             "snapshot_rows": 1, "live_rows": 0, "deleted": 1, "inserted": 0, "changed": 0},
            {"table": "public.bag", "key": [], "status": "no_key", "reason": "no key: compared as a bag of rows",
             "snapshot_rows": 2, "live_rows": 1, "deleted": 1, "inserted": 0, "changed": 0},
            {"table": "public.born", "key": [], "status": "only_in_live",
             "reason": "the snapshot does not have this table",
             "snapshot_rows": null, "live_rows": null, "deleted": null, "inserted": null, "changed": null},
            {"table": "public.gone", "key": [], "status": "only_in_snapshot",
             "reason": "live does not have this table",
             "snapshot_rows": null, "live_rows": null, "deleted": null, "inserted": null, "changed": null},
            {"table": "public.t", "key": ["id"], "status": "compared",
             "snapshot_rows": 3, "live_rows": 3, "deleted": 1, "inserted": 1, "changed": 1},
        ],
        "totals": {"snapshot_rows": 6, "live_rows": 4, "deleted": 3, "inserted": 1, "changed": 1},
    });
    assert_eq!(json, expected);
    let mut written: Vec<String> = case.read("diff.jsonl").lines().map(str::to_owned).collect();
    written.sort();
    assert_eq!(
        written,
        [
            r#"{"table":"public.\"Two\"","change":"deleted","key":["1","x y"]}"#,
            r#"{"table":"public.bag","change":"deleted","place":["(0,2)"]}"#,
            r#"{"table":"public.t","change":"changed","key":["2"]}"#,
            r#"{"table":"public.t","change":"deleted","key":["1"]}"#,
            r#"{"table":"public.t","change":"inserted","key":["4"]}"#,
        ]
    );
    // Nothing that a row holds beside its key.
    assert!(!written.concat().contains("\"B\""));
    for file in ["diff.json", "diff.jsonl"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(case.file(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let (_, _, json) = run(&snapshot, &live, "keys");
    assert!(json["totals"]["changed"].is_null() && json["tables"][4]["changed"].is_null());
    assert_eq!(json["totals"]["deleted"], 3);
}

#[test]
fn exit_codes_tell_differences() {
    let (snapshot, live) =
        pair("create table t (id int primary key, v text); insert into t values (1, 'a')");
    for depth in ["rows", "keys"] {
        assert_eq!(run(&snapshot, &live, depth).1.code, 0);
    }
    live.run("update t set v = 'b'");
    assert_eq!(run(&snapshot, &live, "rows").1.code, 1);
    assert_eq!(run(&snapshot, &live, "keys").1.code, 0, "which keys exist");
    live.run("insert into t values (2, 'x')");
    assert_eq!(run(&snapshot, &live, "keys").1.code, 1);
}

#[test]
fn patterns_limit_what_is_compared() {
    let (snapshot, live) = pair_dumped(
        "create schema app; create schema \"Old App\";
         create table public.users (id int primary key); create table app.users (id int primary key);
         create table app.user_logs (id int primary key); create table \"Old App\".\"Users\" (id int primary key);",
    );
    let names = |args: &[&str]| -> Vec<String> {
        let (_, _, json) = run_with(&snapshot, &live, "keys", args);
        let tables = json["tables"].as_array().unwrap();
        tables
            .iter()
            .map(|t| t["table"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&[]).len(), 4);
    assert_eq!(names(&["--schema", "app"]), ["app.user_logs", "app.users"]);
    assert_eq!(names(&["--schema", "\"O\"*"]), ["\"Old App\".\"Users\""]);
    assert_eq!(names(&["--table", "users"]), ["app.users", "public.users"]);
    assert_eq!(names(&["--table", "APP.user?"]), ["app.users"]);
    assert_eq!(
        names(&["--table", "app.*", "--exclude-table", "*logs"]),
        ["app.users"]
    );
    assert_eq!(
        names(&[
            "--schema", "app", "--schema", "public", "--table", "users", "--table", "*logs"
        ]),
        ["app.user_logs", "app.users", "public.users"]
    );
    let case = Case::new();
    let refused = |args: &[&str]| {
        let (s, l) = (snapshot.conninfo(), live.conninfo());
        let mut all = vec!["diff", "--snapshot", &s, "--live", &l];
        all.extend(args);
        case.run(all).expect_code(2).stderr
    };
    assert!(refused(&["--table", "nowhere"]).contains("nowhere"));
    assert!(refused(&["--table", "a..b"]).contains("a..b"));
}

#[test]
fn any_number_of_jobs_gives_the_same() {
    let (snapshot, live) = pair_dumped(
        "create table t (k int primary key, v text); insert into t select n, n from generate_series(1, 3000) n;
         create table bag as select v from t;",
    );
    live.run("delete from t where k % 7 = 0; update t set v = 'x' where k % 11 = 0; delete from bag where v like '%7'");
    let found = |jobs: &str| {
        let (case, _, json) = run_with(&snapshot, &live, "rows", &["--jobs", jobs]);
        (json, lines(&case))
    };
    let one = found("1");
    assert_eq!(found("3"), one);
    assert_eq!(found("16"), one);
}

/// Row security would hide rows, which would then pass for deleted.
#[test]
fn hidden_rows_are_an_error_and_no_difference() {
    let (snapshot, live) = pair_dumped(
        "create table t (id int primary key, owner text); insert into t values (1, 'a'), (2, 'b');
         alter table t enable row level security; create policy own on t using (owner = 'a');",
    );
    let role = format!("reader_{}", live.name);
    live.run(&format!(
        "create role {role} login; grant select on t to {role}"
    ));
    let case = Case::new();
    let (s, l) = (snapshot.conninfo(), live.conninfo_as(&role));
    let output = case.run(["diff", "--snapshot", &s, "--live", &l]);
    assert!(output.code >= 2, "{output:?}");
    assert!(
        output.stderr.contains("row-level security"),
        "{}",
        output.stderr
    );
    assert!(!case.file("diff.jsonl").exists());
    live.run(&format!("revoke select on t from {role}"));
    let output = case
        .run(["diff", "--snapshot", &s, "--live", &l])
        .expect_code(2);
    assert!(output.stderr.contains("public.t"), "{}", output.stderr);
    live.run(&format!("drop role {role}"));
    // A copy by files is compared like any other.
    let copy = copy_database(&snapshot);
    assert_eq!(run(&snapshot, &copy, "rows").1.code, 0);
}
