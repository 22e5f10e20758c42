//! A live database that is written to while it is read, in pieces so small that rows move between them: what still exists
//! is never reported deleted.

use std::process::{Child, Stdio};

use reinstate::catalog::{compare, introspect};
use reinstate::diff::{Change, Depth, DiffOptions, Sides, diff_table};
use reinstate::event::silent;
use reinstate::ident::{Key, TableName};
use reinstate::pg::{Access, Conninfo, Environment};

use crate::restore::{Incident, Ledger};
use crate::support::{Output, TestDb};

const SETUP: &str = "
create table kept (id bigint primary key, n int not null, note text);
create table words (word text collate \"en-x-icu\" primary key, n int not null, note text);
create table again (like kept);
create table words_again (like words);
insert into kept select n, 0, repeat('x', 200) from generate_series(1, 6000) n;
insert into words select 'word ' || n, n, repeat('x', 200) from generate_series(1, 6000) n;
analyze;";

const LOSS: &str = "
delete from kept where id between 1001 and 1010 or id in (1, 6000);
delete from words where n between 770 and 779 or n = 1;";

/// Changes every row again and again, in all the ways that keep it: in place, to another place, and deleted and inserted
/// again in one transaction. Rows with negative keys come and go.
const WORK: &str = "
do $$
declare i int;
begin
  for i in 1..1000000 loop
    update kept set n = n + 1 where id % 97 = i % 97;
    update words set note = note where n % 97 = i % 97;
    with gone as (delete from kept where id % 89 = i % 89 returning *) insert into again select * from gone;
    insert into kept select * from again;
    delete from again;
    with gone as (delete from words where n % 89 = i % 89 returning *) insert into words_again select * from gone;
    insert into words select * from words_again;
    delete from words_again;
    insert into kept values (-i, 0, 'new');
    delete from kept where id = least(-i + 5, 0);
    commit;
  end loop;
end $$;";

fn at_work(live: &TestDb) -> Child {
    let mut psql = live.client("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", WORK]);
    psql.stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends the application; it must have been at work until now, and never have failed.
fn stop(live: &TestDb, application: Child) {
    let ended = live.count(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
          where datname = current_database() and query like '%for i in 1..1000000 loop%' and pid <> pg_backend_pid()",
    );
    assert_eq!(ended, 1, "the application had stopped before the end");
    let output: Output = application.wait_with_output().unwrap().into();
    assert!(
        output.stderr.contains("terminating connection"),
        "{}",
        output.stderr
    );
}

/// Keys that a comparison in small pieces reports as deleted.
async fn deleted(incident: &Incident, table: &str, depth: Depth) -> Vec<Key> {
    let conninfo = |db: &TestDb| Conninfo::parse(&db.conninfo(), &Environment::default()).unwrap();
    let (snapshot, live) = (conninfo(&incident.snapshot), conninfo(&incident.live));
    let sides = Sides::open(&snapshot, &live, 2).await.unwrap();
    let (a, b) = (
        incident.snapshot.session(Access::Reading).await,
        incident.live.session(Access::Reading).await,
    );
    let (a, b) = (introspect(&a).await.unwrap(), introspect(&b).await.unwrap());
    let name = TableName::new("public", table);
    let pairs = compare(&a, &b);
    let pair = pairs
        .iter()
        .find(|(t, _)| *t == name)
        .unwrap()
        .1
        .as_ref()
        .unwrap();
    let options = DiffOptions {
        chunk_rows: 100,
        slice_pages: 8,
        ..DiffOptions::new(depth)
    };
    let mut keys = Vec::new();
    let mut take = |found: reinstate::diff::Found| {
        if found.change == Change::Deleted {
            keys.push(found.key);
        }
    };
    diff_table(&sides, pair, options, &mut take, &silent)
        .await
        .unwrap();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_all_the_time_are_never_reported_deleted() {
    let incident = Incident::new(SETUP, LOSS);
    let lost = |table: &str, column: &str| {
        let sql = format!("select {column} from {table} where n between 770 and 779 or n = 1");
        let mut keys: Vec<Key> = incident
            .snapshot
            .query_text(&sql)
            .lines()
            .map(|k| Key(vec![k.to_owned()]))
            .collect();
        keys.sort();
        keys
    };
    let mut ids: Vec<Key> = (1001..=1010)
        .chain([1, 6000])
        .map(|n| Key(vec![n.to_string()]))
        .collect();
    ids.sort();
    let words = lost("words", "word");
    assert_eq!(words.len(), 11);
    let application = at_work(&incident.live);
    for _ in 0..3 {
        for depth in [Depth::Keys, Depth::Rows] {
            assert_eq!(deleted(&incident, "kept", depth).await, ids, "{depth:?}");
            assert_eq!(deleted(&incident, "words", depth).await, words, "{depth:?}");
        }
    }
    stop(&incident.live, application);
}

#[test]
fn an_incident_is_undone_while_the_application_works() {
    let incident = Incident::new(SETUP, LOSS);
    let application = at_work(&incident.live);
    let found = incident.run(&["diff"]).expect_code(1).json();
    assert_eq!(found["totals"]["deleted"], 23, "{found:#}");
    assert_eq!(incident.extract(&[]).total("rows"), 23);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 23)]);
    stop(&incident.live, application);
    let there = "select (select count(*) from kept where id > 0), (select count(*) from words)";
    assert_eq!(incident.live.query_text(there), "6000|6000");
}
