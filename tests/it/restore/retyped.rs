//! Columns whose values have no one form in the type that they have in live by now.

use super::refused::plan_tells;
use super::{Incident, Ledger};
use crate::support::{copy_database, dump};

const THINGS: &str = "
    create table things (id int primary key, parent int references things, doc json, docs json[], n int, ratio real, price numeric(10, 2),
                         size float8, code text, flag text, ok bool, token text, note varchar(40));
    insert into things
      select n, nullif(n / 10, 0), json_build_object('b', n, 'a', 'x' || n), null, n, n / 3.0, n + 0.25, n / 7.0, ' 0' || n, 'yes', n % 2 = 0,
             upper(md5(n::text)), case when n % 7 > 0 then 'it is ' || n || e'\t\\\\' end
        from generate_series(1, 1500) n;
    create table tags (thing int, doc json);
    insert into tags select n, '{ \"z\": 1,  \"a\": 2 }' from generate_series(1, 20) n, generate_series(1, 2)";

/// As a migration does it.
const MIGRATION: &str = "
    alter table things alter doc type jsonb, alter n type text, alter ratio type float8, alter price type numeric(10, 1), alter size type int,
      alter code type int using code::int, alter flag type bool using flag::bool, alter ok type text, alter token type uuid using token::uuid;
    alter table tags alter doc type jsonb";

/// Each value is what the migration would have made of it, whether the rows come in one transaction or in parts.
#[test]
fn what_the_server_can_cast() {
    for args in [&[][..], &["--max-unit-rows", "100"]] {
        let incident = Incident::new(
            THINGS,
            "delete from things where id > 3; delete from tags where thing > 4",
        )
        .with(args);
        incident.extract(&[]);
        incident.live.run(MIGRATION);
        let migrated = copy_database(&incident.snapshot);
        migrated.run(MIGRATION);
        let (after_loss, expected) = (dump(&incident.live), dump(&migrated));
        let incident = Incident {
            after_loss,
            ..incident
        };
        let plan = incident.plan();
        let told = plan.get("checks")["public.things"]["retyped_columns"].to_string();
        assert!(told.contains("jsonb") && told.contains("uuid"), "{told}");
        let rows = 1497 + 32;
        for _ in 0..2 {
            let done = Ledger::of(&incident.restore().ok());
            done.expect(&[("inserted", rows)]);
            assert_eq!(dump(&incident.live), expected);
            Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", rows)]);
            let again = Ledger::of(&incident.restore().ok());
            again.expect(&[("already_present", rows)]);
            incident.undo().ok();
            assert_eq!(dump(&incident.live), incident.after_loss);
        }
    }
}

/// A value that the server does not cast keeps its unit out, as the plan says, and no other.
#[test]
fn what_the_server_cannot_cast() {
    let incident = Incident::new(
        "create table codes (id int primary key, code text, doc text);
         insert into codes select n, n::text, '[' || n || ']' from generate_series(1, 100) n;
         update codes set code = 'none' where id in (7, 50); update codes set doc = '[' where id = 60;
         update codes set code = null where id = 8",
        "delete from codes where id > 5",
    );
    incident.extract(&[]);
    incident.live.run(
        "alter table codes alter code type bigint using code::bigint, alter doc type jsonb using doc::jsonb",
    );
    let incident = Incident {
        after_loss: dump(&incident.live),
        ..incident
    };
    let states = [("inserted", 92), ("quarantined", 3)];
    incident.plan().expect(&states);
    Ledger::of(&incident.restore().expect_code(4)).expect(&states);
    let left: Vec<String> = incident
        .quarantine()
        .iter()
        .map(|q| q["root"]["key"][0].to_string())
        .collect();
    assert_eq!(left, ["\"7\"", "\"50\"", "\"60\""]);
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("identical", 92), ("quarantined", 3)]);
}

/// A value could come back as another: the time of a clock that stood in Paris, a text that was cut off.
#[test]
fn a_column_whose_values_would_be_others() {
    for (column, to) in [("at", "timestamptz"), ("code", "char(3)"), ("day", "date")] {
        let incident = Incident::new(
            "create table events (id int primary key, at timestamp, code char(5), day text);
             create table others (id int primary key);
             insert into events select n, '2020-07-01 12:00', 'c' || n, '2020-07-01' from generate_series(1, 5) n;
             insert into others select n from generate_series(1, 5) n",
            "delete from events where id <= 2; delete from others where id <= 2",
        );
        incident.extract(&[]);
        incident.live.run(&format!(
            "alter table others add column note text; set timezone = 'Europe/Paris';
             alter table events alter {column} type {to} using {column}::{to}"
        ));
        let incident = Incident {
            after_loss: dump(&incident.live),
            ..incident
        };
        plan_tells(&incident, "public.events", &[column]);
        // Nothing is certified of such a column.
        let verified = incident.verify(&[]).expect_code(1).json();
        let left = verified["not_compared"].to_string();
        assert!(
            left.contains(column) && left.contains("another type"),
            "{left}"
        );
        // What cannot be looked up by its key is refused at once.
        incident.live.run("alter table others alter id type text");
        incident.restore().expect_code(3);
    }
}
