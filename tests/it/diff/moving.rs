//! Live changes while it is read: a row that is there all the time is never reported deleted.

use std::time::{Duration, Instant};

use reinstate::diff::Depth;
use reinstate::event::Event;

use super::{Way, outcomes, outcomes_watched, way};
use crate::support::{TestDb, pair_dumped};

/// Works in live until `stop` exists there.
fn disturb(live: &TestDb, statements: &str) -> std::process::Child {
    live.spawn(&format!(
        "do $$ begin
           for i in 1..1000000 loop
             exit when to_regclass('public.stop') is not null;
             {statements}
             commit;
           end loop;
         end $$;"
    ))
}

fn finish(live: &TestDb, mut child: std::process::Child) {
    live.run("create table stop ()");
    assert!(child.wait().expect("psql ends").success());
}

#[tokio::test]
async fn rows_that_move_while_they_are_read() {
    let (snapshot, live) = pair_dumped(
        "create table by_range (k int primary key, v text) with (fillfactor = 60);
         create table by_bucket (k float8 primary key, v text) with (fillfactor = 60);
         create table rewritten (k float8 primary key, v text) with (fillfactor = 60);
         create table bag (k int, v text);
         insert into by_range select n, repeat('x', 20) from generate_series(1, 6000) n;
         insert into by_bucket select n, repeat('x', 20) from generate_series(1, 6000) n;
         insert into rewritten select * from by_bucket;
         insert into bag select n, repeat('x', 20) from generate_series(1, 6000) n;",
    );
    live.run(
        "delete from by_range where k <= 10; delete from by_bucket where k <= 10;
              delete from rewritten where k <= 10; delete from bag where k <= 10",
    );
    // Each row moves to another place again and again: some with other content, those of the bag with the same. Rows
    // beyond the snapshot's come and go.
    let worker = disturb(
        &live,
        "update by_range set v = v || '' where k % 17 = i % 17 and k > 10;
         update by_bucket set v = v || '' where k::int % 13 = i % 13 and k > 10;
         update rewritten set v = i::text where k::int % 17 = i % 17 and k > 10;
         update bag set v = v where k % 7 = i % 7 and k > 10;
         insert into by_range values (100000 + i, 'new'); delete from by_range where k = 100000 + i - 3;
         insert into by_bucket values (100000 + i, 'new'); delete from by_bucket where k = 100000 + i - 3;",
    );
    let until = Instant::now() + Duration::from_secs(6);
    let mut rounds = 0;
    while Instant::now() < until || rounds < 4 {
        let depth = [Depth::Rows, Depth::Keys][rounds % 2];
        // One statement sees one moment: rows slip through between many of them.
        let way = Way {
            slice_pages: 4,
            jobs: 1,
            ..way(depth, 300, false)
        };
        for (name, outcome) in outcomes(&snapshot, &live, way).await {
            let of = |change: &'static str| outcome.found.iter().filter(move |d| d.0 == change);
            let table = name.name.as_str();
            assert_eq!(of("deleted").count(), 10, "{table} in round {rounds}");
            if table != "bag" {
                let mut keys: Vec<u32> = of("deleted").map(|d| d.1[0].parse().unwrap()).collect();
                keys.sort_unstable();
                assert_eq!(
                    keys,
                    (1..=10).collect::<Vec<_>>(),
                    "{table} in round {rounds}"
                );
            }
            // Rewritten with the content that they had, rows have not changed.
            if table != "rewritten" {
                assert_eq!(of("changed").count(), 0, "{table} in round {rounds}");
            }
        }
        rounds += 1;
    }
    finish(&live, worker);
}

/// The same without chance: while the second half of a table is still to be read, its last rows move into a hole at its
/// beginning, which has been read.
#[tokio::test]
async fn rows_that_move_behind_the_reader() {
    let (snapshot, live) = pair_dumped(
        "create table keyed (k float8 primary key, v text) with (autovacuum_enabled = off);
         insert into keyed select n, repeat('x', 30) from generate_series(1, 20000) n;
         create table bag with (autovacuum_enabled = off) as select * from keyed;",
    );
    live.run(
        "truncate keyed; insert into keyed select -n, repeat('x', 30) from generate_series(1, 6000) n;
         insert into keyed select n, repeat('x', 30) from generate_series(1, 20000) n;
         truncate bag; insert into bag select * from keyed;
         delete from keyed where k < 0; delete from bag where k < 0; vacuum keyed, bag;
         delete from keyed where k < 15000 and k::int % 2 = 1;
         delete from bag where k < 15000 and k::int % 2 = 1",
    );
    let way = Way {
        slice_pages: 8,
        jobs: 1,
        ..way(Depth::Rows, 1_000, true)
    };
    let watch = |event: &Event, before: &[Event]| {
        let (Event::TableProgress { table, .. }, [.., Event::TableProgress { .. }]) =
            (event, before)
        else {
            return;
        };
        let starts = |e: &&Event| matches!(e, Event::TableStarted { .. });
        let pass = before.iter().filter(starts).count();
        let in_pass = before.iter().rev().take_while(|e| !starts(e)).count();
        // Each pass misses other rows: the last two thousand, then the two thousand before them.
        if in_pass == 20 {
            let (from, to) = [(18_000, 20_000), (16_000, 18_000)][pass - 1];
            live.run(&format!(
                "update {} set v = v where k > {from} and k <= {to}",
                table.name
            ));
            let moved = live.count(&format!(
                "select count(*) from {} where k > {from} and k <= {to} and ctid < '(80,0)'",
                table.name
            ));
            assert!(
                moved > 1_000,
                "{moved} rows of {} moved in pass {pass}",
                table.name
            );
        }
    };
    for (name, outcome) in outcomes_watched(&snapshot, &live, way, &watch).await {
        let all = outcome.found.iter();
        assert!(all.clone().all(|d| d.0 != "changed"), "{name}");
        assert_eq!(all.filter(|d| d.0 == "deleted").count(), 7_500, "{name}");
        if name.name == "keyed" {
            let odd = |d: &(String, Vec<String>)| d.1[0].parse::<u32>().unwrap() % 2 == 1;
            assert!(outcome.found.iter().all(odd));
            assert_eq!(outcome.counts.inserted, 0);
        }
    }
}
