//! The strategies where a table is in many pieces, none of them of the expected size.

use reinstate::diff::Depth;

use super::{Way, check, check_way, oracle::Truth, outcomes, way};
use crate::support::{database, pair_dumped};

/// Live has vastly more rows between two neighbours of the snapshot, and behind its last: ranges are cut again.
#[tokio::test]
async fn ranges_that_turn_out_too_large() {
    for key in ["int8", "text collate \"C\"", "numeric"] {
        let (snapshot, live) = pair_dumped(&format!(
            "create table t (k {key} primary key, v text);
             insert into t select (n * 100000)::{0}, 'x' from generate_series(1, 200) n;
             create table p (a {key}, b int, v text, primary key (a, b));
             insert into p select (n * 100000)::{0}, n, 'x' from generate_series(1, 200) n;",
            key.split(' ').next().unwrap()
        ));
        live.run(&format!(
            "insert into t select (100000 * 100 + n)::{0}, 'x' from generate_series(1, 1500) n;
             insert into t select (100000000 + n)::{0}, 'x' from generate_series(1, 1500) n;
             insert into p select (100000 * 100)::{0}, -n, 'x' from generate_series(1, 1500) n;
             delete from t where k = (100000 * 7)::{0}; delete from p where b in (1, 200);
             update t set v = 'y' where k = (100000 * 199)::{0}",
            key.split(' ').next().unwrap()
        ));
        let truth = Truth::of(&snapshot, &live);
        for depth in [Depth::Keys, Depth::Rows] {
            check_way(&snapshot, &live, &truth, way(depth, 20, false)).await;
        }
        if key == "int8" {
            check(&live, &snapshot).await;
        }
    }
}

/// One row a range, where a remainder of nothing must still end.
#[tokio::test]
async fn ranges_of_one_row() {
    let (snapshot, live) = pair_dumped(
        "create table t (k int primary key); insert into t select generate_series(1, 50);
         create table u (k text collate \"C\" primary key); insert into u select n from generate_series(1, 50) n;",
    );
    live.run(
        "delete from t where k % 10 = 0; insert into u select n from generate_series(51, 90) n",
    );
    let truth = Truth::of(&snapshot, &live);
    for depth in [Depth::Keys, Depth::Rows] {
        check_way(&snapshot, &live, &truth, way(depth, 1, false)).await;
    }
}

/// A freshly restored dump knows nothing of its rows; statistics can also be wrong.
#[tokio::test]
async fn statistics_missing_or_wrong() {
    let (snapshot, live) = pair_dumped(
        "create table t (k int primary key, v text); alter table t set (autovacuum_enabled = off);
         create table p (k int primary key, v text) partition by hash (k);
         create table p0 partition of p for values with (modulus 3, remainder 0);
         create table p1 partition of p for values with (modulus 3, remainder 1);
         create table p2 partition of p for values with (modulus 3, remainder 2);
         analyze;
         insert into t select n, 'x' from generate_series(1, 5000) n; insert into p select * from t;",
    );
    live.run("delete from t where k % 500 = 0; delete from p where k % 500 = 0");
    let truth = Truth::of(&snapshot, &live);
    for depth in [Depth::Keys, Depth::Rows] {
        let way = way(depth, 100, false);
        check_way(&snapshot, &live, &truth, way).await;
        for (name, outcome) in outcomes(&snapshot, &live, way).await {
            let pieces = outcome.events.len();
            // 5,000 rows in ranges of about 100, give or take what a sample gives.
            assert!(
                (25..=110).contains(&pieces),
                "{name}: {pieces} announcements"
            );
        }
    }
}

/// Keys that do not follow the physical order: slices of pages, rows set aside by bucket, on disk when they are many.
#[tokio::test]
async fn buckets_of_a_table_in_many_slices() {
    let (snapshot, live) = pair_dumped(
        "create table t (k uuid primary key, v text);
         insert into t select md5(n::text)::uuid, repeat('x', 50) from generate_series(1, 20000) n;
         create table bag as select k::text || v as v from t;",
    );
    live.run(
        "delete from t where k in (select md5(n::text)::uuid from generate_series(1, 20000, 3) n);
         update t set v = 'y' where k in (select md5(n::text)::uuid from generate_series(2, 20000, 300) n);
         insert into t select md5(n::text)::uuid, 'x' from generate_series(20001, 20100) n;
         delete from bag where v < '2'; insert into bag select v from bag where v > 'f'",
    );
    let truth = Truth::of(&snapshot, &live);
    for (slice_pages, jobs, chunk_rows) in [(3, 3, 500), (100_000, 1, 50_000)] {
        let way = Way {
            slice_pages,
            jobs,
            ..way(Depth::Rows, chunk_rows, true)
        };
        check_way(&snapshot, &live, &truth, way).await;
    }
}

/// More sessions than pieces, and one session for all.
#[tokio::test]
async fn any_number_of_sessions() {
    let (snapshot, live) = pair_dumped(
        "create table t (k int primary key, v text); insert into t select n, 'x' from generate_series(1, 2000) n",
    );
    live.run("delete from t where k % 100 = 1; update t set v = 'y' where k % 100 = 2");
    let truth = Truth::of(&snapshot, &live);
    for jobs in [1, 8] {
        for buckets in [false, true] {
            let way = Way {
                jobs,
                ..way(Depth::Rows, 300, buckets)
            };
            check_way(&snapshot, &live, &truth, way).await;
        }
    }
}

/// Which keys are read in order, and which are not because the order could differ.
#[tokio::test]
async fn order_is_trusted_only_where_it_is_known() {
    let make = |collation: &str| {
        let db = database();
        db.run(&format!(
            "create collation icu_c (provider = icu, locale = 'C');
             create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create table in_c (k text collate \"C\" primary key);
             create table posix (k text collate \"POSIX\" primary key);
             create table icu (k text collate \"en-x-icu\" primary key);
             create table not_c (k text collate icu_c primary key);
             create table differing (k text collate {collation} primary key);
             create table anycase (k text collate anycase primary key);
             create table by_default (k text primary key);
             create table floats (k float8 primary key);
             create table numbers (a int, b timestamptz, c uuid, d numeric, primary key (a, b, c, d));
             create table pattern (k text collate \"en-x-icu\" not null);
             create unique index on pattern (k text_pattern_ops);"
        ));
        db
    };
    let (snapshot, live) = (make("\"C\""), make("\"en-x-icu\""));
    let way = way(Depth::Keys, 10, false);
    let ordered: Vec<String> = outcomes(&snapshot, &live, way)
        .await
        .into_iter()
        .filter(|(_, o)| o.comparable.ordered)
        .map(|(n, _)| n.name)
        .collect();
    assert_eq!(ordered, ["icu", "in_c", "not_c", "numbers", "posix"]);
    // A database whose collation has a version other than the library's is not trusted, nor is an ICU that is called C.
    live.run(
        "update pg_collation set collversion = '0' where collname in ('en-x-icu');
         drop table not_c; create table not_c (k text collate \"C\" primary key)",
    );
    let ordered: Vec<String> = outcomes(&snapshot, &live, way)
        .await
        .into_iter()
        .filter(|(_, o)| o.comparable.ordered)
        .map(|(n, _)| n.name)
        .collect();
    assert_eq!(ordered, ["in_c", "numbers", "posix"]);
}
