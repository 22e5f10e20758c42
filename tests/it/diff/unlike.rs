//! Keys where the two sides are unlike: collations, types, encodings, values that are equal but not identical.

use super::{check, lines, run};
use crate::support::{database, dump_restore, pair_dumped};

/// Sorted differently on the two sides, so ranges would lie: `B`, `a` bound other rows under C than under ICU.
#[tokio::test]
async fn collations_that_differ_between_the_sides() {
    let rows = "insert into t select w || n, 'x' from unnest(array['a', 'B', 'é', 'Z', '_', ' ', 'aa', 'A']) w,
                                                   generate_series(1, 12) n";
    for (ours, theirs) in [
        ("\"C\"", "\"en-x-icu\""),
        ("\"en-x-icu\"", "\"sv-x-icu\""),
        ("\"C\"", "backwards"),
        ("\"C\"", "icu_c"),
        ("anycase", "\"C\""),
    ] {
        let make = |collation: &str| {
            let db = database();
            db.run(&format!(
                "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                 create collation icu_c (provider = icu, locale = 'C');
                 create collation backwards (provider = icu, locale = 'en-u-kf-upper-kr-latn-digit');
                 create table t (k text collate {collation} primary key, v text);"
            ));
            db
        };
        let (snapshot, live) = (make(ours), make(theirs));
        // Under a nondeterministic collation some of them would be one and the same.
        let rows = if ours == "anycase" {
            rows.replace(", 'A'", "").replace("'aa', ", "")
        } else {
            rows.to_owned()
        };
        snapshot.run(&rows);
        live.run(&rows);
        live.run(
            "delete from t where k in ('a1', 'B7', 'Z12', ' 1', 'é3'); insert into t values ('q', 'x'), ('É', 'x');
             update t set v = 'y' where k in ('a2', '_1')",
        );
        check(&snapshot, &live).await;
    }
}

/// Live's own `=` decides whether a row is there: what is merely written otherwise is changed, not deleted.
#[tokio::test]
async fn keys_equal_but_not_identical() {
    let (snapshot, live) = pair_dumped(
        "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create extension citext;
         create table words (k text collate anycase primary key, v text);
         insert into words values ('Anna', 'x'), ('Berta', 'x'), ('Clara', 'x'), ('Dora', 'x');
         create table ci (k citext primary key, v text); insert into ci select * from words;
         create table numbers (k numeric primary key, v text);
         insert into numbers values (1.0, 'x'), (2, 'x'), (3, 'x'), (4, 'x');
         create table floats (k float8 primary key, v text); insert into floats values (0, 'x'), (1, 'x');",
    );
    for (table, same, gone) in [("words", "'ANNA'", "'BERTA'"), ("ci", "'ANNA'", "'BERTA'")] {
        live.run(&format!(
            "update {table} set k = {same} where k = {same}; delete from {table} where k = {gone};
             insert into {table} values ('Berthe', 'x'); update {table} set v = 'y' where k = 'dora'"
        ));
    }
    live.run(
        "update numbers set k = 1.00 where k = 1; delete from numbers where k = 2.0; insert into numbers values (2.1, 'x');
         update numbers set v = 'y' where k = 4; update floats set k = '-0' where k = 0",
    );
    let found = |depth: &str| {
        let (case, _, _) = run(&snapshot, &live, depth);
        lines(&case)
    };
    let line = |change: &str, key: &str| (change.to_owned(), vec![key.to_owned()]);
    let rows = found("rows");
    for table in ["public.words", "public.ci"] {
        let expected = vec![
            line("changed", "Anna"),
            line("changed", "Dora"),
            line("deleted", "Berta"),
            line("inserted", "Berthe"),
        ];
        assert_eq!(rows[table], expected, "{table}");
        assert_eq!(found("keys")[table], expected[2..], "{table}");
    }
    let expected = vec![
        line("changed", "1.0"),
        line("changed", "4"),
        line("deleted", "2"),
        line("inserted", "2.1"),
    ];
    assert_eq!(rows["public.numbers"], expected);
    assert_eq!(rows["public.floats"], vec![line("changed", "0")]);
    assert_eq!(found("keys").get("public.floats"), None);
}

/// A key that the other side's type cannot hold is missing there; it is no error, and nothing is cut to fit.
#[tokio::test]
async fn key_types_that_differ_between_the_sides() {
    let (snapshot, live) = (database(), database());
    snapshot.run(
        "create table wide (k int8 primary key, v text);
         insert into wide values (1, 'x'), (2, 'x'), (5000000000, 'x'), (-5000000000, 'x');
         create table narrow (k int4 primary key, v text); insert into narrow values (1, 'x'), (2, 'x');
         create table cut (k varchar(10) primary key, v text); insert into cut values ('abc', 'x'), ('abcdef', 'x');
         create table round (k numeric(10,4) primary key, v text); insert into round values (1.25, 'x'), (1.2549, 'x');
         create type mood as enum ('sad', 'ok', 'gone'); create table moods (k mood primary key, v text);
         insert into moods values ('sad', 'x'), ('ok', 'x'), ('gone', 'x');
         create domain d as int check (value < 100); create table domains (k d primary key, v text);
         insert into domains values (1, 'x'), (50, 'x');
         create table days (k timestamp primary key, v text);
         insert into days values ('2020-01-21 16:40:00', 'x'), ('2020-01-22 00:00:00', 'x');
         create table texts (k text primary key, v text);
         insert into texts values ('00000000-0000-0000-0000-000000000000', 'x'), ('no uuid', 'x');",
    );
    live.run(
        "create table wide (k int4 primary key, v text); insert into wide values (2, 'x'), (3, 'x');
         create table narrow (k int8 primary key, v text);
         insert into narrow values (2, 'x'), (5000000000, 'x'), (1, 'y');
         create table cut (k varchar(3) primary key, v text); insert into cut values ('abc', 'x'), ('abd', 'x');
         create table round (k numeric(10,2) primary key, v text); insert into round values (1.25, 'x'), (1.26, 'x');
         create type mood as enum ('ok', 'sad', 'new'); create table moods (k mood primary key, v text);
         insert into moods values ('ok', 'x'), ('new', 'x');
         create domain d as int check (value < 10); create table domains (k d primary key, v text);
         insert into domains values (1, 'x'), (2, 'x');
         create table days (k date primary key, v text); insert into days values ('2020-01-21', 'x');
         create table texts (k uuid primary key, v text);
         insert into texts values ('00000000-0000-0000-0000-000000000000', 'x'),
                                  ('00000000-0000-0000-0000-000000000001', 'x');",
    );
    let (case, _, json) = run(&snapshot, &live, "rows");
    let found = lines(&case);
    let of = |table: &str| -> Vec<String> {
        let found = &found[table];
        found
            .iter()
            .map(|d| format!("{} {}", d.0, d.1[0]))
            .collect()
    };
    assert_eq!(
        of("public.wide"),
        [
            "deleted -5000000000",
            "deleted 1",
            "deleted 5000000000",
            "inserted 3"
        ]
    );
    assert_eq!(of("public.narrow"), ["changed 1", "inserted 5000000000"]);
    assert_eq!(of("public.cut"), ["deleted abcdef", "inserted abd"]);
    assert_eq!(
        of("public.moods"),
        ["deleted gone", "deleted sad", "inserted new"]
    );
    // A moment of that day is not the day.
    assert_eq!(
        of("public.days"),
        [
            "deleted 2020-01-21 16:40:00",
            "deleted 2020-01-22 00:00:00",
            "inserted 2020-01-21"
        ]
    );
    assert_eq!(of("public.domains"), ["deleted 50", "inserted 2"]);
    assert_eq!(
        of("public.texts"),
        [
            "deleted no uuid",
            "inserted 00000000-0000-0000-0000-000000000001"
        ]
    );
    // 1.2500 became 1.25: there, and written otherwise. 1.2549 did not become 1.26 by being cut.
    assert_eq!(
        of("public.round"),
        ["changed 1.2500", "deleted 1.2549", "inserted 1.26"]
    );
    let reason = super::entry(&json, "public.wide")["reason"]
        .as_str()
        .unwrap();
    assert!(reason.contains("k was bigint, is integer"), "{reason}");
}

/// Text is compared as characters where the two servers' bytes for them differ.
#[tokio::test]
async fn encodings_that_differ() {
    let live = database();
    live.run(
        "create table t (k text collate \"C\" primary key, v varchar(20), j jsonb);
         insert into t select 'é' || n, 'à' || n, '{\"ü\":1}' from generate_series(1, 300) n",
    );
    let snapshot = crate::support::database_with("template template0 encoding 'LATIN1' locale 'C'");
    let dumped = dump_restore(&live);
    let copied = dumped.query_text("select format('(%L,%L,%L)', k, v, j) from t");
    let values: Vec<&str> = copied.lines().collect();
    snapshot.run(&format!(
        "set client_encoding = 'UTF8'; create table t (k text collate \"C\" primary key, v varchar(20), j jsonb);
         insert into t values {}",
        values.join(",")
    ));
    check(&snapshot, &live).await;
    live.run("delete from t where k = 'é7'; update t set v = 'a' where k = 'é9'; insert into t values ('€')");
    check(&snapshot, &live).await;
}
