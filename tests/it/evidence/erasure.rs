//! `[[exclude]]` in its corners: keys that are equal and written otherwise, rows that live still has, exclusions that are
//! misspelt, forgotten, or name nothing.

use super::scene::{EXECUTE, Scene, totals};
use crate::support::Output;

/// A `[[exclude]]` of a table, by one line of TOML.
fn exclude(table: &str, rows: &str) -> String {
    format!("[[exclude]]\ntable = '{table}'\nreason = 'erasure'\n{rows}\n")
}

impl Scene {
    fn configured(&self, configuration: &str, args: &[&str]) -> Output {
        self.case.write("reinstate.toml", configuration);
        self.run(args)
    }

    fn bundled_of(&self, table: &str) -> Vec<String> {
        let of_table = |row: String| {
            row.strip_prefix(&format!("public.{table}: "))
                .map(str::to_owned)
        };
        self.bundled().into_iter().filter_map(of_table).collect()
    }
}

/// Keys and references of types whose equal values are written in several ways.
const WRITTEN: &str = "
create extension if not exists citext;
create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table amounts (k numeric primary key);
create table parts (id int primary key, k numeric not null references amounts on delete cascade);
create table people (mail citext primary key);
create table letters (id int primary key, mail citext not null references people on delete cascade);
create table names (name text collate folded primary key);
create table codes (code char(5) primary key);
create table requests (kind text, key text);
insert into amounts values (1.0), (2.00), (3);
insert into parts values (1, 1.00), (2, 2), (3, 3.000);
insert into people values ('Bob@x.fr'), ('ann@x.fr');
insert into letters values (1, 'BOB@x.fr'), (2, 'Ann@x.fr');
insert into names values ('Élise'), ('Ann');
insert into codes values ('ab'), ('cd');
";
const WRITTEN_LOSS: &str =
    "delete from amounts; delete from people; delete from names; delete from codes;";
const LEFT: [(&str, &str, &[&str]); 4] = [
    ("amounts", "select 1 as k union all select 2.0", &["3"]),
    ("people", "select 'bob@x.fr' as mail", &["ann@x.fr"]),
    ("names", "select 'ÉLISE' as name", &["Ann"]),
    ("codes", "select 'ab' as code", &["cd   "]),
];

fn written(origin: &str) -> String {
    let each = LEFT
        .iter()
        .map(|(table, sql, _)| exclude(table, &format!("{origin} = \"{sql}\"")));
    each.collect()
}

#[test]
fn a_query_names_rows_by_the_columns_own_equality() {
    for origin in ["live_sql", "snapshot_sql"] {
        let scene = Scene::new(WRITTEN);
        scene.live.run(WRITTEN_LOSS);
        let extracted = scene
            .configured(&written(origin), &["extract", "--format", "json"])
            .ok();
        // Five named rows, two parts and a letter.
        assert_eq!(extracted.json()["totals"]["excluded"], 8, "{origin}");
        for (table, _, left) in LEFT {
            assert_eq!(scene.bundled_of(table), left, "{origin} {table}");
        }
        assert_eq!(
            (scene.bundled_of("parts"), scene.bundled_of("letters")),
            (vec!["3".into()], vec!["2".into()])
        );
    }
}

#[test]
fn on_day_two_too() {
    let scene = Scene::new(WRITTEN);
    scene.live.run(WRITTEN_LOSS);
    scene.configured("", &["extract"]).ok();
    let plan = scene
        .configured(&written("live_sql"), &["restore", "--format", "json"])
        .ok()
        .json();
    assert_eq!(
        (&plan["totals"]["excluded"], &plan["totals"]["inserted"]),
        (&8.into(), &6.into())
    );
    let run = scene.run(&EXECUTE).ok().json();
    assert_eq!(
        (&run["totals"]["excluded"], &run["totals"]["inserted"]),
        (&8.into(), &6.into())
    );
    let left =
        "select count(*) from (select k::text from amounts union all select mail::text from people
                  union all select name from names union all select code from codes
                  union all select id::text from parts union all select id::text from letters) a";
    assert_eq!(scene.live.count(left), 6);
    let verified = scene.run(&["verify", "--format", "json"]).ok().json();
    assert_eq!(
        (
            &verified["totals"]["excluded"],
            &verified["totals"]["identical"]
        ),
        (&8.into(), &6.into())
    );
}

/// Accounts are often emptied and kept; what belonged to them is what was erased.
const KEPT: &str = "
create table users (id int primary key, mail text unique);
create table teams (id int primary key, user_id int not null references users);
create table d (id int primary key, user_id int references users, team_id int references teams);
create table c (id int primary key, d_id int not null references d);
create table files (id int primary key, owner text);
create table unrelated (id int primary key);
insert into users select n, n || '@x' from generate_series(1, 4) n;
insert into teams values (1, 1), (2, 2);
insert into d values (1, 1, null), (2, 2, null), (3, 3, 1), (4, 3, 2), (5, 1, null);
insert into c select n, n from generate_series(1, 5) n;
insert into files select n, n from generate_series(1, 4) n;
";
const FILES: &str = "[[relation]]\nfrom = 'files(owner)'\nto = 'users(id)'\n";
/// Of 5 only what hangs from it.
const KEPT_LOSS: &str = "delete from files; delete from c; delete from d where id < 5;";

fn users() -> String {
    format!("{FILES}{}", exclude("users", "live_sql = 'select 1 as id'"))
}

#[test]
fn what_hangs_from_an_excluded_row_that_live_still_has_stays_deleted() {
    let scene = Scene::new(KEPT);
    scene.live.run(KEPT_LOSS);
    let extracted = scene
        .configured(&users(), &["extract", "--format", "json"])
        .ok()
        .json();
    assert_eq!(scene.bundled_of("d"), ["2", "4"]);
    assert_eq!(scene.bundled_of("c"), ["2", "4"]);
    assert_eq!(scene.bundled_of("files"), ["2", "3", "4"]);
    // Directly, over a team, over a row that is still there, and as declared.
    assert_eq!(extracted["totals"]["excluded"], 6);
    let left = extracted["left_out"].to_string();
    assert!(
        left.contains("hangs from an excluded row of public.users: erasure"),
        "{left}"
    );
    assert!(
        extracted["notes"]
            .to_string()
            .contains("lists 1 keys and names no missing row")
    );
}

#[test]
fn nor_does_it_come_back_on_day_two() {
    let scene = Scene::new(KEPT);
    scene.live.run(KEPT_LOSS);
    scene.configured(FILES, &["extract"]).ok();
    assert_eq!(scene.bundled().len(), 13);
    let plan = scene
        .configured(&users(), &["restore", "--format", "json"])
        .ok()
        .json();
    assert_eq!(
        (&plan["totals"]["excluded"], &plan["totals"]["inserted"]),
        (&6.into(), &7.into())
    );
    scene.run(&EXECUTE).ok();
    assert_eq!(
        scene
            .live
            .query_text("select string_agg(id::text, ' ' order by id) from d")
            .trim(),
        "2 4 5"
    );
    assert_eq!(
        scene
            .live
            .query_text("select string_agg(id::text, ' ' order by id) from c")
            .trim(),
        "2 4"
    );
    assert_eq!(
        scene
            .live
            .query_text("select string_agg(id::text, ' ' order by id) from files")
            .trim(),
        "2 3 4"
    );
    let verified = scene.run(&["verify", "--format", "json"]).ok().json();
    totals(&verified, &[("excluded", 6), ("identical", 7)]);
}

#[test]
fn an_exclusion_that_cannot_be_placed_is_refused_whenever_it_is_asked() {
    let scene = Scene::new(KEPT);
    scene.live.run(KEPT_LOSS);
    scene.configured("", &["extract"]).ok();
    let misspelt = exclude("user", "live_sql = 'select 1 as id'");
    for args in [&["restore"][..], &EXECUTE, &["verify"]] {
        let refused = scene.configured(&misspelt, args).expect_code(2);
        assert!(
            refused
                .stderr
                .contains("[[exclude]] of public.user: live has no such table"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(scene.live.count("select count(*) from c"), 0);
    // One of a table that has nothing to do with the bundle is none of its business.
    let beside = exclude("unrelated", "live_sql = 'select 1 as id'");
    scene.configured(&beside, &["restore"]).ok();
}

#[test]
fn exclusions_once_in_force_are_not_forgotten() {
    let scene = Scene::new(KEPT);
    scene.live.run(KEPT_LOSS);
    let one = exclude("d", "live_sql = 'select 2 as id'");
    let two = format!("{one}{}", exclude("c", "live_sql = 'select 4 as id'"));
    scene.configured(&one, &["extract"]).ok();
    let refused = |configuration: &str, words: &str| {
        let output = scene.configured(configuration, &EXECUTE).expect_code(3);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        for args in [&["restore"][..], &["verify"]] {
            let output = scene.run(args);
            assert!(output.stderr.contains(words), "{}", output.stderr);
        }
    };
    refused(
        "",
        "[[exclude]] of public.d (erasure) was in force when the bundle was made",
    );
    assert_eq!(
        scene
            .live
            .count("select count(*) from pg_namespace where nspname = 'reinstate'"),
        0
    );
    scene
        .configured(&one, &[&EXECUTE[..], &["--max-units", "1"]].concat())
        .expect_code(4);
    // One that came when the run went on counts like one that was there when it began.
    scene
        .configured(&two, &[&EXECUTE[..], &["--max-units", "1"]].concat())
        .expect_code(4);
    refused(
        &one,
        "[[exclude]] of public.c (erasure) was in force in run ",
    );
    scene.configured(&two, &EXECUTE).ok();
    assert_eq!(scene.live.count("select count(*) from c where id = 4"), 0);
    refused(&one, "extract again without it");
}

#[test]
fn what_cannot_be_asked_leaves_no_run() {
    let scene = Scene::new(KEPT);
    scene.live.run(KEPT_LOSS);
    scene.configured("", &["extract"]).ok();
    let lost = exclude("d", "file = '/nowhere/erased.csv'");
    scene.configured(&lost, &EXECUTE).expect_code(2);
    assert_eq!(
        scene
            .live
            .count("select count(*) from pg_namespace where nspname = 'reinstate'"),
        0
    );
}
