//! Tables whose rows no backup has: named by `extract`, by the plan and by the certificate, and left alone; what refers to the same rows
//! comes back without them.

use super::{Incident, Ledger, difference};
use crate::support::{copy_database, database, dump};

#[test]
fn foreign_and_unlogged_tables_are_named_and_left_alone() {
    let live = database();
    live.run(
        "create extension postgres_fdw;
         create server elsewhere foreign data wrapper postgres_fdw;
         create table users (id int primary key, name text);
         create table letters (id int primary key, user_id int not null references users on delete cascade);
         create foreign table far (id int, user_id int) server elsewhere;
         create table measured (at date, user_id int) partition by range (at);
         create table measured_new partition of measured for values from ('2020-01-01') to ('2021-01-01');
         create foreign table measured_far partition of measured for values from ('2018-01-01') to ('2019-01-01') server elsewhere;
         create unlogged table sessions (id int primary key, user_id int not null references users on delete cascade);
         create unlogged table drafts (id int primary key, user_id int not null references users on delete cascade);
         create materialized view names as select name from users;
         create view everybody as select * from users;
         insert into users select n, 'user ' || n from generate_series(1, 10) n;
         insert into letters select n, 1 + n % 10 from generate_series(1, 30) n;
         insert into sessions select n, 1 + n % 10 from generate_series(1, 20) n;
         insert into drafts select n, 1 + n % 10 from generate_series(1, 20) n",
    );
    let snapshot = copy_database(&live);
    // As every physical backup leaves an unlogged table; the other one is as in a dump.
    snapshot.run("truncate sessions");
    let before = dump(&live);
    live.run("delete from users where id in (3, 4)");
    let incident = Incident::between(snapshot, live, before);
    let named = [
        ("public.far", "foreign table"),
        (
            "public.measured",
            "one of its partitions is a foreign table",
        ),
        ("public.sessions", "unlogged"),
    ];
    let extracted = incident.extract(&[]);
    assert_eq!(extracted.total("rows"), 2 + 6 + 4);
    let plan = incident.plan();
    let text = incident.for_people(&["restore"]).ok().stdout;
    for (table, why) in named {
        for document in [&extracted.get("left_out"), &plan.get("left_deleted")] {
            let entries = document.as_array().unwrap();
            assert_eq!(entries.len(), named.len(), "{document}");
            let entry = entries.iter().find(|e| e["table"] == table).unwrap();
            assert!(entry["reason"].as_str().unwrap().contains(why), "{entry}");
        }
        let line = text
            .lines()
            .find(|l| l.starts_with(&format!("{table} is not in the bundle")));
        assert!(line.is_some_and(|l| l.contains(why)), "{table}: {text}");
    }

    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 12)]);
    let after = dump(&incident.live);
    let (gone, new) = difference(&incident.before, &after);
    let sessions = |l: &String| l.starts_with("public.sessions ");
    assert!(gone.len() == 4 && gone.iter().all(sessions), "{gone:?}");
    assert_eq!(new, Vec::<String>::new());
    let verified = incident.verify(&["--strict"]).ok();
    Ledger::of(&verified).expect(&[("identical", 12)]);
    assert_eq!(verified.json()["left_deleted"].as_array().unwrap().len(), 3);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 12)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 12)]);
    assert_eq!(dump(&incident.live), after);
}

/// The table of the bundle is a foreign one in live by now.
#[test]
fn a_foreign_table_takes_no_rows() {
    let incident = Incident::new(
        "create table t (id int primary key); insert into t select generate_series(1, 9)",
        "delete from t where id < 4",
    );
    incident.extract(&[]);
    incident.live.run(
        "drop table t; create extension postgres_fdw; create server elsewhere foreign data wrapper postgres_fdw;
         create foreign table t (id int) server elsewhere",
    );
    for output in [incident.run(&["restore"]), incident.restore()] {
        let said = output.expect_code(3).stderr;
        assert!(
            said.contains("public.t") && said.contains("foreign table"),
            "{said}"
        );
    }
}

/// A partition was dropped, with its rows: there is no place for them, until there is one again.
#[test]
fn rows_of_a_partition_that_live_lacks() {
    let incident = Incident::new(
        "create table days (day date, id int, user_id int, primary key (day, id)) partition by range (day);
         create table days_19 partition of days for values from ('2019-01-01') to ('2020-01-01');
         create table days_20 partition of days for values from ('2020-01-01') to ('2021-01-01') partition by list (id);
         create table days_20_a partition of days_20 for values in (1, 2, 3);
         create table days_20_b partition of days_20 for values in (4, 5, 6);
         create table notes (id int primary key, day date, n int, foreign key (day, n) references days on delete cascade);
         create table seen (day date, what text) partition by range (day);
         create table seen_19 partition of seen for values from ('2019-01-01') to ('2020-01-01');
         create table seen_20 partition of seen for values from ('2020-01-01') to ('2021-01-01');
         insert into days select '2019-12-29'::date + n, n, n from generate_series(1, 6) n;
         insert into notes select n, '2019-12-29'::date + n, n from generate_series(1, 6) n;
         insert into seen select '2019-12-29'::date + n, 'seen' from generate_series(1, 6) n",
        "delete from days; delete from seen; alter table days_20 detach partition days_20_b; drop table days_20_b, seen_19",
    );
    incident.extract(&[]);
    let done = Ledger::of(&incident.restore().expect_code(4));
    // Days 4 to 6 with their notes, and what was seen on two days.
    done.expect(&[("inserted", 3 * 2 + 4), ("quarantined", 3 * 2 + 2)]);
    let quarantined = incident.quarantine();
    for (table, partition) in [("public.days", "\"days_20\""), ("public.seen", "\"seen\"")] {
        let mut of_table = quarantined.iter().filter(|q| q["root"]["table"] == table);
        let left = of_table.next().expect("left out");
        assert_eq!(left["sqlstate"], "23514", "{left}");
        let reason = left["reason"].as_str().unwrap();
        let words = format!("no partition of relation {partition} found for row");
        assert!(reason.contains(&words), "{reason}");
    }
    assert_eq!(
        incident.live.count("select count(*) from only days_20_a"),
        1
    );
    let run = done.get("run").as_str().unwrap().to_owned();
    incident.live.run(
        "create table days_more partition of days_20 default;
         create table seen_more partition of seen default",
    );
    let again = Ledger::of(&incident.restore_with(&["--only-quarantined", &run]).ok());
    again.expect(&[("inserted", 8), ("already_present", 10)]);
    // The same rows, in partitions of other names.
    let rows = |text: &str| -> Vec<String> {
        let row = |l: &str| l.split_once(": ").unwrap().1.to_owned();
        let mut rows: Vec<String> = text.lines().map(row).collect();
        rows.sort_unstable();
        rows
    };
    assert_eq!(rows(&dump(&incident.live)), rows(&incident.before));
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 8)]);
    Ledger::of(&incident.undo_with(&[&run]).ok()).expect(&[("removed", 10)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 18)]);
    assert_eq!(rows(&dump(&incident.live)), rows(&incident.before));
}
