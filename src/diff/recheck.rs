//! Asks again, by key and by the other side's own `=`, whether a row is really missing there: that side moves while
//! it is read, and two keys can be equal without being identical (1.0 and 1.00).

use std::collections::HashSet;

use crate::catalog::{Column, Table};
use crate::ident::{Key, array_literal, quote_ident};
use crate::pg::{PgError, Session};

/// How many keys one question holds.
const KEYS_A_QUESTION: usize = 2_000;

/// Which of `keys` (by position) exist in `table`.
pub(super) async fn existing(
    session: &Session,
    table: &Table,
    key: &[&Column],
    keys: &[&Key],
) -> Result<HashSet<usize>, PgError> {
    let mut found = HashSet::new();
    let names: Vec<String> = (0..key.len()).map(|i| format!("k{i}")).collect();
    let arrays: Vec<String> = (0..key.len())
        .map(|i| format!("${}::text[]", i + 1))
        .collect();
    let equal: Vec<String> = key
        .iter()
        .zip(&names)
        .map(|(c, n)| format!("t.{} = k.{n}::{}", quote_ident(&c.name), c.type_name))
        .collect();
    let sql = format!(
        "select k.n from unnest({}) with ordinality as k({}, n)
          where exists (select from {} t where {})",
        arrays.join(", "),
        names.join(", "),
        table.from_sql(),
        equal.join(" and "),
    );
    for (base, chunk) in keys.chunks(KEYS_A_QUESTION).enumerate() {
        let values: Vec<String> = (0..key.len())
            .map(|i| array_literal(chunk.iter().map(|k| k.0.get(i).map(String::as_str))))
            .collect();
        let params: Vec<&str> = values.iter().map(String::as_str).collect();
        for row in session
            .ask(
                &format!("looking for keys in {}", table.name),
                &sql,
                &params,
            )
            .await?
        {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1);
            found.insert(base * KEYS_A_QUESTION + n - 1);
        }
    }
    Ok(found)
}
