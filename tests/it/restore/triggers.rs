//! `--triggers fire` and `--triggers suppress`: what fires, what is noticed of it, and what is verified where it does not.

mod suppressed;

use super::library::{LOST, incident};
use super::refused::plan_tells;
use super::{Incident, Ledger, journal_of};
use crate::support::{Output, dump};

/// The library, with a function that does `body` and these triggers; restored with `args`.
fn with_trigger(body: &str, triggers: &str, args: &[&str]) -> Incident {
    let incident = incident().with(args);
    incident.live.run(&format!(
        "create table log (what text, id text);
         create function act() returns trigger language plpgsql as $$ begin {body} end $$; {triggers}"
    ));
    incident
}

const FIRE: &[&str] = &["--triggers", "fire"];
const SUPPRESS: &[&str] = &["--triggers", "suppress"];
const LOGS: &str = "insert into log values (tg_name, new.id); return new;";

/// The one unit left out is that of book 4, and nothing of it is there.
fn book_4_is_left_out(incident: &Incident, output: Output, reason: &str) {
    Ledger::of(&output.expect_code(4)).expect(&[("inserted", LOST - 3), ("quarantined", 3)]);
    let left = incident.quarantine();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["root"]["key"][0], "4");
    let said = left[0]["reason"].as_str().unwrap();
    assert!(said.contains(reason), "{reason}: {said}");
    let live = &incident.live;
    assert_eq!(live.count("select count(*) from books"), 19);
    assert_eq!(live.count("select count(*) from chapters"), 38);
}

#[test]
fn they_fire_and_it_is_said_that_this_stays() {
    // Its function finds its table as the application does, and an effect at commit is in the journal too.
    let incident = with_trigger(
        LOGS,
        "create trigger first before insert on books for each row execute function act();
         create trigger always after insert on chapters for each row execute function act();
         alter table chapters enable always trigger always;
         create trigger replica after insert on chapters for each row execute function act();
         alter table chapters enable replica trigger replica;
         create function touch() returns trigger language plpgsql as
            $$ begin update books set note = note where id = new.id; return null; end $$;
         create constraint trigger late after insert on books deferrable initially deferred for each row execute function touch()",
        FIRE,
    );
    let plan = incident.plan();
    assert_eq!(plan.get("triggers"), "fire");
    let text = incident.for_people(&["restore", "--triggers", "fire"]).ok();
    for words in [
        "first calling public.act before insert, for each row",
        "not taken back by an undo",
    ] {
        assert!(text.stdout.contains(words), "{words}: {}", text.stdout);
    }
    let hint = format!(
        "--execute --triggers fire --plan {}",
        plan.get("plan_id").as_str().unwrap()
    );
    assert!(text.stderr.contains(&hint), "{}", text.stderr);
    let done = incident.restore().ok();
    assert!(
        done.stderr.contains("not taken back by an undo"),
        "{}",
        done.stderr
    );
    Ledger::of(&done).expect(&[("inserted", LOST)]);
    let fired = incident
        .live
        .query_text("select what, count(*) from log group by 1 order by 1");
    assert_eq!(fired, "always|20\nfirst|10");
    let recorded = "select settings ->> 'triggers' from reinstate.run";
    assert_eq!(incident.live.query_text(recorded), "fire");
    // Undo knows each row by the `xmin` that the last trigger left.
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert_eq!(incident.live.count("select count(*) from log"), 30);
}

#[test]
fn another_treatment_is_another_plan() {
    let incident = with_trigger(
        LOGS,
        "create trigger t before insert on books for each row execute function act()",
        &[],
    );
    let id = |args: &[&str]| {
        let plan = incident.run(&[&["restore"], args].concat()).ok().json();
        plan["plan_id"].as_str().unwrap().to_owned()
    };
    let (fire, suppress) = (id(FIRE), id(SUPPRESS));
    assert!(fire != suppress && fire != id(&[]));
    let refused = incident.restore_with(&["--triggers", "suppress", "--plan", &fire]);
    assert!(refused.expect_code(3).stderr.contains("out of date"));
    incident
        .restore_with(&["--triggers", "suppress", "--plan", &suppress])
        .ok();
    assert_eq!(incident.live.count("select count(*) from log"), 0);
}

#[test]
fn a_trigger_that_eats_a_row() {
    for (table, of) in [("books", "new.id = 4"), ("chapters", "new.book_id = 4")] {
        let incident = with_trigger(
            &format!("if {of} then return null; end if; return new;"),
            &format!(
                "create trigger eats before insert on {table} for each row execute function act()"
            ),
            FIRE,
        );
        let output = incident.restore();
        book_4_is_left_out(&incident, output, "eaten");
    }
}

/// Rows of tables that go in together, and rows without a key, are counted too.
#[test]
fn a_trigger_that_eats_a_staged_row() {
    let incident = Incident::new(
        "create table owners (id int primary key);
         create table bag (owner_id int references owners on delete cascade, v text);
         create table parts (owner_id int references owners on delete cascade, v text) partition by list (v);
         create table parts_all partition of parts default;
         create table self (id int primary key, owner_id int references owners on delete cascade, twin int not null);
         create table twin (id int primary key, self int not null references self);
         alter table self add foreign key (twin) references twin deferrable initially deferred;
         insert into owners select n from generate_series(1, 9) n;
         insert into bag select n, 'v' from generate_series(1, 9) n;
         insert into parts select n, 'v' from generate_series(1, 9) n;
         begin; insert into self select n, n, n from generate_series(1, 9) n; insert into twin select n, n from generate_series(1, 9) n; commit",
        "begin; delete from twin; delete from self; commit; delete from owners where id > 3",
    )
    .with(FIRE);
    incident.extract(&[]);
    incident.live.run(
        "create function eat() returns trigger language plpgsql as
            $$ begin if (to_jsonb(new) ->> tg_argv[0])::int = tg_argv[1]::int then return null; end if; return new; end $$;
         create trigger eats before insert on bag for each row execute function eat('owner_id', '4');
         create trigger eats before insert on twin for each row execute function eat('id', '5')",
    );
    let output = incident.restore().expect_code(4);
    let left = incident.quarantine();
    assert!(left.len() >= 2, "{left:?}");
    for unit in &left {
        let said = unit["reason"].as_str().unwrap();
        assert!(
            said.contains("eaten") || said.contains("depends on"),
            "{said}"
        );
    }
    assert_eq!(
        incident
            .live
            .count("select count(*) from bag where owner_id = 4"),
        0
    );
    let whole = "select count(*) from self s full join twin t on t.self = s.id where s.id is null or t.id is null";
    assert_eq!(incident.live.count(whole), 0);
    let inserted = Ledger::of(&output).total("inserted");
    let journalled = incident
        .live
        .count("select sum(inserted) from reinstate.batch_rows");
    assert_eq!(inserted as i64, journalled);
    // Of a partitioned table without a key nobody could tell.
    incident
        .live
        .run("create trigger eats before insert on parts_all for each row execute function eat('owner_id', '99')");
    let refused = incident.restore().expect_code(3);
    assert!(refused.stderr.contains("has no key"), "{}", refused.stderr);
}

#[test]
fn a_trigger_that_changes_the_key() {
    let incident = with_trigger(
        "if new.id = 4 then new.id = 1004; end if; return new;",
        "alter table chapters drop constraint chapters_book_id_fkey;
         create trigger renumbers before insert on books for each row execute function act()",
        FIRE,
    );
    let output = incident.restore();
    book_4_is_left_out(&incident, output, "other keys");
    assert_eq!(
        incident
            .live
            .count("select count(*) from books where id > 1000"),
        0
    );
}

#[test]
fn a_trigger_that_changes_the_row_is_noticed() {
    let incident = with_trigger(
        "if new.id < 4 then new.note = 'restored'; end if; return new;",
        "create trigger notes before insert on books for each row execute function act()",
        FIRE,
    );
    let done = incident.restore().ok();
    let ledger = Ledger::of(&done);
    ledger.expect(&[("inserted", LOST)]);
    assert_eq!(ledger.get("changed_by_triggers")["public.books"], 3);
    assert!(
        done.stderr
            .contains("triggers changed 3 rows of public.books"),
        "{}",
        done.stderr
    );
    let verified = Ledger::of(&incident.verify(&[]).ok());
    verified.expect(&[("identical", LOST - 3), ("changed_since", 3)]);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LOST)]);
    Ledger::of(
        &incident
            .undo_with(&[ledger.get("run").as_str().unwrap()])
            .ok(),
    )
    .expect(&[("removed", LOST)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn a_trigger_that_moves_a_row_without_a_key() {
    let incident = Incident::new(
        "create table bag (id int, v text); insert into bag select n, 'v' from generate_series(1, 9) n",
        "delete from bag where id > 6",
    )
    .with(FIRE);
    incident.extract(&[]);
    incident.live.run(
        "create function touch() returns trigger language plpgsql as
            $$ begin update bag set v = 'w' where id = new.id and id = 8; return null; end $$;
         create trigger touches after insert on bag for each row execute function touch()",
    );
    Ledger::of(&incident.restore().expect_code(4)).expect(&[("inserted", 2), ("quarantined", 1)]);
    assert_eq!(incident.live.count("select count(*) from bag"), 8);
}

#[test]
fn a_trigger_that_refuses_is_the_units_own_reason() {
    let incident = with_trigger(
        "if new.id = 4 then raise 'not this one'; end if; return new;",
        "create trigger refuses before insert on books for each row execute function act()",
        FIRE,
    );
    let output = incident.restore();
    let place = "not this one (PL/pgSQL function act() line 1 at RAISE)";
    book_4_is_left_out(&incident, output, place);
    let left = incident.quarantine();
    let retry = left[0]["retry"].as_str().unwrap();
    assert!(
        retry.contains(" --triggers fire --only-quarantined "),
        "{retry}"
    );
}

/// Whoever restores is told before that an undo will ask.
#[test]
fn triggers_on_delete_are_told_before() {
    let incident = with_trigger(
        "return coalesce(new, old);",
        "create trigger \"Farewell\" before insert or delete on books for each row execute function act()",
        SUPPRESS,
    );
    let text = incident
        .for_people(&["restore", "--triggers", "suppress"])
        .ok();
    let words =
        "an undo will ask what becomes of these triggers on DELETE: Farewell calling public.act";
    assert!(text.stdout.contains(words), "{}", text.stdout);
    incident.restore().ok();
    assert!(incident.undo().expect_code(3).stderr.contains("Farewell"));
    incident.live.run("alter table books disable trigger user");
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// A run goes on with what was said last.
#[test]
fn a_run_that_goes_on_may_treat_them_otherwise() {
    let incident = with_trigger(
        LOGS,
        "create trigger logs before insert on books for each row execute function act()",
        &[],
    );
    let first = ["--triggers", "fire", "--max-units", "2"];
    incident.restore_with(&first).expect_code(4);
    let refused = incident.restore().expect_code(3);
    assert!(
        refused.stderr.contains("--triggers fire"),
        "{}",
        refused.stderr
    );
    incident.restore_with(SUPPRESS).ok();
    assert_eq!(incident.live.count("select count(*) from log"), 2);
    let recorded = "select settings ->> 'triggers', state from reinstate.run";
    assert_eq!(incident.live.query_text(recorded), "suppress|done");
}

#[test]
fn a_role_that_works_as_a_replica_is_refused() {
    let incident = incident();
    let role = format!("replica_{}", incident.live.name);
    incident.live.run(&format!(
        "create role {role} superuser login; alter role {role} set session_replication_role = replica"
    ));
    let mut command = incident.restore_command(&[]);
    command.env("REINSTATE_LIVE", incident.live.conninfo_as(&role));
    let output = Output::from(command.output().unwrap()).expect_code(3);
    assert!(
        output.stderr.contains("session_replication_role = replica"),
        "{}",
        output.stderr
    );
    assert_eq!(journal_of(&incident.live), "");
    incident.live.run(&format!("drop role {role}"));
}

#[test]
fn a_trigger_is_accepted_by_name() {
    let incident = with_trigger(
        LOGS,
        "create trigger \"Always\" after insert on books for each row execute function act();
         alter table books enable always trigger \"Always\";
         create trigger ordinary after insert on chapters for each row execute function act();
         create trigger replica after insert on chapters for each row execute function act();
         alter table chapters enable replica trigger replica",
        SUPPRESS,
    );
    let (always, replica) = ("public.books.\"Always\"", "public.chapters.replica");
    let after_loss = dump(&incident.live);
    let incident = Incident {
        after_loss,
        ..incident
    };
    // As it is to be typed.
    let words = "--accept-trigger 'public.books.\"Always\"'";
    let said = incident.restore().expect_code(3).stderr;
    assert!(said.contains(words) && said.contains(replica), "{said}");
    let half = incident
        .restore_with(&["--accept-trigger", always])
        .expect_code(3);
    assert!(!half.stderr.contains("Always"), "{}", half.stderr);
    let wrong = incident
        .restore_with(&["--accept-trigger", "public.books.always"])
        .expect_code(2);
    assert!(
        wrong.stderr.contains("no table that is written to"),
        "{}",
        wrong.stderr
    );
    let fire = ["restore", "--triggers", "fire", "--accept-trigger", always];
    incident.run(&fire).expect_code(2);
    assert_eq!(journal_of(&incident.live), "");
    let both = ["--accept-trigger", always, "--accept-trigger", replica];
    Ledger::of(&incident.restore_with(&both).ok()).expect(&[("inserted", LOST)]);
    let fired = incident
        .live
        .query_text("select what, count(*) from log group by 1 order by 1");
    assert_eq!(fired, "Always|10\nreplica|20");
    let recorded = "select jsonb_array_length(settings -> 'accepted_triggers') from reinstate.run";
    assert_eq!(incident.live.count(recorded), 2);
}

/// A table of which no trigger is to be suppressed is checked by the server: a trigger for replicas does not fire there.
#[test]
fn a_trigger_for_replicas_alone_needs_no_word() {
    let incident = with_trigger(
        LOGS,
        "create trigger replica after insert on chapters for each row execute function act();
         alter table chapters enable replica trigger replica;
         create trigger ordinary after insert on books for each row execute function act()",
        SUPPRESS,
    );
    incident.restore().ok();
    assert_eq!(incident.live.count("select count(*) from log"), 0);
    plan_nothing(&incident);
}

fn plan_nothing(incident: &Incident) {
    let plan = incident.plan();
    plan.expect(&[("already_present", LOST)]);
}

#[test]
fn nothing_said_is_refused_with_both_ways_out() {
    let incident = incident();
    incident.live.run(
        "create function act() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger t after insert on books for each statement execute function act()",
    );
    let words = [
        "t calling public.act after insert, for each statement",
        "--triggers fire",
        "--triggers suppress",
    ];
    plan_tells(&incident, "public.books", &words);
}

/// It fires before the server has read anything of the rows, when our own protocol is between two steps.
#[test]
fn one_that_refuses_a_whole_statement() {
    let incident = with_trigger(
        "if exists (select from public.log) then return null; end if; raise 'closed today';",
        "create trigger closed before insert on books for each statement execute function act()",
        FIRE,
    );
    let output = incident.restore();
    Ledger::of(&output.expect_code(4)).expect(&[("quarantined", LOST)]);
    let left = incident.quarantine();
    assert_eq!(left.len(), 10);
    for unit in &left {
        let said = unit["reason"].as_str().unwrap();
        assert!(said.contains("closed today"), "{said}");
        assert_eq!(unit["sqlstate"], "P0001");
    }
    assert_eq!(incident.live.count("select count(*) from books"), 10);
    incident.live.run("insert into log values ('open')");
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST)]);
}
