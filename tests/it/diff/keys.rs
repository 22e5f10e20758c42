//! Keys of every kind: each type in a table of its own, all tables compared in one run, in every way.

use super::{check, run};
use crate::support::{copy_database, pair_dumped};

/// A type of key: name, SQL type, and four lists of values: those that stay, are deleted, inserted, changed.
struct Kind(&'static str, &'static str, [&'static str; 4]);

const KINDS: &[Kind] = &[
    Kind(
        "int2",
        "int2",
        [
            "'-32768','1','7'",
            "'32767','-1'",
            "'0','2'",
            "'-2','32766'",
        ],
    ),
    Kind(
        "int4",
        "int4",
        [
            "'-2147483648','5'",
            "'2147483647','-7'",
            "'1000000000'",
            "'-1','0'",
        ],
    ),
    // Of 1 and 2^32, and of -1 and 2^32 - 1, the server's own hash is the same.
    Kind(
        "int8",
        "int8",
        [
            "'3','-9223372036854775808'",
            "'1','-1'",
            "'4294967296','4294967295'",
            "'9223372036854775807','-4294967296'",
        ],
    ),
    Kind(
        "uuid",
        "uuid",
        [
            "'00000000-0000-0000-0000-000000000000','7fffffff-ffff-ffff-ffff-ffffffffffff'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'80000000-0000-0000-0000-000000000000'",
            "'01234567-89ab-cdef-0123-456789abcdef'",
        ],
    ),
    Kind(
        "text",
        "text",
        [
            "'a','A ','é',E'e\\u0301'",
            "'A','a ',E'tab\\there','','$1::text','\\N'",
            "'B',E'line\\nbreak','E''quote''',E'back\\\\slash','{\"x\",y}'",
            "E'\\r','\"','ß','NULL'",
        ],
    ),
    Kind(
        "text_c",
        "text collate \"C\"",
        [
            "'a','A ','é',E'e\\u0301'",
            "'A','a ',E'tab\\there','','$1::text','\\N'",
            "'B',E'line\\nbreak','E''quote''',E'back\\\\slash','{\"x\",y}'",
            "E'\\r','\"','ß','NULL'",
        ],
    ),
    Kind(
        "varchar",
        "varchar(12)",
        ["'a','b'", "'A','b '", "'c'", "'d'"],
    ),
    Kind("char", "char(5)", ["'a','bb'", "'A','b'", "'ccccc'", "''"]),
    Kind(
        "date",
        "date",
        [
            "'2020-01-21','infinity'",
            "'-infinity','0044-03-15 BC'",
            "'0001-01-01'",
            "'4713-01-01 BC','9999-12-31'",
        ],
    ),
    Kind(
        "timestamp",
        "timestamp",
        [
            "'2020-01-21 16:40:00.000001','infinity'",
            "'0044-03-15 12:00:00 BC','2020-01-21 16:40:00'",
            "'-infinity'",
            "'1999-12-31 23:59:59.999999'",
        ],
    ),
    Kind(
        "timestamptz",
        "timestamptz",
        [
            "'2020-01-21 16:40:00+01','infinity'",
            "'2020-10-25 02:30:00+02','0001-01-01 00:00:00+00 BC'",
            "'2020-10-25 02:30:00+01'",
            "'-infinity'",
        ],
    ),
    Kind(
        "numeric",
        "numeric",
        [
            "'0','1.5'",
            "'-1e-30','NaN'",
            "'1e30','-Infinity'",
            "'0.00000001','Infinity'",
        ],
    ),
    Kind("bool", "bool", ["", "'t'", "", "'f'"]),
    Kind("bool_new", "bool", ["", "", "'t'", "'f'"]),
    Kind(
        "bytea",
        "bytea",
        ["'\\x00','\\x0061'", "'','\\xff'", "'\\x5c6e'", "'\\x09'"],
    ),
    Kind(
        "inet",
        "inet",
        [
            "'10.0.0.1','::1'",
            "'10.0.0.1/8','10.0.0.0/8'",
            "'10.0.0.2'",
            "'fe80::1/64'",
        ],
    ),
    Kind(
        "mood",
        "app.mood",
        ["'sad'", "'ok','it''s'", "'happy'", "'with space'"],
    ),
    Kind(
        "mood_domain",
        "app.strong_mood",
        ["'sad'", "'ok','it''s'", "'happy'", "'with space'"],
    ),
    Kind(
        "domain",
        "app.percent",
        ["'1','100'", "'50'", "'51','52'", "'0'"],
    ),
    Kind(
        "array",
        "int[]",
        [
            "'{1,2}','{}'",
            "'{2,1}','[0:1]={1,2}'",
            "'{NULL}'",
            "'{{1},{2}}'",
        ],
    ),
    Kind(
        "moods",
        "app.mood[]",
        ["'{sad,ok}'", "'{ok}'", "'{\"it''s\"}'", "'{}'"],
    ),
    Kind(
        "composite",
        "app.place",
        [
            "'(1,a)'",
            "'(1,\"a,b\")'",
            "'(2,)','(2,\"\")'",
            "'(3,\"x\\ny\")'",
        ],
    ),
    Kind(
        "range",
        "int4range",
        ["'[1,3)','empty'", "'[1,)'", "'(,1)'", "'[5,6)'"],
    ),
    Kind(
        "interval",
        "interval",
        ["'1 day','0'", "'-1 day'", "'1 mon'", "'2 years'"],
    ),
    Kind(
        "float8",
        "float8",
        [
            "'0.1','NaN'",
            "'-0.5','Infinity'",
            "'1e300'",
            "'-1e-300','0'",
        ],
    ),
    Kind("oid", "oid", ["'1','2'", "'4294967295'", "'3'", "'0'"]),
    Kind("name", "name", ["'a'", "'A'", "'b'", "'c'"]),
    Kind("time", "time", ["'00:00'", "'24:00'", "'12:00'", "'12:01'"]),
    Kind(
        "jsonb",
        "jsonb",
        [
            "'1','{\"a\":1}'",
            "'{\"a\":2}'",
            "'[]','null'",
            "'{}','\"x\"'",
        ],
    ),
];

const TYPES: &str = "
    create schema app;
    create type app.mood as enum ('sad', 'ok', 'happy', 'it''s', 'with space');
    create domain app.strong_mood as app.mood not null;
    create domain app.percent as int check (value between 0 and 100);
    create type app.place as (n int, name text);";

/// Statements that make the tables with what the snapshot has, and those that make live of it.
fn statements(kinds: &[Kind]) -> (String, String) {
    let (mut before, mut after) = (TYPES.to_owned(), String::new());
    for Kind(name, sql_type, [stay, deleted, inserted, changed]) in kinds {
        let table = format!("k_{name}");
        before.push_str(&format!(
            "create table {table} (k {sql_type} primary key, v text);\n"
        ));
        // Half of the rows have nothing but NULL beside the key.
        let insert = |values: &str| {
            if values.is_empty() {
                return String::new();
            }
            let bare = sql_type.split(" collate").next().unwrap();
            format!(
                "insert into {table} select v::{bare}, case n % 2 when 0 then 'old' end
                   from unnest(array[{values}]) with ordinality as u(v, n);\n"
            )
        };
        for values in [stay, deleted, changed] {
            before.push_str(&insert(values));
        }
        // A domain over an enum has no `=` of its own.
        let bare = match *name {
            "mood_domain" => "app.mood",
            _ => sql_type.split(" collate").next().unwrap(),
        };
        if !deleted.is_empty() {
            after.push_str(&format!(
                "delete from {table} where k::{bare} in (select v::{bare} from unnest(array[{deleted}]) v);\n"
            ));
        }
        after.push_str(&insert(inserted));
        if !changed.is_empty() {
            after.push_str(&format!(
                "update {table} set v = 'new' where k::{bare} in (select v::{bare} from unnest(array[{changed}]) v);\n"
            ));
        }
    }
    (before, after)
}

#[tokio::test]
async fn keys_of_every_type() {
    let (before, after) = statements(KINDS);
    let (snapshot, live) = pair_dumped(&before);
    live.run(&after);
    check(&snapshot, &live).await;
    check(&live, &snapshot).await;
}

#[tokio::test]
async fn keys_of_two_columns_and_quoted_names() {
    let (snapshot, live) = pair_dumped(
        "create schema \"My App\";
         create table \"My App\".\"Big \"\"T\"\"able\" (\"The Id\" int, \"select\" text, \"$1::int\" int,
            \"Value\" text, primary key (\"The Id\", \"select\"));
         insert into \"My App\".\"Big \"\"T\"\"able\"
            select n, chr(97 + n % 3), n, 'x' from generate_series(1, 60) n;
         create table swapped (a int, b int, primary key (a, b));
         insert into swapped values (1, 1), (2, 2), (7, 8);
         create table mixed (t text, d date, n numeric, v int, primary key (t, d, n));
         insert into mixed select 'k' || n % 5, date '2020-01-01' + n % 7, n, n from generate_series(1, 200) n;
         create table dollar (\"$1::int\" int primary key, v text); insert into dollar values (1, 'a'), (2, 'b');",
    );
    live.run(
        "delete from \"My App\".\"Big \"\"T\"\"able\" where \"The Id\" in (1, 30, 60);
         update \"My App\".\"Big \"\"T\"\"able\" set \"Value\" = 'y' where \"The Id\" = 31;
         insert into \"My App\".\"Big \"\"T\"\"able\" values (0, 'a,b', 1, 'x'), (61, E'a\\tb', 1, null);
         delete from swapped where a < 3; insert into swapped values (1, 2), (2, 1);
         delete from mixed where v % 50 = 0; update mixed set v = -v where v in (1, 199);
         insert into mixed values ('', 'infinity', 'NaN', 0);
         delete from dollar where \"$1::int\" = 1",
    );
    check(&snapshot, &live).await;
}

#[tokio::test]
async fn first_and_last_rows_and_huge_gaps() {
    let (snapshot, live) = pair_dumped(
        "create table gaps (k int8 primary key, v text);
         insert into gaps select n::int8 * 1000000007, 'x' from generate_series(-300, 300) n;
         insert into gaps values (-9223372036854775808, 'min'), (9223372036854775807, 'max');
         create table ends (k text primary key, v text);
         insert into ends select md5(n::text), 'x' from generate_series(1, 500) n;
         create table ids (k uuid primary key, v int);
         insert into ids select md5(n::text)::uuid, n from generate_series(1, 500) n;",
    );
    live.run(
        "delete from gaps where k in (select min(k) from gaps union all select max(k) from gaps);
         update gaps set v = 'y' where k in (select min(k) from gaps union all select max(k) from gaps);
         insert into gaps select 9223372036854770000 + n, 'many' from generate_series(1, 400) n;
         delete from ends where k in (select min(k) from ends union all select max(k) from ends);
         insert into ends values ('', 'first'), ('😀', 'last');
         delete from ids where v % 100 = 7; update ids set v = -1 where v = 500;",
    );
    check(&snapshot, &live).await;
}

#[tokio::test]
async fn empty_tables_and_lost_tables() {
    let (snapshot, live) = pair_dumped(
        "create table emptied (k int primary key, v text);
         insert into emptied select n, 'x' from generate_series(1, 300) n;
         create table filled (k int primary key, v text);
         create table always_empty (k int primary key);
         create table bag_emptied (v text); insert into bag_emptied select 'x' from generate_series(1, 9);",
    );
    live.run(
        "delete from emptied; delete from bag_emptied;
         insert into filled select n, 'x' from generate_series(1, 300) n",
    );
    let copy = copy_database(&live);
    check(&snapshot, &live).await;
    check(&live, &snapshot).await;
    check(&live, &copy).await;
}

/// A unique index in place of a primary key; indexes whose order is not that of `<`; another key on either side.
#[tokio::test]
async fn keys_that_are_no_primary_keys() {
    let (snapshot, live) = pair_dumped(
        "create table u (k text not null, v text); create unique index on u (k);
         create table pattern (k text collate \"en-x-icu\" not null, v text);
         create unique index on pattern (k text_pattern_ops);
         create table other (k text collate \"en-x-icu\" not null, v text);
         create unique index on other (k collate \"C\");
         create table backwards (a int not null, b int not null, v text); create unique index on backwards (a desc, b);
         create table covering (k int not null, v text); create unique index on covering (k) include (v);
         create table partial_only (k int not null, v text); create unique index on partial_only (k) where v = 'x';
         create table nullable (k int unique, v text);
         insert into nullable values (1, 'x'), (null, 'x'), (null, 'x');",
    );
    for table in ["u", "pattern", "other", "covering", "partial_only"] {
        let rows = format!(
            "insert into {table} select n::text{}, 'x' from generate_series(1, 400) n",
            if table.starts_with("cover") || table.starts_with("partial") {
                "::int"
            } else {
                ""
            }
        );
        for db in [&snapshot, &live] {
            db.run(&rows);
        }
        live.run(&format!(
            "delete from {table} where k::text in ('1', '77', '400'); update {table} set v = 'y' where k::text = '9'"
        ));
    }
    for db in [&snapshot, &live] {
        db.run("insert into backwards select n % 20, n, 'x' from generate_series(1, 400) n");
    }
    live.run("delete from backwards where b % 99 = 0; delete from nullable where ctid = '(0,3)'");
    check(&snapshot, &live).await;
    let (_, _, json) = run(&snapshot, &live, "rows");
    for table in ["public.partial_only", "public.nullable"] {
        assert_eq!(super::entry(&json, table)["status"], "no_key", "{table}");
    }
    // Where live's key is another one, rows are told apart by what is a key on both sides, or not at all.
    live.run(
        "alter table u add column id serial primary key;
         drop index covering_k_v_idx",
    );
    let (_, _, json) = run(&snapshot, &live, "keys");
    assert_eq!(
        super::entry(&json, "public.u")["key"],
        serde_json::json!(["k"])
    );
    assert_eq!(super::entry(&json, "public.u")["deleted"], 3);
    assert_eq!(super::entry(&json, "public.covering")["status"], "no_key");
}
