//! What is read of a row besides its values: a hash of some columns, the same in two databases where their texts are the same; when
//! it was committed.

use crate::ident::quote_ident;

/// When a row `t` was committed, as RFC 3339, as SQL; for servers with `track_commit_timestamp`.
pub const COMMITTED: &str = r#"to_char(pg_xact_commit_timestamp(t.xmin) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

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
