//! The one expression that hashes a row.
//!
//! The server computes it on both sides, so equal rows must give equal hashes on any two servers of versions 14 to
//! 18, and different rows different ones. Three traits of the server's hash functions shape it:
//!
//! - `hash_record_extended` is linear in its columns (31·h + column), so values swapped between two rows would cancel
//!   in an aggregate. Here every row is hashed with its key's hash (a sole integer: the key itself) as the seed, which
//!   each column's hash mixes in nonlinearly; a key of several columns is folded the same way, seed into seed.
//! - `hashint8extended` folds a bigint to 32 bits first (1 and 2³² collide): the upper half enters as well.
//! - Some types hash what is not their value (an enum its label's OID), or equate what a person would not (1.0 and
//!   1.00): only types whose equality is equality of bytes enter as they are, all others as their text.
//!
//! - A NULL adds nothing to a record's hash: where all columns besides the key may be NULL, a constant goes first, or
//!   all such rows would hash to 0 and a sum would not see them. Where keys travel too, it need not.
//!
//! A numeric enters as its value and its scale, which together are its text, at a third of the price.
//!
//! Since keys are unique and hashes seeded by them, no two rows of one side share a hash, and `bit_xor` aggregates
//! them without the pairs that make XOR blind in general; a bag of rows needs sums instead.

use crate::ident::quote_ident;

/// A column as the hash sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedColumn {
    /// Name, unquoted.
    pub name: String,
    /// The built-in type both sides share, if they do.
    pub builtin: Option<String>,
    /// NOT NULL on both sides.
    pub not_null: bool,
    /// The two databases encode text differently.
    pub recoded: bool,
}

/// SQL expressions over an alias, of type int8, never NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashExpressions {
    /// Hash of the key; 0 for a table without one.
    pub key: String,
    /// Hash of the whole row.
    pub row: String,
    /// Hash of the row where its key travels beside it: as `row`, but 0 where all other columns are NULL.
    pub content: String,
}

/// Types whose equality is equality of bytes and that have an extended hash on every supported server.
const AS_IS: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "oid",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "inet",
    "macaddr",
];

/// The seed of a key's first column.
const NO_SEED: &str = "0::int8";

/// Columns of one record: the server allows 1,664.
const RECORD: usize = 1_600;

/// Builds the expressions for rows of `alias`. `key` and `rest` partition the columns compared; a table without a key
/// passes none.
pub fn hash_expressions(
    alias: &str,
    key: &[HashedColumn],
    rest: &[HashedColumn],
) -> HashExpressions {
    let key_hash = key.iter().fold(NO_SEED.to_owned(), |seed, column| {
        fold(alias, column, &seed)
    });
    let mut elements: Vec<String> = rest.iter().flat_map(|c| elements(alias, c)).collect();
    let seed = seed_of_row(alias, key).unwrap_or_else(|| key_hash.clone());
    let content = record(&elements, &seed).unwrap_or_else(|| key_hash.clone());
    if !elements.is_empty() && !rest.iter().any(|c| c.not_null) {
        elements.insert(0, "0".to_owned());
    }
    let row = record(&elements, &seed).unwrap_or_else(|| key_hash.clone());
    // Without a key nothing seeds the record's hash: two roundtrips through a nonlinear step do instead.
    let row = if key.is_empty() {
        format!("hash_record_extended(row(int8send({row})), 1)")
    } else {
        row
    };
    HashExpressions {
        key: key_hash,
        row,
        content,
    }
}

/// The hash of a record of these elements, the first part of it into the next where they are many; `None` where there
/// are none.
fn record(elements: &[String], seed: &str) -> Option<String> {
    let one =
        |elements: &[String]| format!("hash_record_extended(row({}), {seed})", elements.join(", "));
    elements
        .chunks(RECORD)
        .fold(None, |before: Option<String>, elements| {
            let Some(before) = before else {
                return Some(one(elements));
            };
            let mut all = vec![format!("int8send({before})")];
            all.extend_from_slice(elements);
            Some(one(&all))
        })
}

fn reference(alias: &str, column: &HashedColumn) -> String {
    format!("{alias}.{}", quote_ident(&column.name))
}

/// A sole integer is a seed as it is: every column's hash mixes all its bits in.
fn seed_of_row(alias: &str, key: &[HashedColumn]) -> Option<String> {
    let [column] = key else { return None };
    let c = reference(alias, column);
    match column.builtin.as_deref()? {
        "int8" => Some(c),
        "int2" | "int4" => Some(format!("{c}::int8")),
        _ => None,
    }
}

/// Hashes one key column under a seed.
fn fold(alias: &str, column: &HashedColumn, seed: &str) -> String {
    let c = reference(alias, column);
    match column.builtin.as_deref() {
        Some("int2" | "int4") => format!("hashint8extended({c}, {seed})"),
        Some("int8") if seed == NO_SEED => format!("hashint8extended({c}, {c} >> 32)"),
        Some("int8") => format!("hashint8extended({c}, ({seed}) # ({c} >> 32))"),
        Some("uuid") => format!("uuid_hash_extended({c}, {seed})"),
        _ if column.recoded => format!("hash_record_extended(row({}), {seed})", text(column, &c)),
        _ => format!("hashtextextended({}, {seed})", text(column, &c)),
    }
}

/// What a column contributes to the record.
fn elements(alias: &str, column: &HashedColumn) -> Vec<String> {
    let c = reference(alias, column);
    match column.builtin.as_deref() {
        Some("int8") => vec![c.clone(), format!("{c} >> 32")],
        Some("numeric") => vec![c.clone(), format!("scale({c})")],
        Some("text" | "varchar") if !column.recoded => vec![format!("{c} collate \"C\"")],
        Some(t) if AS_IS.contains(&t) => vec![c],
        _ => vec![text(column, &c)],
    }
}

/// A value as text, the same bytes on both sides.
fn text(column: &HashedColumn, reference: &str) -> String {
    if column.recoded {
        format!("convert_to({reference}::text, 'UTF8')")
    } else {
        format!("{reference}::text collate \"C\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, builtin: Option<&str>) -> HashedColumn {
        HashedColumn {
            name: name.into(),
            builtin: builtin.map(Into::into),
            not_null: true,
            recoded: false,
        }
    }

    #[test]
    fn keys_seed_rows() {
        let id = [column("id", Some("int4"))];
        let mut mood = column("mood", None);
        let e = hash_expressions("t", &id, &[mood.clone()]);
        assert_eq!(e.key, "hashint8extended(t.\"id\", 0::int8)");
        let record = "hash_record_extended(row(t.\"mood\"::text collate \"C\"), t.\"id\"::int8)";
        assert_eq!(e.row, record);
        mood.not_null = false;
        let nullable = hash_expressions("t", &id, &[mood]);
        assert_eq!(nullable.row, record.replace("row(", "row(0, "));
        assert_eq!(nullable.content, record);
    }

    #[test]
    fn a_numeric_is_its_value_and_its_scale() {
        let e = hash_expressions("t", &[], &[column("n", Some("numeric"))]);
        assert!(e.row.contains("row(t.\"n\", scale(t.\"n\"))"), "{}", e.row);
    }

    #[test]
    fn a_record_holds_what_the_server_allows() {
        let many: Vec<_> = (0..1_600)
            .map(|i| column(&format!("c{i}"), Some("int8")))
            .collect();
        let e = hash_expressions("t", &[], &many);
        assert_eq!(e.row.matches("hash_record_extended(").count(), 3);
        assert_eq!(e.row.matches(">> 32").count(), 1_600);
    }
}
