//! Asks again, by key and by the other side's own `=`, whether a row is really missing there: that side moves while
//! it is read, and two keys can be equal without being identical (1.0 and 1.00).

use std::collections::HashSet;

use crate::catalog::{Locator, Table};
use crate::ident::Key;
use crate::pg::{PgError, Session};

/// How many keys one question holds.
const KEYS_A_QUESTION: usize = 2_000;

/// Which of `keys` (by position) exist in `table`.
pub(super) async fn existing(
    session: &Session,
    table: &Table,
    key: &[String],
    keys: &[&Key],
) -> Result<HashSet<usize>, PgError> {
    let locator = Locator::by_names(table, key);
    let mut found = HashSet::new();
    for (base, chunk) in keys.chunks(KEYS_A_QUESTION).enumerate() {
        let sql = format!(
            "select k.n from {} where exists (select from {} t where {})",
            locator.list(chunk.iter().copied()),
            table.from_sql(),
            locator.matches("t"),
        );
        for row in session
            .ask(&format!("looking for keys in {}", table.name), &sql, &[])
            .await?
        {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1);
            found.insert(base * KEYS_A_QUESTION + n - 1);
        }
    }
    Ok(found)
}
