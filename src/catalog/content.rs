//! The hash of what some columns of a row hold, the same in two databases where their texts are the same.

use crate::ident::quote_ident;

/// SHA-256 of the columns' texts, hex, as SQL over `alias`; no column's text can run into the next one's.
pub fn content_digest(alias: &str, columns: &[String]) -> String {
    let texts: Vec<String> = columns
        .iter()
        .map(|c| format!("{alias}.{}::text", quote_ident(c)))
        .collect();
    format!(
        "encode(sha256(convert_to(array[{}]::text[]::text, 'UTF8')), 'hex')",
        texts.join(", ")
    )
}
