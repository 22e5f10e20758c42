//! The one expression that hashes a row.
//!
//! The server computes it on both sides, so equal rows must give equal hashes on any two servers of versions 14 to
//! 18, and different rows different ones. Three traits of the server's hash functions shape it:
//!
//! - `hash_record_extended` is linear in its columns (31·h + column), so values swapped between two rows would cancel
//!   in an aggregate. Here every row is hashed with its key's hash as the seed, which each column's hash mixes in
//!   nonlinearly; a key of several columns is folded the same way, seed into seed.
//! - `hashint8extended` folds a bigint to 32 bits first (1 and 2³² collide): the upper half enters as well.
//! - Some types hash what is not their value (an enum its label's OID), or equate what a person would not (1.0 and
//!   1.00): only types whose equality is equality of bytes enter as they are, all others as their text.
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
}

/// SQL expressions over an alias, of type int8, never NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashExpressions {
    /// Hash of the key; 0 for a table without one.
    pub key: String,
    /// Hash of the whole row.
    pub row: String,
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

/// Builds the expressions for rows of `alias`. `key` and `rest` partition the columns compared; a table without a key
/// passes none.
pub fn hash_expressions(
    alias: &str,
    key: &[HashedColumn],
    rest: &[HashedColumn],
) -> HashExpressions {
    let key_hash = key.iter().fold(String::from("0::int8"), |seed, column| {
        fold(alias, column, &seed)
    });
    let elements: Vec<String> = rest.iter().flat_map(|c| elements(alias, c)).collect();
    let row = if elements.is_empty() {
        key_hash.clone()
    } else {
        format!(
            "hash_record_extended(row({}), {key_hash})",
            elements.join(", ")
        )
    };
    // Without a key nothing seeds the record's hash: two roundtrips through a nonlinear step do instead.
    let row = if key.is_empty() {
        format!("hash_record_extended(row(int8send({row})), 1)")
    } else {
        row
    };
    HashExpressions { key: key_hash, row }
}

fn reference(alias: &str, column: &HashedColumn) -> String {
    format!("{alias}.{}", quote_ident(&column.name))
}

/// Hashes one key column under a seed.
fn fold(alias: &str, column: &HashedColumn, seed: &str) -> String {
    let c = reference(alias, column);
    match column.builtin.as_deref() {
        Some("int2" | "int4") => format!("hashint8extended({c}, {seed})"),
        Some("int8") => format!("hashint8extended({c}, ({seed}) # ({c} >> 32))"),
        Some("uuid") => format!("uuid_hash_extended({c}, {seed})"),
        _ => format!("hashtextextended({c}::text collate \"C\", {seed})"),
    }
}

/// What a column contributes to the record.
fn elements(alias: &str, column: &HashedColumn) -> Vec<String> {
    let c = reference(alias, column);
    match column.builtin.as_deref() {
        Some("int8") => vec![c.clone(), format!("{c} >> 32")],
        Some("text" | "varchar") => vec![format!("{c} collate \"C\"")],
        Some(t) if AS_IS.contains(&t) => vec![c],
        _ => vec![format!("{c}::text collate \"C\"")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, builtin: Option<&str>) -> HashedColumn {
        HashedColumn {
            name: name.into(),
            builtin: builtin.map(Into::into),
        }
    }

    #[test]
    fn keys_seed_rows() {
        let e = hash_expressions("t", &[column("id", Some("int4"))], &[column("mood", None)]);
        assert_eq!(e.key, "hashint8extended(t.\"id\", 0::int8)");
        assert_eq!(
            e.row,
            format!(
                "hash_record_extended(row(t.\"mood\"::text collate \"C\"), {})",
                e.key
            )
        );
    }
}
