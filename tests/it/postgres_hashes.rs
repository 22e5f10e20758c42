//! What PostgreSQL's hashes and comparisons do in the corners that `diff` builds upon, so that a server that does
//! otherwise is noticed here and not in a comparison. No code of the program is involved.

use crate::support::{database, database_with, pair, pair_dumped};

/// `31 * h + column`: values exchanged between two rows leave the sum over the rows as it was; a nonlinear step before
/// the sum does not.
#[test]
fn the_hash_of_a_record_is_linear_in_its_columns() {
    let db = database();
    db.run(
        "create table old (a int, b int); insert into old values (1, 1), (2, 2);
         create table new (a int, b int); insert into new values (1, 2), (2, 1);",
    );
    let sum = |table: &str, mixed: &str| {
        db.query_text(&format!(
            "select sum({mixed}) from (select hash_record_extended(t.*, 0) as h from {table} t) s"
        ))
    };
    assert_eq!(sum("old", "h"), sum("new", "h"));
    assert_ne!(sum("old", "h # (h >> 29)"), sum("new", "h # (h >> 29)"));
    // A seed that is the key's hash mixes in nonlinearly too.
    let seeded = |table: &str| {
        db.query_text(&format!(
            "select bit_xor(hash_record_extended(row(t.b), hashint8extended(t.a, 0))) from {table} t"
        ))
    };
    assert_ne!(seeded("old"), seeded("new"));
}

/// Rows with nothing but NULL all hash to 0, whatever the seed.
#[test]
fn null_adds_nothing_to_the_hash_of_a_record() {
    let db = database();
    let hash =
        |row: &str, seed: i64| db.count(&format!("select hash_record_extended({row}, {seed})"));
    assert_eq!(hash("row(null::int, null::text)", 1), 0);
    assert_eq!(hash("row(null::int, null::text)", 2), 0);
    assert_ne!(hash("row(1)", 1), hash("row(1)", 2));
    let complaint = db.run_failing("select hash_record_extended(row('x'), 0)");
    assert!(complaint.contains("unknown"), "{complaint}");
}

#[test]
fn a_bigint_is_folded_before_it_is_hashed() {
    let db = database();
    for (one, other) in [("1", "4294967296"), ("-1", "4294967295")] {
        let same = format!("select hashint8extended({one}, 0) = hashint8extended({other}, 0)");
        assert_eq!(db.query_text(&same), "t", "{one} and {other}");
    }
    // Timestamps are bigints too: equal hashes of these two are a fold, and no chance.
    let same = "select timestamp_hash_extended('2000-01-01 00:00:00.000001', 0)
                     = timestamp_hash_extended('2000-01-01 01:11:34.967296', 0)";
    assert_eq!(db.query_text(same), "t");
}

/// An enum hashes by its label's OID, which a restored dump does not keep; inside arrays, domains and composites too.
#[test]
fn an_enum_hashes_differently_after_a_dump() {
    let setup = "create type mood as enum ('sad', 'ok'); create domain strong as mood; create type pair as (m mood);
                 create table t (m mood, a mood[], d strong, p pair);
                 insert into t values ('sad', '{ok}', 'sad', '(ok)')";
    let questions = [
        "hashenumextended(m, 0)",
        "hash_array_extended(a, 0)",
        "hash_record_extended(row(d), 0)",
        "hash_record_extended(p, 0)",
    ];
    let (dumped, live) = pair_dumped(setup);
    let (copied, _) = pair(setup);
    for question in questions {
        let sql = format!("select {question} from t");
        assert_ne!(dumped.query_text(&sql), live.query_text(&sql), "{question}");
    }
    let text = "select hashtextextended(t::text, 0) from t";
    assert_eq!(dumped.query_text(text), live.query_text(text));
    assert_eq!(copied.query_text(text), live.query_text(text));
}

#[test]
fn equal_hash_of_what_is_not_identical() {
    let db = database();
    for (sql_type, one, other) in [
        ("numeric", "1.0", "1.00"),
        ("numeric[]", "{1.0}", "{1.00}"),
        ("jsonb", "{\"a\":1.0}", "{\"a\":1.00}"),
        ("interval", "1 mon", "30 days"),
        ("float8", "0", "-0"),
    ] {
        let sql = format!(
            "select a = b, hash_record_extended(row(a), 0) = hash_record_extended(row(b), 0), a::text = b::text
               from (select '{one}'::{sql_type} as a, '{other}'::{sql_type} as b) s"
        );
        assert_eq!(db.query_text(&sql), "t|t|f", "{sql_type}");
    }
    // The elements alone are hashed; where the numbering begins is not.
    let bounds = "select hash_array_extended('{1,2}'::int[], 0) = hash_array_extended('[0:1]={1,2}'::int[], 0)";
    assert_eq!(db.query_text(bounds), "t");
}

#[test]
fn types_without_an_extended_hash() {
    let db = database();
    for (sql_type, value) in [
        ("json", "1"),
        ("xml", "<a/>"),
        ("bit(2)", "01"),
        ("money", "1"),
        ("tsvector", "a"),
        ("path", "((0,0))"),
        ("polygon", "((0,0))"),
        ("circle", "<(0,0),1>"),
    ] {
        let complaint = db.run_failing(&format!(
            "select hash_record_extended(row('{value}'::{sql_type}), 0)"
        ));
        assert!(
            complaint.contains("could not identify an extended hash function"),
            "{sql_type}: {complaint}"
        );
    }
}

/// `text::text` keeps the collation of its column: under a nondeterministic one, `A` and `a` hash alike.
#[test]
fn a_cast_to_text_keeps_the_collation() {
    let db = database();
    db.run(
        "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table t (v text collate anycase); insert into t values ('A'), ('a')",
    );
    let hashes = |value: &str| {
        db.count(&format!(
            "select count(distinct hash_record_extended(row({value}), 0)) from t"
        ))
    };
    assert_eq!(hashes("v::text"), 1);
    assert_eq!(hashes("v collate \"C\""), 2);
    assert_eq!(hashes("v::text collate \"C\""), 2);
}

/// The same bounds hold other rows under another order.
#[test]
fn ranges_of_text_depend_on_the_collation() {
    let db = database();
    let counts = |collation: &str| {
        db.query_text(&format!(
            "select count(*) filter (where v < 'B'), count(*) filter (where v >= 'B' and v < 'a'),
                    count(*) filter (where v >= 'a')
               from (select v collate \"{collation}\" as v
                       from unnest(array['A', 'AB', 'B', 'C', 'Z', 'a', 'b', 'c', 'z']) v) s"
        ))
    };
    assert_eq!(counts("C"), "2|3|4");
    let icu = counts("en-x-icu");
    assert_ne!(icu, "2|3|4");
    assert!(icu.contains("|0|"), "{icu}");
}

#[test]
fn binary_forms_of_equal_numbers_differ() {
    let db = database();
    let sql = "select numeric_send(1.0) = numeric_send(1.00), 1.0 = 1.00";
    assert_eq!(db.query_text(sql), "f|t");
}

/// Rows that a policy hides vanish without a word; with `row_security = off` the question is refused.
#[test]
fn row_security_hides_rows_in_silence() {
    let db = database();
    let role = format!("hidden_from_{}", db.name);
    db.run(&format!(
        "create table t (id int); insert into t values (1), (2); alter table t enable row level security;
         create policy one on t using (id = 1); create role {role}; grant select on t to {role}"
    ));
    let count = format!("set role {role}; select count(*) from t");
    assert_eq!(db.count(&count), 1);
    let complaint = db.run_failing(&format!("set row_security = off; {count}"));
    assert!(
        complaint.contains("row-level security policy"),
        "{complaint}"
    );
    db.run(&format!("drop table t; drop role {role}"));
}

/// The same on every server of these versions, whatever the database's encoding or collation: two servers are compared
/// by them. Values seen on 15, 16 and 18.
#[test]
fn hashes_are_stable() {
    let utf8 = database();
    let c = database_with("template template0 encoding 'UTF8' locale 'C'");
    for (expression, expected) in [
        ("hashint8extended(42, 0)", HASHES[0]),
        ("hashint8extended(-42, 7)", HASHES[1]),
        ("hashtextextended('reinstate', 0)", HASHES[2]),
        ("uuid_hash_extended('01234567-89ab-cdef-0123-456789abcdef', 1)", HASHES[3]),
        (
            "hash_record_extended(row(1, 'é'::text collate \"C\", true, date '2020-01-21', '\\x00ff'::bytea,
                timestamptz '2020-01-21 16:40:00+01', '10.0.0.1'::inet, null::int), 5)",
            HASHES[4],
        ),
    ] {
        for db in [&utf8, &c] {
            assert_eq!(db.count(&format!("select {expression}")), expected, "{expression}");
        }
    }
}

const HASHES: [i64; 5] = [
    8_010_225_493_015_854_792,
    6_033_324_055_675_605_895,
    -6_712_909_089_213_963_788,
    -8_141_903_225_782_864_341,
    5_136_702_727_717_397_947,
];
