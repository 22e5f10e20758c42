//! Tables without a key: bags of rows, told apart by content and counted.

use super::{check, entry, lines, run};
use crate::support::pair_dumped;

#[tokio::test]
async fn rows_without_a_key_are_counted() {
    let (snapshot, live) = pair_dumped(
        "create table bag (a int, b text, j json);
         insert into bag select n % 7, 'x', case when n % 2 = 0 then '{\"a\": 1}' end::json from generate_series(1, 500) n;
         create table same (a int); insert into same select 1 from generate_series(1, 1000);
         create table parts (a int, j json) partition by list (a);
         create table parts_1 partition of parts for values in (1);
         create table parts_2 partition of parts for values in (2) partition by range (a);
         create table parts_2a partition of parts_2 default; create table parts_rest partition of parts default;
         insert into parts select n % 4, '{}' from generate_series(1, 400) n;",
    );
    check(&snapshot, &live).await;
    live.run(
        "delete from bag where ctid in (select ctid from bag where a = 3 limit 5);
         delete from bag where a = 4; insert into bag select a, b, j from bag where a = 5 limit 2;
         update bag set b = 'y' where ctid = (select min(ctid) from bag where a = 6);
         delete from same where ctid in (select ctid from same limit 17);
         update parts set a = 2 where ctid = '(0,1)' and tableoid = 'parts_1'::regclass;
         delete from parts where a = 3 and ctid < '(0,10)'; insert into parts values (9, null), (9, null)",
    );
    check(&snapshot, &live).await;
    check(&live, &snapshot).await;
    let (case, _, json) = run(&snapshot, &live, "rows");
    let entry = entry(&json, "public.bag");
    assert_eq!(
        (&entry["status"], &entry["key"]),
        (&"no_key".into(), &serde_json::json!([]))
    );
    // A deleted row is named by its place in the snapshot, an inserted one by its place in live.
    for (change, place) in lines(&case)["public.parts"].iter() {
        let side = if change == "deleted" {
            &snapshot
        } else {
            &live
        };
        let [oid, ctid] = place.as_slice() else {
            panic!("{place:?}")
        };
        let found =
            format!("select count(*) from parts where tableoid = {oid} and ctid = '{ctid}'");
        assert_eq!(side.count(&found), 1, "{change} {place:?}");
    }
}

#[tokio::test]
async fn partitions_through_their_root_and_children_apart() {
    let (snapshot, live) = pair_dumped(
        "create table events (at date, id int, v text, primary key (at, id)) partition by range (at);
         create table events_1 partition of events for values from ('2020-01-01') to ('2020-02-01');
         create table events_2 partition of events for values from ('2020-02-01') to ('2020-03-01');
         insert into events select date '2020-01-01' + n % 60, n, 'x' from generate_series(1, 300) n;
         create table parent (id int primary key, v text); create table child (extra int, primary key (id)) inherits (parent);
         insert into parent select n, 'p' from generate_series(1, 40) n;
         insert into child select n, 'c', n from generate_series(1, 40) n;",
    );
    // Partitioned anew, with other names.
    live.run(
        "drop table events; create table events (at date, id int, v text, primary key (at, id)) partition by hash (id);
         create table events_a partition of events for values with (modulus 2, remainder 0);
         create table events_b partition of events for values with (modulus 2, remainder 1);
         insert into events select date '2020-01-01' + n % 60, n, 'x' from generate_series(1, 300) n;",
    );
    check(&snapshot, &live).await;
    live.run(
        "delete from events where id in (1, 150, 300); update events set v = 'y' where id = 2;
         insert into events values ('2030-01-01', 1, 'x');
         delete from only parent where id = 5; delete from child where id = 6; update child set v = 'd' where id = 7;
         update only parent set v = 'q' where id = 8; update child set extra = 0 where id = 9",
    );
    check(&snapshot, &live).await;
}
