//! Something is in the way: the unit is left out, whole and with the reason, and the rest goes on.

use serde_json::Value;

use super::library::{LOST, incident};
use super::{Incident, Ledger, difference};
use crate::support::dump;

/// What is in the way of a unit, and how it must be told.
struct Obstacle {
    /// Run on live between `extract` and `restore`.
    sql: &'static str,
    /// Key of the book that is left out.
    book: &'static str,
    sqlstate: &'static str,
    /// In the reason.
    says: &'static str,
}

/// Restores the library with an obstacle in the way, and checks that exactly its unit is left out.
fn leaves_out(obstacle: &Obstacle) -> Incident {
    let incident = incident();
    incident.live.run(obstacle.sql);
    let now = dump(&incident.live);
    let plan = incident.plan_over(&now);
    plan.expect(&[("inserted", LOST - 3), ("quarantined", 3)]);

    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", LOST - 3), ("quarantined", 3)]);
    let left = incident.quarantine();
    assert_eq!(left.len(), 1, "{left:#?}");
    told(&left[0], obstacle);

    // Nothing that was in live is other than it was, and nothing of the unit is there.
    let (gone, new) = difference(&now, &dump(&incident.live));
    assert_eq!(gone, Vec::<String>::new());
    assert_eq!(new.len() as u64, LOST - 3);
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("identical", LOST - 3), ("quarantined", 3)]);
    let again = Ledger::of(&incident.restore().expect_code(4));
    again.expect(&[("already_present", LOST - 3), ("quarantined", 3)]);
    incident
}

fn told(left: &Value, obstacle: &Obstacle) {
    assert_eq!(left["root"]["table"], "public.books");
    assert_eq!(left["root"]["key"], serde_json::json!([obstacle.book]));
    assert_eq!(left["sqlstate"], obstacle.sqlstate, "{left}");
    let reason = left["reason"].as_str().unwrap();
    assert!(reason.contains(obstacle.says), "{reason}");
    assert!(!reason.contains("isbn 4"), "a row's value: {reason}");
    assert_eq!(
        left["rows"],
        serde_json::json!({"public.books": 1, "public.chapters": 2})
    );
}

#[test]
fn a_root_whose_key_was_given_to_another_row() {
    let incident = leaves_out(&Obstacle {
        sql: "insert into books values (4, 2, 'other', 1, 'another book')",
        book: "4",
        sqlstate: "23505",
        says: "public.books 4 exists in live with other content",
    });
    // Once the way is free, the unit comes too.
    incident
        .live
        .run("delete from books where note = 'another book'");
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", 3), ("already_present", LOST - 3)]);
    assert_eq!(dump(&incident.live), incident.before);
    assert_eq!(incident.case.read("quarantine.jsonl"), "");
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST)]);
}

#[test]
fn a_dependent_whose_key_was_given_to_another_row() {
    leaves_out(&Obstacle {
        sql: "insert into chapters values (23, 15, 'another chapter')",
        book: "4",
        sqlstate: "23505",
        says: "public.chapters 23 exists in live with other content",
    });
}

#[test]
fn a_unique_value_that_was_claimed() {
    leaves_out(&Obstacle {
        sql: "insert into books values (100, 1, 'isbn 4', 1)",
        book: "4",
        sqlstate: "23505",
        says: "under unique books_isbn (isbn) now belongs to row 100",
    });
}

#[test]
fn a_check_that_is_new() {
    leaves_out(&Obstacle {
        sql: "alter table books add constraint no_thin_books check (pages <> 4)",
        book: "4",
        sqlstate: "23514",
        says: "violates check constraint \"no_thin_books\"",
    });
}

#[test]
fn a_column_that_no_longer_takes_null() {
    leaves_out(&Obstacle {
        sql: "alter table books alter note set not null",
        book: "8",
        sqlstate: "23502",
        says: "null value in column \"note\"",
    });
}

#[test]
fn an_exclusion_constraint() {
    leaves_out(&Obstacle {
        sql: "insert into books values (100, 1, 'new', 1, 'new', '[44, 46)')",
        book: "4",
        sqlstate: "23P01",
        says: "under exclusion constraint books_shelf (shelf) now belongs to row 100",
    });
}

#[test]
fn a_partial_unique_index() {
    leaves_out(&Obstacle {
        sql: "insert into books values (100, 1, 'new', 4);
              create unique index books_partial on books (pages) where pages < 5",
        book: "4",
        sqlstate: "23505",
        says: "under unique books_partial (pages) now belongs to row 100",
    });
}

#[test]
fn a_value_that_live_no_longer_takes() {
    leaves_out(&Obstacle {
        sql: "create type note_kind as enum ('note 1', 'note 2', 'note 3', 'note 5', 'note 6', 'note 7', 'note 9', 'note 10',
                  'note 11', 'note 12', 'note 13', 'note 14', 'note 15', 'note 16', 'note 17', 'note 18', 'note 19', 'note 20');
              alter table books alter note type note_kind using note::note_kind",
        book: "4",
        sqlstate: "22P02",
        says: "invalid input value for enum",
    });
}

#[test]
fn a_parent_that_was_deleted_meanwhile() {
    let incident = incident();
    incident
        .live
        .run("delete from books where owner_id = 3; delete from owners where id = 3");
    // Books 2 and 7 were theirs.
    incident
        .plan()
        .expect(&[("inserted", LOST - 6), ("quarantined", 6)]);
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", LOST - 6), ("quarantined", 6)]);
    for left in incident.quarantine() {
        assert_eq!(left["sqlstate"], "23503");
        let reason = left["reason"].as_str().unwrap();
        assert!(
            reason.contains("public.owners 3, which it references, is no longer in live"),
            "{reason}"
        );
    }
    let roots: Vec<String> = incident
        .quarantine()
        .iter()
        .map(|l| l["root"]["key"][0].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roots, ["2", "7"]);
}

#[test]
fn several_at_once_each_with_its_own_reason() {
    let incident = incident();
    incident.live.run(
        "insert into books values (2, 2, 'other', 1);
         insert into books values (100, 1, 'isbn 4', 1);
         alter table books add constraint no_thin_books check (pages not in (5, 6)) not valid;
         insert into chapters values (26, 15, 'another chapter')",
    );
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", LOST - 15), ("quarantined", 15)]);
    let left = incident.quarantine();
    let told: Vec<(&str, &str)> = left
        .iter()
        .map(|l| {
            (
                l["root"]["key"][0].as_str().unwrap(),
                l["sqlstate"].as_str().unwrap(),
            )
        })
        .collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("2", "23505"),
            ("4", "23505"),
            ("5", "23514"),
            ("6", "23514"),
            ("7", "23505")
        ]
    );
    let units = incident
        .live
        .query_text("select count(*) from reinstate.quarantined");
    assert_eq!(units, "5");
    Ledger::of(&incident.verify(&[]).expect_code(1))
        .expect(&[("identical", LOST - 15), ("quarantined", 15)]);
}

#[test]
fn rows_that_came_back_by_another_way_are_present_already() {
    let incident = incident();
    incident.live.run(
        "insert into books select n, 1 + n % 5, 'isbn ' || n, n, 'note ' || n, int4range(10 * n, 10 * n + 5) from generate_series(4, 5) n;
         insert into chapters values (23, 4, 'chapter 23')",
    );
    incident
        .plan()
        .expect(&[("inserted", LOST - 3), ("already_present", 3)]);
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", LOST - 3), ("already_present", 3)]);
    assert_eq!(dump(&incident.live), incident.before);
    // What was there is not ours to take back.
    let keys = incident.live.query_text(
        "select unnest(keys) from reinstate.batch_rows where table_name = 'public.books'",
    );
    assert!(
        !keys.lines().any(|k| k == "[\"4\"]" || k == "[\"5\"]"),
        "{keys}"
    );
}

/// A row that somebody put back by hand is its own holder of every unique value, however its key is written as text.
#[test]
fn what_came_back_by_hand_is_in_nobodys_way() {
    let incident = Incident::new(
        "create table seats (free boolean, code char(4), at inet, holder text unique, primary key (free, code, at));
         insert into seats select n % 2 = 0, 'c' || n, '10.0.0.1', 'holder ' || n from generate_series(1, 9) n",
        "delete from seats where holder <= 'holder 4'",
    );
    incident.extract(&[]);
    incident
        .live
        .run("insert into seats values (true, 'c2', '10.0.0.1', 'holder 2')");
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", 3), ("already_present", 1)]);
    assert_eq!(dump(&incident.live), incident.before);
}
