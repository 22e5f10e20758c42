//! What `--root`, `--where` and the patterns choose, as their writers meant them.

use super::{incident, refused};
use crate::restore::{Incident, Ledger};
use crate::support::Output;

#[test]
fn a_root_that_a_pattern_leaves_out() {
    let incident = incident();
    for pattern in [["--table", "p*"], ["--exclude-table", "users"]] {
        let args = [&pattern[..], &["--root", "users"]].concat();
        refused(&incident, &args, 2, &["--root public.users", pattern[0]]);
    }
}

/// What is excluded can still belong to what is restored: a right to read it is needed all the same.
#[test]
fn an_excluded_table_that_may_not_be_read() {
    let incident = incident();
    let other = "create table sightings (id int primary key)";
    incident.live.run(other);
    incident.snapshot.run(other);
    let role = format!("extracts_{}", incident.live.name);
    incident.live.run(&format!(
        "create role {role} login; grant select on users to {role}"
    ));
    let as_role = |args: &[&str]| -> Output {
        let mut command = incident.command(&[&["extract"], args].concat());
        command.env("REINSTATE_LIVE", incident.live.conninfo_as(&role));
        command.output().unwrap().into()
    };
    let output = as_role(&["--exclude-table", "sightings", "--exclude-table", "posts"]);
    let said = output.expect_code(2).stderr;
    assert!(said.contains("may not read public.posts"), "{said}");
    assert!(said.contains("no reference connects"), "{said}");
    assert!(!said.contains("sightings"), "{said}");
    incident
        .live
        .run(&format!("grant select on posts to {role}"));
    let output = as_role(&["--exclude-table", "sightings", "--exclude-table", "posts"]).ok();
    assert_eq!(Ledger::of(&output).total("rows"), 12);
    incident
        .live
        .run(&format!("drop owned by {role}; drop role {role}"));
}

/// A condition reads as it does in psql: by the search path that the role has in that database.
#[test]
fn a_condition_is_read_as_psql_reads_it() {
    let incident = Incident::new(
        "create extension citext;
         create schema app;
         create type app.mood as enum ('calm', 'cross');
         create table app.k (id int primary key, n int, k0 text, email citext, mood app.mood, \"K\" int);
         create function app.is_even(int) returns bool language sql as 'select $1 % 2 = 0';
         create table app.wanted (n int);
         insert into app.wanted values (1), (2), (3);
         insert into app.k select n, n, 'k' || n, 'User' || n || '@X', case when n > 3 then 'calm' else 'cross' end::app.mood, n
           from generate_series(1, 9) n",
        "delete from app.k where id <= 6",
    );
    let path = "alter database DB set search_path = app, public";
    for db in [&incident.live, &incident.snapshot] {
        db.run(&path.replace("DB", &db.name));
    }
    let conditions = [
        ("email = 'USER1@x'", 1),
        ("n > 4", 2),
        ("k.n > 4 and k0 = 'k5' and \"K\" = 5", 1),
        ("mood = 'calm'::mood", 3),
        ("is_even(id)", 3),
        ("id in (select n from wanted)", 3),
        ("id in (select k.n from k where k.n < 3)", 2),
        ("id in (select k.n from k where k.n < 3); -- ;", 2),
        ("k.xmin is not null and ctid is not null", 6),
        ("k is not null -- said at the end", 6),
    ];
    for (number, (condition, units)) in conditions.into_iter().enumerate() {
        let place = incident.case.file(&format!("bundle {number}"));
        let place = place.to_str().unwrap();
        let extracted = incident.extract(&["-o", place, "--root", "app.k", "--where", condition]);
        assert_eq!(extracted.total("units"), units, "{condition}");
    }
}

#[test]
fn a_condition_on_rows_without_a_key() {
    let incident = Incident::new(
        "create table k (n int, k0 text); insert into k select n, 'k' || n from generate_series(1, 9) n",
        "delete from k where n <= 6",
    );
    let extracted = incident.extract(&["--root", "k", "--where", "n > 4"]);
    assert_eq!(extracted.total("rows"), 2);
}

/// Names of ours stand beside the user's own.
#[test]
fn columns_with_names_that_the_program_uses() {
    let setup = "
        create table t (reinstate_n int primary key, n int unique, k int, k0 int, t int, key text, reinstate_k text);
        create table c (n int primary key, reinstate_n int not null references t on delete cascade, k0 int);
        create table bag (reinstate_n int, n int, place text);
        insert into t select n, n, n, n, n, n, n from generate_series(1, 9) n;
        insert into c select n, n, n from generate_series(1, 9) n;
        insert into bag select n, n, n from generate_series(1, 9) n";
    let loss = "delete from t where n <= 3; delete from bag where n <= 3";
    let incident = Incident::new(setup, loss);
    assert_eq!(incident.extract(&[]).total("rows"), 9);
    incident.plan();
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 9)]);
    assert_eq!(crate::support::dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 9)]);
}
