//! A digest of the parts of a schema that decide what a restore does: what was rehearsed and what runs are compared
//! by it.

use sha2::{Digest, Sha256};

use crate::ident::TableName;

use super::model::{Schema, Table};

/// SHA-256, in hex, over the definitions of `tables` in the given order: columns, types, keys, unique constraints,
/// triggers, rules, row security, and the foreign keys that touch them. Sizes and statistics do not count.
pub fn fingerprint<'a>(schema: &Schema, tables: impl IntoIterator<Item = &'a TableName>) -> String {
    let mut digest = Sha256::new();
    for name in tables {
        let Some(table) = schema.tables.get(name) else {
            continue;
        };
        let definition = Table {
            estimated_rows: 0,
            pages: 0,
            all_pages: 0,
            bytes: 0,
            correlation: None,
            readable: true,
            insertable: true,
            ..table.clone()
        };
        let keys: Vec<_> = schema
            .foreign_keys
            .iter()
            .filter(|k| k.child == *name || k.parent == *name)
            .collect();
        // Serialising plain data cannot fail; an empty text would only make two fingerprints differ.
        digest.update(serde_json::to_vec(&(definition, keys)).unwrap_or_default());
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
