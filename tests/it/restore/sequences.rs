//! Sequences that stand before keys that come back are moved past them before the first row is there, and never backwards.

use super::dependents::wait_for;
use super::{Incident, Ledger};
use crate::support::{Output, dump};

const SETUP: &str = include_str!("../../../fixtures/sequences/schema.sql");
const DATA: &str = include_str!("../../../fixtures/sequences/data.sql");
const LOSS: &str = include_str!("../../../fixtures/sequences/loss.sql");

/// `last_value` of a sequence.
fn at(incident: &Incident, sequence: &str) -> i64 {
    incident
        .live
        .count(&format!("select last_value from {sequence}"))
}

/// The entry of a sequence in a plan or an outcome.
fn entry<'a>(ledger: &'a Ledger, sequence: &str) -> &'a serde_json::Value {
    let all = ledger.get("sequences").as_array().unwrap();
    let found = all.iter().find(|s| s["sequence"] == sequence);
    found.unwrap_or_else(|| panic!("{sequence} in {all:?}"))
}

#[test]
fn each_is_moved_past_the_keys_that_come_back() {
    let incident = Incident::new(&format!("{SETUP};{DATA}"), LOSS);
    incident.extract(&[]);
    let plan = incident.plan();
    let moved = [
        ("public.serials_id_seq", 1, 20),
        ("public.identities_id_seq", 1, 20),
        ("public.shared", 1, 20),
        ("public.downwards", -1, -10),
        ("public.odd", 1, 19),
        ("public.beside_n_seq", 1, 20),
        ("public.own", 1, 10),
        ("public.lot_id_seq", 1, 10),
        ("public.\"Odd Names_The Id_seq\"", 1, 10),
    ];
    for (sequence, from, to) in moved {
        let planned = entry(&plan, sequence);
        assert_eq!(
            (&planned["from"], &planned["to"]),
            (&from.into(), &to.into()),
            "{planned}"
        );
        assert_eq!(at(&incident, sequence), from, "a plan moves nothing");
    }
    assert_eq!(
        entry(&plan, "public.shared")["columns"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for (sequence, reason) in [("public.ring", "cycles"), ("public.computed", "computes")] {
        let planned = entry(&plan, sequence);
        assert!(planned["to"].is_null() && planned["reason"].as_str().unwrap().contains(reason));
    }
    let text = incident.for_people(&["restore"]).ok().stdout;
    let line = "sequence public.serials_id_seq would be moved from 1 to 20, past key 20 of public.serials (id)";
    assert!(text.contains(line), "{text}");

    let done = incident.restore().ok();
    assert!(
        done.stderr.contains("was moved from 1 to 20"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr
            .contains("public.ring stands at 1 and was not moved"),
        "{}",
        done.stderr
    );
    for (sequence, _, to) in moved {
        assert_eq!(at(&incident, sequence), to, "{sequence}");
    }
    assert_eq!((at(&incident, "ring"), at(&incident, "computed")), (1, 1));
    let journal =
        "select count(*), count(after), bool_and(before <> after) from reinstate.moved_sequence";
    assert_eq!(incident.live.query_text(journal), "9|9|t");
    // What the application inserts next meets nothing.
    for table in [
        "serials",
        "left_of",
        "right_of",
        "debts",
        "nodes",
        "lot",
        "\"Odd Names\"",
    ] {
        incident
            .live
            .run(&format!("insert into {table} (v) values ('new')"));
    }
    incident.live.run(
        "insert into identities default values; insert into called values (nextval('own'), 'new')",
    );
    assert_eq!(incident.live.count("select max(id) from nodes"), 21);
    assert_eq!(incident.live.count("select min(id) from debts"), -11);

    let undo = incident.for_people(&["undo", "--last"]).ok().stdout;
    assert!(
        undo.contains("sequence public.odd stays where the restore moved it (19), from 1"),
        "{undo}"
    );
    let undone = incident.undo().ok();
    assert!(
        undone.stderr.contains("sequence public.odd stays"),
        "{}",
        undone.stderr
    );
    assert_eq!(at(&incident, "odd"), 21);
}

#[test]
fn one_that_has_passed_them_is_left_alone() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t where id > 10",
    );
    incident.extract(&[]);
    let done = Ledger::of(&incident.restore().ok());
    assert_eq!(done.get("sequences").as_array().unwrap().len(), 0);
    assert_eq!(at(&incident, "t_id_seq"), 20);
    assert_eq!(
        incident
            .live
            .count("select count(*) from reinstate.moved_sequence"),
        0
    );
}

/// Excluded rows, and those that an earlier run brought back, move nothing.
#[test]
fn only_what_comes_back_counts() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t; select setval('t_id_seq', 1)",
    );
    incident.extract(&[]);
    incident.case.write(
        "reinstate.toml",
        "[[exclude]]\ntable = \"t\"\nlive_sql = \"select n as id from generate_series(15, 20) n\"\nreason = \"test\"\n",
    );
    incident.restore().ok();
    assert_eq!(at(&incident, "t_id_seq"), 14);
    incident.live.run("select setval('t_id_seq', 3)");
    incident.restore().ok();
    assert_eq!(at(&incident, "t_id_seq"), 3);
}

/// A number set by hand at the end of the range must not end the sequence for everybody.
#[test]
fn the_end_of_the_range_is_not_come_near() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20);
         insert into t values (2147483647, 'by hand')",
        "delete from t; select setval('t_id_seq', 1)",
    );
    incident.extract(&[]);
    let done = incident.restore().ok();
    assert!(
        done.stderr.contains("was moved from 1 to 20"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("not moved past key 2147483647"),
        "{}",
        done.stderr
    );
    assert_eq!(at(&incident, "t_id_seq"), 20);
}

#[test]
fn without_the_right_it_is_said_before_and_after() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20);
         insert into t values (900000, 'far')",
        "delete from t; select setval('t_id_seq', 1)",
    );
    incident.extract(&[]);
    let live = &incident.live;
    let role = format!("mover_{}", live.name);
    live.run(&format!(
        "create role {role} login; grant select, insert on t to {role}; grant create on database {} to {role}",
        live.name
    ));
    let restore = |args: &[&str]| -> Output {
        let mut command = incident.command(&[&["restore"], args].concat());
        command.env("REINSTATE_LIVE", live.conninfo_as(&role));
        command.output().unwrap().into()
    };
    let text = |args: &[&str]| -> Output {
        let mut command = incident.case.command([&["restore"], args].concat());
        command.env("REINSTATE_LIVE", live.conninfo_as(&role));
        command.output().unwrap().into()
    };
    let deed = ["--execute", "--unrehearsed", "test", "--max-units", "1"];
    let grant =
        |rights: &str| format!("GRANT {rights} ON SEQUENCE \"public\".\"t_id_seq\" TO \"{role}\"");
    for (given, needed) in [
        ("", "SELECT, USAGE, UPDATE"),
        ("grant select on sequence t_id_seq to", "UPDATE"),
        ("grant usage on sequence t_id_seq to", "UPDATE"),
    ] {
        if !given.is_empty() {
            live.run(&format!("{given} {role}"));
        }
        let plan = text(&[]).ok().stdout;
        assert!(plan.contains(&grant(needed)), "{plan}");
        let done = restore(&deed).expect_code(4);
        assert!(done.stderr.contains(&grant(needed)), "{}", done.stderr);
        assert_eq!(at(&incident, "t_id_seq"), 1);
    }
    live.run(&format!("grant update on sequence t_id_seq to {role}"));
    let done = restore(&["--execute", "--unrehearsed", "test"]).ok();
    assert!(
        done.stderr.contains("was moved from 1 to 900000"),
        "{}",
        done.stderr
    );
    assert_eq!(at(&incident, "t_id_seq"), 900_000);
    live.run(&format!(
        "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
    ));
}

/// A journal of an earlier version gets the table that it lacks, from the first restore that moves a sequence.
#[test]
fn a_journal_of_an_earlier_version() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t",
    );
    incident.extract(&[]);
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    let version = "select max(version) from reinstate.version";
    incident.live.run(
        "drop table reinstate.moved_sequence; delete from reinstate.version; insert into reinstate.version values (3)",
    );
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    assert_eq!(incident.live.count(version), 3);
    incident.live.run("select setval('t_id_seq', 1)");
    incident.restore().ok();
    assert_eq!(incident.live.count(version), 4);
    assert_eq!(at(&incident, "t_id_seq"), 20);
    assert_eq!(dump(&incident.live), incident.before);
}

/// A run that was killed between the intention and the outcome completes its record.
#[test]
fn a_record_that_was_not_completed() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t; select setval('t_id_seq', 1)",
    );
    incident.extract(&[]);
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    incident
        .live
        .run("update reinstate.moved_sequence set after = null");
    let done = Ledger::of(&incident.restore().ok());
    assert_eq!(entry(&done, "public.t_id_seq")["to"], 20);
    let journal = "select before, after from reinstate.moved_sequence";
    assert_eq!(incident.live.query_text(journal), "1|20");
}

/// As soon as a row is there, the next number drawn could be its key.
#[test]
fn they_are_moved_before_the_first_row() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t; select setval('t_id_seq', 1)",
    );
    incident.extract(&[]);
    incident.live.run(
        "create function passed(id int) returns bool language sql as 'select last_value >= id from public.t_id_seq';
         alter table t add check (passed(id))",
    );
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 20)]);
}

/// What the application does with a number: in one statement, or drawn first and inserted a little later.
const AT_ONCE: &str = "insert into t (v) values ('app'); select pg_sleep(0.003);\n";
const LATER: &str = "begin; select nextval('t_id_seq') as id \\gset\nselect pg_sleep(0.03);\ninsert into t (id, v) values (:id, 'app'); commit;\n";

/// Keys from 1,000 on come back, `rows` of them, so far apart: together a small way for the sequence, or a large one. The
/// application begins anew at 1, and would soon come upon them.
fn under_load(rows: i64, apart: i64) {
    let incident = Incident::new(
        &format!(
            "create table t (id serial primary key, v text);
             insert into t select 999 + n * {apart}, 'old' from generate_series(1, {rows}) n; select setval('t_id_seq', 999 + {rows} * {apart})"
        ),
        "truncate t restart identity",
    );
    incident.extract(&[]);
    let applications = [
        (AT_ONCE, 1_000),
        (AT_ONCE, 1_000),
        (LATER, 100),
        (LATER, 100),
    ];
    let applications: Vec<_> = applications
        .iter()
        .map(|(statement, times)| incident.live.spawn(&statement.repeat(*times)))
        .collect();
    let watch = "select last_value from t_id_seq; select pg_sleep(0.001);\n".repeat(3_000);
    let (restored, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| incident.live.query_text(&watch));
        wait_for(&incident, "select count(*) / 20 from t");
        (incident.restore(), watcher.join().unwrap())
    });
    for application in applications {
        let output = application.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the application failed: {said}");
    }
    let count = |v: &str| {
        let sql = format!("select count(*) from t where v = '{v}'");
        incident.live.count(&sql)
    };
    assert_eq!(count("app"), 2_200);
    let ledger = Ledger::of(&restored);
    assert_eq!(count("old"), ledger.total("inserted") as i64);
    assert!(count("old") > rows / 4, "{}", restored.stdout);
    let seen = seen.lines().filter_map(|l| l.parse().ok());
    let seen: Vec<i64> = seen.collect();
    assert!(seen.len() > 1_000);
    assert!(seen.windows(2).all(|w| w[0] <= w[1]), "it went backwards");
    let moved = entry(&ledger, "public.t_id_seq");
    assert!(
        moved["to"].as_i64().unwrap() >= 999 + rows * apart,
        "{moved}"
    );
}

#[test]
fn under_load_over_a_small_distance() {
    under_load(4_000, 1);
}

#[test]
fn under_load_over_a_large_distance() {
    under_load(400, 5_000);
}

/// A number that somebody has drawn and not used yet: he goes first.
#[test]
fn a_number_drawn_before_is_waited_for() {
    let incident = Incident::new(
        "create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 20)",
        "delete from t where id > 10; select setval('t_id_seq', 10)",
    );
    incident.extract(&[]);
    let application = incident.live.spawn(
        "begin; select nextval('t_id_seq') as id \\gset\nselect pg_sleep(1.5) /* holds a number */;
         insert into t values (:id, 'app'); commit;",
    );
    wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%holds a number%' and wait_event = 'PgSleep' and datname = current_database()",
    );
    let restored = incident.restore().expect_code(4);
    let output = application.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the application failed: {said}");
    Ledger::of(&restored).expect(&[("inserted", 9), ("quarantined", 1)]);
    assert_eq!(
        incident.live.query_text("select v from t where id = 11"),
        "app"
    );
    assert_eq!(at(&incident, "t_id_seq"), 20);
}
