//! How often a suspected reference matches.

use super::{doctor, found, texts};
use crate::support::{database, pair};

#[test]
fn a_suspected_reference_is_measured() {
    let live = database();
    live.run(
        "create table users (id bigint primary key); insert into users select generate_series(1, 2000, 2);
         create table teams (id int primary key); insert into teams select generate_series(1, 9);
         create table flags (id uuid primary key);
         create table posts (id int primary key, user_id int, team_id int, flag_id uuid);
         insert into posts select n, n * 2 - 1, n + 5 from generate_series(1, 900) n",
    );
    let document = doctor(&live, &[]).ok().json();
    let mut said: Vec<(String, String)> = found(&document, "undeclared")
        .iter()
        .map(|f| {
            (
                f["text"].as_str().unwrap().to_owned(),
                f["level"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    said.sort();
    let of = |n: usize| {
        (
            said[n]
                .0
                .rsplit_once(" that no foreign key states ")
                .unwrap()
                .1,
            said[n].1.as_str(),
        )
    };
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(of(0), ("(no value to sample)", "warning"));
    assert_eq!(of(1), ("(4 of 900 values sampled match)", "note"));
    assert_eq!(of(2), ("(900 of 900 values sampled match)", "warning"));
}

#[test]
fn a_big_table_is_sampled() {
    let live = database();
    live.run(
        "create table users (id int primary key); insert into users select generate_series(1, 50000);
         create table posts (id int primary key, user_id int, body text);
         insert into posts select n, n % 50000 + 1, repeat('x', 400) from generate_series(1, 60000) n;
         analyze",
    );
    let text = &texts(&doctor(&live, &[]).ok().json(), "undeclared")[0];
    assert!(
        text.ends_with("(1000 of 1000 values sampled match)"),
        "{text}"
    );
}

#[test]
fn in_the_snapshot_where_there_is_one() {
    let (snapshot, live) = pair(
        "create table users (id int primary key); insert into users select generate_series(1, 100);
         create table posts (id int primary key, user_id int); insert into posts select n, n from generate_series(1, 100) n",
    );
    live.run("delete from users where id > 40");
    let alone = texts(&doctor(&live, &[]).ok().json(), "undeclared");
    assert!(
        alone[0].ends_with("(40 of 100 values sampled match)"),
        "{alone:?}"
    );
    let both = doctor(&live, &["--snapshot", &snapshot.conninfo()])
        .ok()
        .json();
    let both = texts(&both, "undeclared");
    assert!(
        both[0].ends_with("(100 of 100 values sampled match)"),
        "{both:?}"
    );
}

#[test]
fn kinds_of_owners_are_told_and_measured() {
    let live = database();
    live.run(
        "create table dossiers (id int primary key); insert into dossiers select generate_series(1, 50);
         create table champs (id uuid primary key); insert into champs values ('00000000-0000-0000-0000-000000000001');
         create table notes (id int primary key, owner_id text, owner_type text);
         insert into notes select n, n::text, 'Dossier' from generate_series(1, 60) n;
         insert into notes select 100 + n, '00000000-0000-0000-0000-000000000001', 'Champs::TextChamp'
           from generate_series(1, 20) n;
         insert into notes values (999, 'x', 'Stranger'), (998, 'no number', 'Dossier')",
    );
    let document = doctor(&live, &[]).ok().json();
    let text = &texts(&document, "polymorphic")[0];
    for part in [
        "Dossier → public.dossiers (50 of 61 values sampled match)",
        "Champs::TextChamp → public.champs (20 of 20 values sampled match)",
        "Stranger → no table of that name",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(texts(&document, "not_seen").is_empty(), "{document}");
}

#[test]
fn equality_of_an_extension_and_partitions() {
    let live = database();
    live.run(
        "create extension citext;
         create table labels (id citext primary key); insert into labels select 'L' || n from generate_series(1, 20) n;
         create table things (id int, label_id citext) partition by range (id);
         create table things_1 partition of things for values from (0) to (1000);
         insert into things select n, 'l' || n from generate_series(1, 20) n",
    );
    let document = doctor(&live, &[]).ok().json();
    let text = &texts(&document, "undeclared")[0];
    assert!(text.starts_with("public.things(label_id)"), "{text}");
    assert!(text.ends_with("(20 of 20 values sampled match)"), "{text}");
}
