//! From diff to restore while the application changes every row: what still exists is never taken for deleted.

use std::process::{Child, Stdio};

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
