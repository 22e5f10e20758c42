//! `--on-conflict remap`: references of every shape are pointed to the live row, or the unit is left out and says why.

use super::{Incident, Ledger};
use crate::support::{Output, dump};

fn remap(incident: &Incident) -> Output {
    incident.restore_with(&["--on-conflict", "remap"])
}

fn reason(incident: &Incident) -> String {
    let left = incident.quarantine();
    left[0]["reason"].as_str().unwrap().to_owned()
}

/// A reference by another unique column, and one by two columns.
#[test]
fn references_by_other_columns() {
    let incident = Incident::new(
        "create table shops (id int primary key, code text unique, country text, number int, created_at date default '2020-01-01', unique (country, number));
         create table orders (id int primary key, shop text not null references shops (code) on delete cascade);
         create table staff (id int primary key, country text, number int, name text,
                             foreign key (country, number) references shops (country, number) on delete cascade);
         insert into shops select n, 'tab\there ' || n, 'fr', n from generate_series(1, 3) n;
         insert into orders select n, 'tab\there ' || 1 + n % 3 from generate_series(1, 6) n;
         insert into staff select n, 'fr', 1 + n % 3, 'staff' from generate_series(1, 6) n",
        "delete from shops where id = 2",
    );
    incident.extract(&[]);
    incident
        .live
        .run("insert into shops values (2, E'new\\tcode', 'de', 7)");
    let after_loss = dump(&incident.live);
    Ledger::of(&remap(&incident).ok()).expect(&[("inserted", 4), ("remapped", 1)]);
    let held = incident.live.query_text(
        "select (select count(*) from orders where shop = E'new\\tcode'), (select count(*) from staff where country = 'de' and number = 7)",
    );
    assert_eq!(held, "2|2");
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 4), ("remapped", 1)]);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 4)]);
    assert_eq!(dump(&incident.live), after_loss);
}

/// A row that refers to itself, and rows below it.
#[test]
fn references_to_oneself() {
    let incident = Incident::new(
        "create table pages (id int primary key, up int references pages on delete cascade, slug text unique);
         insert into pages values (1, null, 'root'), (2, 1, 'a'), (3, 2, 'b'), (4, 3, 'c'), (5, 5, 'self')",
        "delete from pages where id > 1",
    );
    incident.extract(&[]);
    incident
        .live
        .run("insert into pages values (30, 1, 'b'), (50, 50, 'self')");
    Ledger::of(&remap(&incident).ok()).expect(&[("inserted", 2), ("remapped", 2)]);
    let rows = incident
        .live
        .query_text("select id, up from pages order by 1");
    assert_eq!(rows, "1|\n2|1\n4|30\n30|1\n50|50");
}

/// Of numbers several texts mean one value: nobody can tell from the bundle who refers to the row.
#[test]
fn references_that_texts_do_not_tell_are_not_followed() {
    for policy in ["remap", "skip"] {
        let incident = Incident::new(
            "create table users (id numeric primary key, email text unique);
             create table posts (id int primary key, user_id numeric not null references users on delete cascade);
             insert into users select n, 'mail ' || n from generate_series(1, 3) n;
             insert into posts select n, (1 + n % 3)::numeric(10, 1) from generate_series(1, 6) n",
            "delete from users where id = 2",
        );
        incident.extract(&[]);
        incident.live.run("insert into users values (9, 'mail 2')");
        let done = incident
            .restore_with(&["--on-conflict", policy])
            .expect_code(4);
        Ledger::of(&done).expect(&[("quarantined", 3)]);
        let reason = reason(&incident);
        assert!(
            reason.contains("of which several texts mean the same"),
            "{reason}"
        );
    }
}

/// What refers by a column in which the live row has nothing has nothing to refer to.
#[test]
fn a_live_row_that_cannot_be_referred_to() {
    let incident = Incident::new(
        "create table shops (id int primary key, code text unique, created_at date default '2020-01-01');
         create table orders (id int primary key, shop text not null references shops (code) on delete cascade);
         insert into shops select n, 'code ' || n from generate_series(1, 3) n;
         insert into orders select n, 'code ' || 1 + n % 3 from generate_series(1, 6) n",
        "delete from shops where id = 2",
    );
    incident.extract(&[]);
    incident.live.run("insert into shops values (2, null)");
    Ledger::of(&remap(&incident).expect_code(4)).expect(&[("quarantined", 3)]);
    let reason = reason(&incident);
    assert!(reason.contains("has no unique value in code"), "{reason}");
}

/// A parent that is gone is no conflict over a value: the unit is left out under every policy.
#[test]
fn a_parent_that_is_gone_is_not_passed_over() {
    for policy in ["remap", "skip"] {
        let incident = super::library::incident();
        incident
            .live
            .run("delete from books where owner_id = 3; delete from owners where id = 3");
        let done = incident
            .restore_with(&["--on-conflict", policy])
            .expect_code(4);
        let lost = super::library::LOST;
        Ledger::of(&done).expect(&[("inserted", lost - 6), ("quarantined", 6)]);
    }
}

/// A journal of an earlier version has no table for what is resolved: it is added when it is needed.
#[test]
fn an_older_journal_gets_the_table() {
    let incident = super::library::incident();
    incident.restore_with(&["--max-units", "10"]).ok();
    incident.undo().ok();
    incident.live.run(
        "drop table reinstate.resolved, reinstate.relinked, reinstate.unlinked;
         delete from reinstate.version where version > 3; insert into reinstate.version values (4);
         insert into books values (100, 1, 'isbn 4', 1)",
    );
    let table = "select to_regclass('reinstate.resolved') is not null";
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    assert_eq!(incident.live.query_text(table), "f");
    let done = incident.restore_with(&["--on-conflict", "skip"]).ok();
    assert_eq!(incident.live.query_text(table), "t");
    let lost = super::library::LOST;
    Ledger::of(&done).expect(&[("inserted", lost - 3), ("skipped", 3)]);
    assert_eq!(
        incident
            .live
            .query_text("select max(version) from reinstate.version"),
        "5"
    );
}

/// Under the same key can be the row itself, put back and edited, or a stranger, to whom nothing must be given.
#[test]
fn a_stranger_under_the_same_key_takes_nothing() {
    let played = |columns: &str, live: &str| {
        let incident = Incident::new(
            &format!(
                "create table users (id int primary key, name text, {columns});
                 create table posts (id int primary key, user_id int not null references users on delete cascade);
                 insert into users select n, 'name', 'mail ' || n from generate_series(1, 3) n;
                 insert into posts select n, 1 + n % 3 from generate_series(1, 6) n"
            ),
            "delete from users where id = 2",
        );
        incident.extract(&[]);
        incident
            .live
            .run(&format!("insert into users values (2, 'new', {live})"));
        let plan = Ledger::of(&incident.run(&["restore", "--on-conflict", "remap"]).ok());
        let done = Ledger::of(&remap(&incident));
        assert_eq!(done.total("quarantined"), plan.total("quarantined"));
        (
            done.total("remapped"),
            incident.case.read("quarantine.jsonl"),
        )
    };
    let same = [
        ("email text", "'other'"),
        ("email text unique", "'mail 2'"),
        (
            "email text unique, created_at date default '2020-01-01'",
            "'other'",
        ),
        (
            "email text unique, phone text unique default 'x' || random()",
            "'mail 2', 'other'",
        ),
    ];
    for (columns, live) in same {
        assert_eq!(played(columns, live).0, 1, "{columns}");
    }
    let strangers = [
        ("email text unique", "'other'", "email differ"),
        (
            "email text unique, created_at date default '2020-01-01'",
            "'mail 2', '2021-01-01'",
            "created_at differ",
        ),
        (
            "email text unique, phone text unique default 'x' || random()",
            "'other', 'other'",
            "email, phone differ",
        ),
    ];
    for (columns, live, says) in strangers {
        let (remapped, left) = played(columns, live);
        assert_eq!(remapped, 0, "{columns}");
        assert!(left.contains(says), "{left}");
        assert!(!left.contains("mail 2"), "a value: {left}");
    }
}
