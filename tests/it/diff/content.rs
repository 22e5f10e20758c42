//! Content: what PostgreSQL calls equal although it is not the same, and what sums could cancel.

use super::{check, lines, run};
use crate::support::pair_dumped;

/// A row for each pair: in the snapshot it holds the first value, in live the second. All differ.
const PAIRS: &[(&str, &str, &str)] = &[
    ("float8", "'0.0'", "'-0.0'"),
    ("float4", "'0.0'", "'-0.0'"),
    ("float8", "'NaN'", "'Infinity'"),
    ("float8[]", "'{0}'", "'{-0}'"),
    ("numeric", "'1.0'", "'1.00'"),
    ("numeric[]", "'{1.0}'", "'{1.00}'"),
    ("numeric", "'NaN'", "'0'"),
    ("interval", "'1 mon'", "'30 days'"),
    ("interval", "'1 day'", "'24 hours'"),
    ("json", "'{\"a\":1,\"b\":2}'", "'{\"b\":2,\"a\":1}'"),
    ("json", "'{}'", "'{ }'"),
    ("jsonb", "'{\"a\":1.0}'", "'{\"a\":1.00}'"),
    ("jsonb", "'null'", "null"),
    ("xml", "'<a/>'", "'<a></a>'"),
    ("tsvector", "'a:1'", "'a:2'"),
    ("tsquery", "'a & b'", "'b & a'"),
    ("money", "'1.00'", "'1.01'"),
    ("bit(4)", "'0101'", "'0111'"),
    ("varbit", "'01'", "'010'"),
    ("int[]", "'{1,2}'", "'[0:1]={1,2}'"),
    ("int[]", "'{{1,2}}'", "'{1,2}'"),
    ("int[]", "'{}'", "null"),
    ("text[]", "'{NULL}'", "'{\"NULL\"}'"),
    ("text", "null", "''"),
    ("text", "'NULL'", "null"),
    ("text", "'a'", "'a '"),
    ("text", "'é'", "E'e\\u0301'"),
    ("text collate anycase", "'a'", "'A'"),
    ("citext", "'a'", "'A'"),
    ("int8", "'1'", "'4294967296'"),
    ("int8", "'-1'", "'4294967295'"),
    ("int8", "'0'", "null"),
    ("int8[]", "'{1}'", "'{4294967296}'"),
    ("bigger", "'1'", "'4294967296'"),
    ("int4", "'0'", "null"),
    ("bool", "'f'", "null"),
    ("bytea", "''", "'\\x00'"),
    ("point", "'(0,0)'", "'(-0,0)'"),
    ("polygon", "'((0,0),(1,1))'", "'((0,0),(1,2))'"),
    ("circle", "'<(0,0),1>'", "'<(0,1),1>'"),
    ("path", "'((0,0))'", "'[(0,0)]'"),
    ("box", "'(1,1),(0,0)'", "'(2,1),(1,1)'"),
    ("inet", "'10.0.0.1'", "'10.0.0.1/31'"),
    ("cidr", "'10.0.0.0/8'", "'10.0.0.0/9'"),
    (
        "macaddr8",
        "'08:00:2b:01:02:03:04:05'",
        "'08:00:2b:01:02:03:04:06'",
    ),
    ("timetz", "'12:00+00'", "'13:00+01'"),
    (
        "timestamptz",
        "'2020-01-21 16:40:00+00'",
        "'2020-01-21 16:40:00.000001+00'",
    ),
    ("timestamp", "'infinity'", "'-infinity'"),
    ("int4range", "'[1,2)'", "'[1,3)'"),
    ("numrange", "'[1.0,2]'", "'[1.00,2]'"),
    ("int4multirange", "'{[1,2)}'", "'{}'"),
    ("mood", "'sad'", "'ok'"),
    ("mood[]", "'{sad}'", "'{ok}'"),
    ("pair", "'(1.0,)'", "'(1.00,)'"),
    ("pair", "'(1,)'", "'(1,\"\")'"),
    ("pair", "'(,)'", "null"),
    ("hstore", "'a=>1'", "'a=>NULL'"),
    ("regclass", "'pg_class'", "'pg_type'"),
    ("name", "'a'", "'b'"),
    ("\"char\"", "'a'", "'b'"),
    ("char(3)", "'a'", "'b'"),
    ("pg_lsn", "'0/0'", "'0/1'"),
    ("oidvector", "'1 2'", "'1 3'"),
];

const TYPES: &str = "
    create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create extension citext; create extension hstore;
    create type mood as enum ('sad', 'ok'); create type pair as (n numeric, t text); create domain bigger as int8;";

#[tokio::test]
async fn differences_that_equality_hides() {
    let columns: Vec<String> = PAIRS
        .iter()
        .enumerate()
        .map(|(i, p)| format!("c{i} {}", p.0))
        .collect();
    let mut before = format!(
        "{TYPES} create table t (id int primary key, {}); create table bag ({});",
        columns.join(", "),
        columns.join(", ")
    );
    let mut after = String::new();
    for (i, (_, old, new)) in PAIRS.iter().enumerate() {
        before.push_str(&format!(
            "insert into t (id, c{i}) values ({i}, {old}), ({i} + 1000, {old}), ({i} + 2000, {new});
             insert into bag (c{i}) values ({old}), ({new});"
        ));
        after.push_str(&format!(
            "update t set c{i} = {new} where id = {i}; update bag set c{i} = {new};"
        ));
    }
    let (snapshot, live) = pair_dumped(&before);
    // A dump gives the same content back, whatever the OIDs.
    check(&snapshot, &live).await;
    live.run(&after);
    let (case, _, _) = run(&snapshot, &live, "rows");
    let found = lines(&case);
    let changed: Vec<usize> = found["public.t"]
        .iter()
        .map(|d| d.1[0].parse().unwrap())
        .collect();
    let missed: Vec<_> = (0..PAIRS.len())
        .filter(|i| !changed.contains(i))
        .map(|i| PAIRS[i])
        .collect();
    assert!(missed.is_empty(), "not seen: {missed:?}");
    assert_eq!(changed.len(), PAIRS.len());
    check(&snapshot, &live).await;
}

/// What XOR, or a sum of linear hashes, would not see.
#[tokio::test]
async fn what_cancels_in_a_plain_sum() {
    let (snapshot, live) = pair_dumped(
        "create table swapped (id int primary key, a int, b int, c text);
         insert into swapped select n, n, n + 1000, n from generate_series(1, 100) n;
         create table nulls (id int primary key, v text, w int); insert into nulls select generate_series(1, 10);
         create table pairs (a int, b int, v int, primary key (a, b));
         insert into pairs select n, n, n from generate_series(1, 20) n;
         create table bag (a int, b int);
         insert into bag values (1, 2), (3, 4), (null, null), (null, null);
         create table nothing_else (id int primary key); insert into nothing_else select generate_series(1, 10);",
    );
    live.run(
        // Two values of a column exchanged between two rows; both columns at once; within one row; a cycle of three.
        "update swapped set a = case id when 1 then 2 else 1 end where id in (1, 2);
         update swapped s set a = o.a, b = o.b, c = o.c from swapped o where s.id in (11, 12) and o.id = 23 - s.id;
         update swapped set a = b, b = a where id = 20;
         update swapped set c = case id when 30 then '31' when 31 then '32' else '30' end where id in (30, 31, 32);
         update swapped set a = 7777 where id in (40, 41);
         update nulls set id = 11 where id = 10;
         update pairs set a = 100 + b where a in (1, 2); update pairs set a = case b when 1 then 2 else 1 end where a > 100;
         update pairs set v = case a when 5 then 6 else 5 end where a in (5, 6);
         update bag set b = case a when 1 then 4 else 2 end where a is not null; insert into bag values (null, null);
         update nothing_else set id = 11 where id = 10",
    );
    check(&snapshot, &live).await;
}

#[tokio::test]
async fn large_values_and_wide_rows() {
    let columns = |sql_type: &str, n: usize| {
        let all: Vec<String> = (0..n).map(|i| format!("c{i} {sql_type}")).collect();
        all.join(", ")
    };
    let (snapshot, live) = pair_dumped(&format!(
        "create table toasted (id int primary key, v text, b bytea);
         insert into toasted select n, repeat(md5(n::text), 30000), decode(repeat(md5(n::text), 5000), 'hex')
           from generate_series(1, 5) n;
         create table toasted_bag as select v from toasted;
         create table wide (id int primary key, {});
         insert into wide (id, c0, c1597) select n, n, n from generate_series(1, 5) n;
         create table wide_bag ({}); insert into wide_bag (c0) select generate_series(1, 3);",
        columns("int8", 1598),
        columns("int8", 1600),
    ));
    live.run(
        "update toasted set v = overlay(v placing 'x' from length(v)) where id = 2;
         update toasted set b = b || '\\x00' where id = 5; update toasted_bag set v = v || ' ' where v = (select min(v) from toasted_bag);
         update wide set c1597 = 7 where id = 1; update wide set c0 = c1597, c1597 = c0 - 1 where id = 2;
         update wide set c799 = c0, c0 = null where id = 3; update wide set c1596 = c1597, c1597 = null where id = 5;
         update wide_bag set c1599 = c0, c0 = null where c0 = 2",
    );
    check(&snapshot, &live).await;
}
