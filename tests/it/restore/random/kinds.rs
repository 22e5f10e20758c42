//! Types of columns, and values for them.

/// A type: values that are all different, and values out of few, for a number.
pub(super) struct Kind {
    pub(super) sql: &'static str,
    pub(super) value: fn(u64) -> String,
}

/// Texts that are hard to carry.
const ODD: &[&str] = &[
    "x",
    "Ü",
    "it's",
    "tab\there",
    "new\nline",
    "\\N",
    "\\",
    "null",
    "",
    "{\"a\"}",
    "\"",
    "cr\rlf",
    ",",
    "\\.",
];

fn text(n: u64) -> String {
    format!("{}{n}", ODD[(n % ODD.len() as u64) as usize])
}

fn uuid(n: u64) -> String {
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-0000-4000-8000-{n:012x}", mixed >> 32)
}

/// What keys are made of: a value of its own for each number.
pub(super) const KEYS: &[Kind] = &[
    Kind {
        sql: "int4",
        value: |n| format!("{}", n * 3 + 1),
    },
    Kind {
        sql: "int8",
        value: |n| format!("{}", n as i64 * 4_294_967_296 - 1_000_000_000_000),
    },
    Kind {
        sql: "uuid",
        value: uuid,
    },
    Kind {
        sql: "text",
        value: text,
    },
    Kind {
        sql: "varchar(40)",
        value: text,
    },
    Kind {
        sql: "numeric",
        value: |n| format!("{n}.50"),
    },
    Kind {
        sql: "timestamptz",
        value: |n| format!("2020-01-21 16:40:{:02}.{n:06}+01", n % 60),
    },
];

/// What other columns are made of; whoever wants few values gives few numbers.
pub(super) const COLUMNS: &[Kind] = &[
    Kind {
        sql: "text",
        value: text,
    },
    Kind {
        sql: "int4",
        value: |n| n.to_string(),
    },
    Kind {
        sql: "numeric",
        value: |n| ["NaN", "1.0", "1.00", "-0.5", "1e30"][n as usize % 5].into(),
    },
    Kind {
        sql: "float8",
        value: |n| ["NaN", "-Infinity", "-0", "0.1", "1e-300"][n as usize % 5].into(),
    },
    Kind {
        sql: "bool",
        value: |n| (n % 2 == 0).to_string(),
    },
    Kind {
        sql: "jsonb",
        value: |n| format!("{{\"a\": [{n}, null, \"\\u00fc\"]}}"),
    },
    Kind {
        sql: "json",
        value: |n| format!("{{ \"b\":  {n}, \"b\": 1 }}"),
    },
    Kind {
        sql: "bytea",
        value: |n| format!("\\x00{n:02x}0aff5c"),
    },
    Kind {
        sql: "text[]",
        value: |n| format!("{{\"a,{n}\",NULL,\"\\\\\",\"\"}}"),
    },
    Kind {
        sql: "date",
        value: |n| ["infinity", "-infinity", "2020-02-29"][n as usize % 3].into(),
    },
    Kind {
        sql: "interval",
        value: |n| ["30 days", "1 mon", "-00:00:01"][n as usize % 3].into(),
    },
    Kind {
        sql: "mood",
        value: |n| ["sad", "so so", "it's fine"][n as usize % 3].into(),
    },
    Kind {
        sql: "small",
        value: |n| (n % 9).to_string(),
    },
    Kind {
        sql: "place",
        value: |n| format!("({n},\"a \"\"b\"\"\")"),
    },
    Kind {
        sql: "int4range",
        value: |n| format!("[{n},{})", n + 3),
    },
    Kind {
        sql: "char(6)",
        value: |n| n.to_string(),
    },
];

/// The types of which there are none by nature.
pub(super) const TYPES: &str = "create type mood as enum ('sad', 'so so', 'it''s fine');
create domain small as int2 check (value < 10);
create type place as (x int, y text);
create schema \"Other One\";
";
