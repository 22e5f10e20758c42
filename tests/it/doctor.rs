//! `doctor`: what it finds, what it does not mistake for a finding, and the document it prints.

mod decay;
mod references;
mod servers;

use serde_json::Value;

use crate::cli::story::Story;
use crate::support::{Case, Output, TestDb, database, pair};

fn doctor(live: &TestDb, more: &[&str]) -> Output {
    let case = Case::new();
    let live = live.conninfo();
    let args = ["doctor", "--live", &live, "--format", "json"];
    case.run(args.iter().chain(more))
}

/// Findings of one kind.
fn found<'a>(document: &'a Value, code: &str) -> Vec<&'a Value> {
    let all = document["findings"].as_array().unwrap();
    all.iter().filter(|f| f["code"] == code).collect()
}

fn texts(document: &Value, code: &str) -> Vec<String> {
    let text = |f: &&Value| f["text"].as_str().unwrap().to_owned();
    found(document, code).iter().map(text).collect()
}

#[test]
fn the_document_has_one_form() {
    let story = Story::begin();
    let document = story.run(["doctor", "--format", "json"]).ok().json();
    let names: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "schema_version",
        "command",
        "run",
        "totals",
        "tables",
        "findings",
        "next",
    ];
    assert_eq!(names, expected);
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["command"], "doctor");
    let totals = document["totals"].as_object().unwrap();
    assert_eq!(
        totals.keys().collect::<Vec<_>>(),
        ["problem", "warning", "note", "good"]
    );
    let findings = document["findings"].as_array().unwrap();
    let sum: u64 = totals.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(sum, findings.len() as u64);
    for finding in findings {
        let word = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        assert!(
            ["problem", "warning", "note", "good"].contains(&word("level").as_str()),
            "{finding}"
        );
        assert!(
            ["live", "snapshot", "both"].contains(&word("about").as_str()),
            "{finding}"
        );
        assert!(
            !word("code").is_empty() && !word("text").is_empty(),
            "{finding}"
        );
    }
    assert_eq!(
        found(&document, "no_key")[0]["tables"],
        serde_json::json!(["public.log"])
    );
    assert!(document["next"].as_str().unwrap().ends_with(" diff"));
}

#[test]
fn live_alone_is_enough_to_begin_with() {
    let live = database();
    live.run("create table t (id int primary key)");
    let document = doctor(&live, &[]).ok().json();
    assert!(
        document["next"]
            .as_str()
            .unwrap()
            .contains("doctor --snapshot CONNINFO"),
        "{document}"
    );
    let sides: Vec<&Value> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["about"])
        .collect();
    assert!(sides.iter().all(|s| *s == "live"), "{sides:?}");
    let version = &texts(&document, "version")[0];
    assert!(
        version.contains(&live.name) && version.contains(": PostgreSQL "),
        "{version}"
    );
    assert!(
        !live
            .query_text("select to_regnamespace('reinstate') is null")
            .contains('f')
    );
}

#[test]
fn a_side_that_cannot_be_reached_is_one_problem_among_others() {
    let live = database();
    live.run("create table t (id int primary key)");
    let document = doctor(&live, &["--snapshot", "postgres://a:s3cr3t@127.0.0.1:1/x"])
        .expect_code(1)
        .json();
    let unreachable = found(&document, "unreachable");
    assert_eq!(unreachable[0]["about"], "snapshot");
    assert!(
        unreachable[0]["advice"]
            .as_str()
            .unwrap()
            .contains("is PostgreSQL running")
    );
    assert!(!document.to_string().contains("s3cr3t"));
    assert_eq!(texts(&document, "tables"), ["1 table"]);
    assert_eq!(document["totals"]["problem"], 1);
    assert!(document["next"].as_str().unwrap().starts_with("mend"));
    // Nor does it need live to say what is wrong with live.
    let output = Case::new()
        .run(["doctor", "--live", "host=/nowhere user=x"])
        .expect_code(1);
    assert!(output.stdout.contains("PROBLEM  live"), "{}", output.stdout);
}

#[test]
fn the_snapshot_is_looked_at_where_live_cannot_be_reached() {
    let snapshot = database();
    snapshot.run("create table users (id int primary key); create table t (user_id int)");
    let given = [
        "doctor",
        "--live",
        "host=/nowhere user=x",
        "--format",
        "json",
    ];
    let conninfo = snapshot.conninfo();
    let output = Case::new().run(given.iter().chain(&["--snapshot", &conninfo]));
    let document = output.expect_code(1).json();
    assert_eq!(found(&document, "unreachable")[0]["about"], "live");
    assert_eq!(texts(&document, "tables"), ["2 tables"]);
    assert_eq!(found(&document, "undeclared")[0]["about"], "snapshot");
}

#[test]
fn one_database_given_twice_is_a_problem() {
    let live = database();
    live.run("create table t (id int primary key)");
    let document = doctor(&live, &["--snapshot", &live.tcp_conninfo()])
        .expect_code(1)
        .json();
    assert_eq!(found(&document, "same_database").len(), 1);
}

#[test]
fn sides_with_nothing_in_common_are_a_problem() {
    let (live, snapshot) = (database(), database());
    live.run("create table a (id int primary key)");
    snapshot.run("create table b (id int primary key)");
    let document = doctor(&live, &["--snapshot", &snapshot.conninfo()])
        .expect_code(1)
        .json();
    assert_eq!(found(&document, "nothing_in_common").len(), 1);
    assert_eq!(
        texts(&document, "only_in_snapshot"),
        ["only in the snapshot: public.b"]
    );
}

#[test]
fn drift_is_named() {
    let (snapshot, live) = pair("create table t (id int primary key, a int, b int)");
    live.run("alter table t drop a, alter b type text, add c int");
    let document = doctor(&live, &["--snapshot", &snapshot.conninfo()])
        .ok()
        .json();
    let said = &texts(&document, "drift")[0];
    assert_eq!(
        said,
        "public.t: only in snapshot: a; only in live: c; b was integer, is text"
    );
}

#[test]
fn what_stands_in_the_way_is_said_table_by_table() {
    let live = database();
    live.run(
        "create table parents (id int primary key);
         create table children (id int primary key, parent_id int references parents,
                                other_id int references parents on delete set null,
                                third_id int references parents on delete cascade);
         create unlogged table scratch (id int primary key);
         create table watched (id int primary key);
         create function f() returns trigger language plpgsql as 'begin return new; end';
         create trigger on_insert before insert on watched for each row execute function f();
         create trigger on_delete before delete on parents for each row execute function f();
         create table secret (id int primary key);
         alter table secret enable row level security;
         create extension postgres_fdw; create server s foreign data wrapper postgres_fdw;
         create foreign table far (id int) server s",
    );
    let document = doctor(&live, &[]).ok().json();
    let keys = texts(&document, "no_on_delete");
    assert_eq!(keys.len(), 1);
    assert!(
        keys[0].ends_with(": public.children(parent_id) → public.parents"),
        "{keys:?}"
    );
    let nulls = texts(&document, "set_null");
    assert!(
        nulls[0].ends_with(": public.children(other_id) → public.parents"),
        "{nulls:?}"
    );
    assert_eq!(texts(&document, "unlogged"), ["unlogged: public.scratch"]);
    let triggers = &found(&document, "triggers")[0];
    assert_eq!(triggers["tables"], serde_json::json!(["public.watched"]));
    assert!(
        triggers["text"].as_str().unwrap().contains("(on_insert)"),
        "{triggers}"
    );
    // A superuser passes; it is worth knowing, and no more.
    assert_eq!(found(&document, "row_security")[0]["level"], "note");
    assert_eq!(texts(&document, "foreign"), ["foreign tables: public.far"]);
    assert!(texts(&document, "no_key").is_empty());
}

#[test]
fn rights_are_told_from_what_they_prevent() {
    let live = database();
    let role = format!("{}_doctor", live.name);
    live.run(&format!(
        "create table open (id int primary key); create table closed (id int primary key);
         create table tenants (id int primary key);
         alter table tenants enable row level security; create policy p on tenants using (id = 1);
         create role {role} login; grant select on open, tenants to {role}"
    ));
    let conninfo = live.conninfo_as(&role);
    let document = Case::new()
        .run(["doctor", "--live", &conninfo, "--format", "json"])
        .expect_code(1)
        .json();
    let closed = &found(&document, "not_readable")[0];
    assert_eq!(
        (&closed["level"], &closed["tables"]),
        (&"problem".into(), &serde_json::json!(["public.closed"]))
    );
    let hidden = &found(&document, "row_security")[0];
    assert_eq!(
        (&hidden["level"], &hidden["tables"]),
        (&"problem".into(), &serde_json::json!(["public.tenants"]))
    );
    assert!(texts(&document, "role")[0].contains(&role));
    assert_eq!(
        found(&document, "not_writable")[0]["tables"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let journal = &found(&document, "journal")[0];
    assert!(
        journal["advice"]
            .as_str()
            .unwrap()
            .contains("GRANT CREATE ON DATABASE"),
        "{journal}"
    );
    // What it advises is enough.
    live.run(&format!(
        "grant pg_read_all_data to {role}; alter role {role} bypassrls"
    ));
    Case::new().run(["doctor", "--live", &conninfo]).ok();
}

#[test]
fn columns_that_look_like_references_and_columns_that_do_not() {
    let live = database();
    live.run(
        "create table companies (id bigint primary key); create table users (id uuid primary key);
         create table \"Order\" (id int primary key);
         create table people (
             id int primary key,
             company_id int,                       -- another width of integer, all the same
             user_id int,                          -- the key is a uuid: cannot point there
             \"orderId\" int,                      -- as some libraries name them
             order_ids int[], paid int, stripe_id text, weather_id int,
             thing_id text, thing_type text,       -- polymorphic
             known_id int references \"Order\")",
    );
    let document = doctor(&live, &[]).ok().json();
    let mut texts = texts(&document, "undeclared");
    texts.sort();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0]
            .starts_with("public.people(\"orderId\") looks like a reference to public.\"Order\""),
        "{texts:?}"
    );
    assert!(
        texts[1].starts_with("public.people(company_id)"),
        "{texts:?}"
    );
    let polymorphic = found(&document, "polymorphic");
    assert_eq!(polymorphic.len(), 1);
    assert!(
        polymorphic[0]["advice"]
            .as_str()
            .unwrap()
            .contains("when = { thing_type = ")
    );

    // The advice can be pasted as it is, and is not given twice.
    let case = Case::new();
    let pasted: Vec<String> = found(&document, "undeclared")
        .iter()
        .map(|f| {
            f["advice"]
                .as_str()
                .unwrap()
                .split_once('\n')
                .unwrap()
                .1
                .to_owned()
        })
        .collect();
    case.write("reinstate.toml", &pasted.join("\n"));
    let document = case
        .run(["doctor", "--live", &live.conninfo(), "--format", "json"])
        .ok()
        .json();
    assert!(found(&document, "undeclared").is_empty(), "{document}");
}

#[test]
fn a_database_without_tables_is_a_problem() {
    let live = database();
    let document = doctor(&live, &[]).expect_code(1).json();
    assert_eq!(texts(&document, "tables"), ["0 tables"]);
}
