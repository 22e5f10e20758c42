//! People go on working with what came back: it is theirs again.

use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::dump;

fn restored() -> Incident {
    let incident = incident();
    incident.restore().ok();
    incident
}

#[test]
fn what_people_edited_or_deleted_is_left_as_it_is() {
    let incident = restored();
    incident.live.run(
        "update books set note = 'edited', owner_id = 4 where id = 3;
         update chapters set title = title where id = 4;
         delete from chapters where id = 22;
         delete from books where id = 5",
    );
    let now = dump(&incident.live);
    // Book 5 with its two chapters, and chapter 22.
    incident
        .plan_over(&now)
        .expect(&[("already_present", LOST - 4), ("gone_since", 4)]);
    let again = Ledger::of(&incident.restore().ok());
    again.expect(&[("already_present", LOST - 4), ("gone_since", 4)]);
    assert_eq!(dump(&incident.live), now);
    let expected = [
        ("identical", LOST - 5),
        ("changed_since", 1),
        ("gone_since", 4),
    ];
    Ledger::of(&incident.verify(&[]).ok()).expect(&expected);
    Ledger::of(&incident.verify(&["--strict"]).expect_code(1)).expect(&expected);
}

#[test]
fn a_bag_of_rows_is_not_filled_up_again() {
    let incident = Incident::new(
        "create table bag (a int, b text);
         insert into bag select n % 3, 'row' from generate_series(1, 30) n",
        "delete from bag where a = 1",
    );
    incident.extract(&[]);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 10)]);
    assert_eq!(dump(&incident.live), incident.before);
    incident
        .live
        .run("delete from bag where ctid in (select ctid from bag where a = 1 limit 4)");
    let now = dump(&incident.live);
    incident.restore().ok();
    assert_eq!(dump(&incident.live), now);
    Ledger::of(&incident.verify(&[]).ok()).expect(&[("identical", 6), ("gone_since", 4)]);
}

#[test]
fn before_a_restore_everything_is_missing() {
    let incident = incident();
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("missing", LOST)]);
    assert_eq!(
        verified.get("absent").as_array().unwrap().len() as u64,
        LOST
    );
    assert_eq!(super::journal_of(&incident.live), "");
}

/// In a table without a key, a row that was edited is missing just as a deleted one is: it comes back only with a parent
/// that was deleted, or when somebody asks for it.
#[test]
fn an_edited_row_without_a_key_is_not_taken_for_deleted() {
    let setup = "create table parents (id int primary key);
         create table notes (parent_id int not null references parents on delete cascade, body text);
         insert into parents select generate_series(1, 10);
         insert into notes select 1 + n % 10, 'note ' || n from generate_series(1, 40) n";
    let loss =
        "delete from parents where id <= 3; update notes set body = 'edited' where parent_id = 7";
    let incident = Incident::new(setup, loss);
    let extracted = incident.extract(&[]);
    assert_eq!((extracted.total("rows"), extracted.total("units")), (15, 3));
    let left = &extracted.get("left_out")[0];
    assert_eq!(left["rows"], 4, "{left}");
    assert!(
        left["reason"].as_str().unwrap().contains("edited"),
        "{left}"
    );
    incident.restore().ok();
    let live = &incident.live;
    assert_eq!(live.count("select count(*) from notes"), 40);
    assert_eq!(
        live.count("select count(*) from notes where body = 'edited'"),
        4
    );
}

/// What was not compared is said: a certificate must not speak of columns that live has lost.
#[test]
fn columns_that_live_lost_are_named() {
    let incident = Incident::new(
        "create table t (id int primary key, kept text, dropped text);
         insert into t select n, 'a', 'b' from generate_series(1, 5) n",
        "delete from t where id < 3; alter table t drop column dropped",
    );
    incident.extract(&[]);
    incident.restore().ok();
    let output = incident.verify(&[]).ok();
    let verified = Ledger::of(&output);
    assert_eq!(
        verified.get("not_compared").to_string(),
        "[{\"table\":\"public.t\",\"columns\":[\"dropped\"],\"reason\":\"live no longer has it\"}]"
    );
}
