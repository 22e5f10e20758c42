//! Random tables, random edits: whatever the key and the columns are, the program and the oracle agree.

use super::check_library;
use crate::support::{Dice, pair_dumped};

/// Types of keys, each with an expression that makes of a number `n` a value of its own.
const KEYS: &[(&str, &str)] = &[
    ("int2", "n::int2"),
    ("int4", "(n * 65537 - 100000000)::int4"),
    ("int8", "n * 4294967295 - 1000000000000"),
    ("uuid", "md5(n::text)::uuid"),
    ("text", "chr((n % 90 + 33)::int) || md5(n::text)"),
    ("text collate \"C\"", "chr((n % 900 + 33)::int) || n"),
    ("text collate \"en-x-icu\"", "chr((n % 900 + 33)::int) || n"),
    ("varchar(40)", "to_hex(n)"),
    ("char(12)", "to_hex(n)"),
    ("date", "date '2000-01-01' + n::int"),
    (
        "timestamptz",
        "timestamptz '2000-01-01' + n * interval '7.000001 s'",
    ),
    ("numeric", "n / 7.0 - 30"),
    ("bytea", "decode(md5(n::text), 'hex')"),
    ("float8", "n / 7.0::float8 - 30"),
    ("inet", "inet '10.0.0.0' + n"),
    ("int4[]", "array[n % 3, n]::int4[]"),
    ("interval", "n * interval '1 s'"),
];

/// Types of other columns, each with an expression for a value out of few.
const COLUMNS: &[(&str, &str)] = &[
    ("int4", "r"),
    ("int8", "r * 4294967296"),
    ("text", "chr((r + 65)::int)"),
    ("bool", "r % 2 = 0"),
    ("numeric", "(r / 10.0)::numeric(10, 1) + 0.00"),
    ("float8", "-r / 3.0::float8"),
    (
        "timestamptz",
        "timestamptz '2020-01-21' + r * interval '1 h'",
    ),
    ("jsonb", "jsonb_build_object('a', r)"),
    ("json", "json_build_object('a', r)"),
    ("text[]", "array[r::text, null]"),
    ("bytea", "int8send(r)"),
    ("interval", "r * interval '1 day'"),
];

/// A table's definition, a SELECT of its rows for given numbers, and the condition that finds a row again.
fn table(dice: &mut Dice, name: &str) -> (String, Vec<String>, String) {
    let mut columns = Vec::new();
    let mut values = Vec::new();
    let keys = dice.below(4).min(2);
    for i in 0..keys {
        let (sql_type, value) = dice.pick(KEYS);
        // The second column of a key repeats.
        let n = if i == 1 { "(n % 5)" } else { "n" };
        columns.push(format!("k{i} {sql_type}"));
        let value = value
            .replace("(n ", &format!("({n} "))
            .replace("n::", &format!("{n}::"));
        values.push(value);
    }
    let key: Vec<String> = (0..keys).map(|i| format!("k{i}")).collect();
    for i in 0..dice.below(5) + u64::from(keys == 0) {
        let (sql_type, value) = dice.pick(COLUMNS);
        columns.push(format!("c{i} {sql_type}"));
        let few = dice.below(4) + 2;
        values.push(format!(
            "(select case when r > 0 then {value} end from (select (n * 7919 / 13) % {few} as r) r)"
        ));
    }
    if keys > 0 {
        columns.push(format!("primary key ({})", key.join(", ")));
    }
    let definition = format!("create table {name} ({});", columns.join(", "));
    (definition, values, key.join(", "))
}

/// One database of six random tables and its random edits.
async fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let (mut before, mut after) = (String::new(), String::new());
    for i in 0..6 {
        let name = format!("t{i}");
        let (definition, values, key) = table(&mut dice, &name);
        let select = values.join(", ");
        let rows = dice.below(200) + 1;
        before.push_str(&format!(
            "{definition} insert into {name} select {select} from generate_series(1, {rows}::int8) n;\n"
        ));
        let (every, offset) = (dice.below(60) + 2, dice.below(60));
        let chosen = format!(
            "ctid in (select ctid from (select ctid, row_number() over (order by ctid) as n from {name}) s
                       where n % {every} = {offset})"
        );
        if dice.below(4) > 0 {
            after.push_str(&format!("delete from {name} where {chosen};\n"));
        }
        // A range of rows, as an application deletes them.
        if dice.below(3) == 0 {
            after.push_str(&format!(
                "delete from {name} where ctid < '(0,{})';\n",
                dice.below(40)
            ));
        }
        if values.len() > key.split(", ").filter(|k| !k.is_empty()).count() {
            let last = values.len() - 1 - key.split(", ").filter(|k| !k.is_empty()).count();
            let column = format!("c{last}");
            after.push_str(&format!(
                "update {name} set {column} = null where {};\n",
                chosen.replace(
                    &format!("= {offset})"),
                    &format!("= {})", (offset + 1) % every)
                )
            ));
        }
        let born = dice.below(30);
        after.push_str(&format!(
            "insert into {name} select {select} from generate_series({rows}::int8 + 1, {rows} + {born}) n;\n"
        ));
    }
    let (snapshot, live) = pair_dumped(&before);
    live.run(&after);
    check_library(&snapshot, &live).await;
}

#[tokio::test]
async fn random_tables_and_edits() {
    let seeds = if crate::support::long() {
        0..150
    } else {
        0..15
    };
    for seed in seeds {
        let played = tokio::spawn(play(seed)).await;
        played.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}
