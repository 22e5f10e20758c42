//! Keys of any type, and the hashes of their rows, as lines of a COPY.

use crate::catalog::{Column, Locator, Table};
use crate::ident::Key;
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

use super::DiffError;
use super::bounds::KeyRange;

/// Fetches the keys of a range, at most `limit` of them, with the rows' hashes where an expression for them is given
/// (zero otherwise). A key is the text of its columns (`::text`, which is not what COPY writes of a bool or an inet),
/// escaped as COPY does it.
pub(super) async fn fetch(
    session: &Session,
    table: &Table,
    key: &[&Column],
    range: &KeyRange,
    hash: Option<&str>,
    limit: u64,
) -> Result<Vec<(Box<[u8]>, u64)>, DiffError> {
    let keys = Locator::by_columns(key.iter().copied()).texts("t");
    let sql = format!(
        "copy (select {}, {} from {} t where {} limit {limit}) to stdout",
        hash.unwrap_or("0"),
        keys.join(", "),
        table.from_sql(),
        range.condition(key),
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
