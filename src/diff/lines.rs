//! Keys of any type, and the hashes of their rows, as lines of a COPY.

use crate::catalog::{Column, Table};
use crate::ident::{Key, qualified_list, quote_literal};
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

use super::DiffError;
use super::bounds::KeyRange;

/// Fetches the keys of a range, at most `limit` of them, with the rows' hashes where an expression for them is given
/// (zero otherwise). A key is its fields as COPY writes them.
pub(super) async fn fetch(
    session: &Session,
    table: &Table,
    key: &[&Column],
    range: &KeyRange,
    hash: Option<&str>,
    limit: u64,
) -> Result<Vec<(Box<[u8]>, u64)>, DiffError> {
    let (condition, params) = range.condition(key);
    let columns: Vec<&str> = key.iter().map(|c| c.name.as_str()).collect();
    let sql = format!(
        "copy (select {}, {} from {} t where {} limit {limit}) to stdout",
        hash.unwrap_or("0"),
        qualified_list("t", &columns),
        table.from_sql(),
        inline(&condition, &params),
    );
    let mut lines = CopyLines::start(
        session,
        &format!("reading the keys of {}", table.name),
        &sql,
    )
    .await?;
    let mut rows = Vec::new();
    while let Some(line) = lines.next().await? {
        rows.push(hash_and_rest(&line).ok_or_else(|| DiffError::Answer {
            table: table.name.clone(),
            reason: "a line does not begin with a hash".into(),
        })?);
    }
    Ok(rows)
}

/// Takes the hash off the front of a line.
pub(super) fn hash_and_rest(line: &[u8]) -> Option<(Box<[u8]>, u64)> {
    let tab = line.iter().position(|b| *b == b'\t')?;
    let hash: i64 = std::str::from_utf8(&line[..tab]).ok()?.parse().ok()?;
    // The same 64 bits, read as unsigned.
    Some((line[tab + 1..].into(), hash as u64))
}

/// The key in the fields of a line.
pub(super) fn key_of_line(line: &[u8]) -> Key {
    Key(raw_fields(line)
        .map(|f| unescape(f).unwrap_or_default())
        .collect())
}

/// COPY takes no parameters: writes them into the text, last first so that `$12` is not taken for `$1`.
fn inline(condition: &str, params: &[&str]) -> String {
    let mut text = condition.to_owned();
    for (n, param) in params.iter().enumerate().rev() {
        let n = n + 1;
        text = text.replacen(
            &format!("${n}::"),
            &format!("{}::", quote_literal(param)),
            1,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_once_each() {
        let text = "t.a >= $1::text and t.b < $2::int8";
        assert_eq!(
            inline(text, &["$2::int8", "9"]),
            "t.a >= '$2::int8'::text and t.b < '9'::int8"
        );
    }
}
