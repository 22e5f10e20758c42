//! Units that came in parts as far as they could, and are tried once more; and what parts leave undecided.

use super::{LARGE, SMALL, incident};
use crate::restore::{Incident, Ledger};
use crate::support::dump;

/// What has come is there, and counted so, whatever is in the way of the rest and however often it is tried.
#[test]
fn what_has_come_is_not_left_out_again() {
    let incident = incident();
    incident.live.run(
        "create function fits(id int) returns bool language plpgsql as
           $$ begin if id = 150 then raise 'not this one'; end if; return true; end $$;
         alter table champs add constraint fits check (fits(id)) not valid",
    );
    incident.restore().expect_code(4);
    incident.live.run(
        "insert into dossiers values (9, 'new'); insert into champs values (9000, 9, 'value 290')",
    );
    let states = [
        ("already_present", SMALL + 120),
        ("quarantined", LARGE - 120),
    ];
    for _ in 0..2 {
        incident.plan().expect(&states);
        Ledger::of(&incident.restore().expect_code(4)).expect(&states);
        let left = incident.quarantine();
        let reason = left[0]["reason"].as_str().unwrap();
        assert!(reason.contains("120 rows of it have come back"), "{reason}");
    }
    incident.live.run(
        "alter table champs drop constraint fits; delete from champs where id = 9000; delete from dossiers where id = 9",
    );
    let done = Ledger::of(&incident.restore().ok());
    done.expect(&[("already_present", SMALL + 120), ("inserted", LARGE - 120)]);
    assert_eq!(dump(&incident.live), incident.before);
}

/// Within a circle, a unit in parts decides nothing about a row that is taken: the plan knows.
#[test]
fn rows_of_a_circle_are_not_resolved_in_parts() {
    for how in ["remap", "skip"] {
        let incident = Incident::new(
            "create table c (id int primary key, up int references c on delete cascade, code text unique);
             insert into c select n, nullif(n - 1, 0), 'code ' || n from generate_series(1, 60) n",
            "delete from c where id = 1",
        )
        .with(&["--max-unit-rows", "20", "--on-conflict", how]);
        incident.extract(&[]);
        incident
            .live
            .run("insert into c values (100, null, 'code 40')");
        let incident = Incident {
            after_loss: dump(&incident.live),
            ..incident
        };
        let plan = incident.plan();
        plan.expect(&[("quarantined", 60)]);
        let reason = plan.get("left_out")[0]["reason"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(reason.starts_with("public.c 40: its value"), "{reason}");
        assert!(reason.contains("neither remapped nor skipped"), "{reason}");
        let id = plan.get("plan_id").as_str().unwrap();
        let done = Ledger::of(&incident.restore_with(&["--plan", id]).expect_code(4));
        done.expect(&[("quarantined", 60)]);
        assert_eq!(done.get("prediction")["held"], true);
        assert_eq!(incident.quarantine()[0]["reason"], reason.as_str());
        assert_eq!(dump(&incident.live), incident.after_loss);
    }
}

/// A reference whose row has gone again before it could be filled is named, with a row and the columns, and filled once that is there.
#[test]
fn a_reference_that_cannot_be_filled_is_named() {
    let incident = Incident::new(
        "create table a (id int primary key, b int);
         create table b (id int primary key, a int not null references a);
         alter table a add foreign key (b) references b; create index on a (b); create index on b (a);
         insert into a select n, null from generate_series(1, 30) n; insert into b select n, 1 + n % 30 from generate_series(1, 30) n;
         update a set b = id;
         create function gone() returns trigger language plpgsql as
           $$ begin if new.b = 7 then raise 'not yet'; end if; return new; end $$;
         create trigger gone before update on a for each row execute function gone()",
        "truncate a, b",
    )
    .with(&["--max-unit-rows", "10", "--triggers", "fire"]);
    incident.extract(&[]);
    let done = Ledger::of(&incident.restore().expect_code(4));
    done.expect(&[("inserted", 60)]);
    let unfilled = done.get("unfilled");
    assert_eq!(unfilled.as_array().unwrap().len(), 1, "{unfilled}");
    assert_eq!(unfilled[0]["table"], "public.a");
    assert_eq!(unfilled[0]["columns"], serde_json::json!(["b"]));
    let text = incident.for_people(
        &[
            &["restore", "--execute", "--unrehearsed", "a test"],
            &["--max-unit-rows", "10", "--triggers", "fire"][..],
        ]
        .concat(),
    );
    let text = text.expect_code(4).stderr;
    for words in [
        "b of public.a stays NULL in",
        "is done but for references that stay NULL",
        "runs/",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    incident.live.run("alter table a disable trigger gone");
    let done = Ledger::of(&incident.restore().ok());
    assert_eq!(done.get("unfilled"), &serde_json::json!([]));
    incident.live.run("alter table a enable trigger gone");
    assert_eq!(dump(&incident.live), incident.before);
}
