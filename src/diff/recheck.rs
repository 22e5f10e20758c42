//! Asks again, by key and by the other side's own `=`, whether a row is really missing there: that side moves while
//! it is read, and two keys can be equal without being identical (1.0 and 1.00).

use std::collections::HashMap;

use crate::catalog::{Locator, Table};
use crate::ident::Key;
use crate::pg::{PgError, Session};

use super::set::Surplus;
use super::table::Work;
use super::{Change, Depth};

/// How many keys one question holds.
pub(super) const KEYS_A_QUESTION: usize = 2_000;

/// What is left of `found` when both sides are asked again. A key that turns out to be there, written otherwise or
/// read while it moved, is a changed row where the content differs, and nothing where it does not.
pub(super) async fn ask_again(
    work: &Work<'_>,
    snapshot: &Session,
    live: &Session,
    found: Vec<(Change, Key)>,
) -> Result<Vec<(Change, Key)>, PgError> {
    let of = |change: Change| {
        let keys = found.iter().filter(move |f| f.0 == change).map(|f| &f.1);
        keys.collect::<Vec<_>>()
    };
    let (deleted, inserted) = (of(Change::Deleted), of(Change::Inserted));
    let hash = match work.options.depth {
        Depth::Rows => work.table.hashes("t").row,
        Depth::Keys => "0::int8".to_owned(),
    };
    let key = &work.table.key;
    let (old, new) = (&work.table.snapshot, &work.table.live);
    let (forth, back) = (
        Locator::across(old, new, key),
        Locator::across(new, old, key),
    );
    let (in_live, in_snapshot) = tokio::try_join!(
        contents(live, new, &forth, &hash, &deleted),
        contents(snapshot, old, &back, &hash, &inserted)
    )?;
    let met: Vec<usize> = (0..deleted.len())
        .filter(|n| in_live.contains_key(n))
        .collect();
    let keys: Vec<&Key> = met.iter().map(|n| deleted[*n]).collect();
    let own = contents(snapshot, old, &Locator::by_names(old, key), &hash, &keys).await?;
    let changed: HashMap<usize, bool> = met
        .iter()
        .enumerate()
        .map(|(i, n)| (*n, own.get(&i) != in_live.get(n)))
        .collect();
    let (mut nth_deleted, mut nth_inserted) = (0_usize.., 0_usize..);
    let mut verdict = |change: Change| match change {
        Change::Deleted => match changed.get(&nth_deleted.next()?) {
            None => Some(Change::Deleted),
            Some(differs) => differs.then_some(Change::Changed),
        },
        Change::Inserted => (!in_snapshot.contains_key(&nth_inserted.next()?)).then_some(change),
        Change::Changed => Some(change),
    };
    let verdicts: Vec<Option<Change>> = found.iter().map(|f| verdict(f.0)).collect();
    let left = found.into_iter().zip(verdicts);
    Ok(left
        .filter_map(|((_, key), change)| Some((change?, key)))
        .collect())
}

/// Which of `keys` (by position) exist in `table`, each with `hash`: an expression of type int8 over the alias `t`.
pub async fn contents(
    session: &Session,
    table: &Table,
    locator: &Locator,
    hash: &str,
    keys: &[&Key],
) -> Result<HashMap<usize, i64>, PgError> {
    let mut found = HashMap::new();
    let mut parts: Vec<(usize, &[&Key])> = keys
        .chunks(KEYS_A_QUESTION)
        .enumerate()
        .map(|(i, part)| (i * KEYS_A_QUESTION, part))
        .collect();
    while let Some((base, part)) = parts.pop() {
        let sql = format!(
            "select k.n, {hash} from {} join {} t on {}",
            locator.list(part.iter().copied()),
            table.from_sql(),
            locator.matches("t"),
        );
        let doing = format!("looking for keys in {}", table.name);
        match session.ask(&doing, &sql, &[]).await {
            Ok(rows) => {
                for row in rows {
                    let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1);
                    found.insert(base + n - 1, row.get(1));
                }
            }
            // A value that this side cannot even write down is not there; the others are looked for without it.
            Err(e) if e.sqlstate().is_some_and(is_about_data) => {
                let (first, second) = part.split_at(part.len() / 2);
                if !first.is_empty() {
                    parts.push((base, first));
                    parts.push((base + first.len(), second));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Class 22, "data exception": a text that is no value of the type, a character that the encoding lacks.
fn is_about_data(sqlstate: &str) -> bool {
    sqlstate.starts_with("22")
}

/// Counts in live, in one statement, how often it has the contents that it seems to lack: slices read one after the
/// other miss a row that an update moves from a later slice to an earlier one. Takes back what is there.
pub(super) async fn count_again(
    work: &Work<'_>,
    live: &Session,
    found: &mut [Surplus<Box<[u8]>>],
) -> Result<(), PgError> {
    let deleted = |s: &&Surplus<Box<[u8]>>| s.change == Change::Deleted;
    // As signed, which is how the server writes them.
    let hashes: Vec<String> = found
        .iter()
        .filter(deleted)
        .map(|s| (s.hash as i64).to_string())
        .collect();
    if hashes.is_empty() {
        return Ok(());
    }
    let table = &work.table.live;
    let sql = format!(
        "select h, count(*) from (select {} as h from {} t offset 0) s
          where h = any ('{{{}}}'::int8[]) group by h",
        work.table.hashes("t").row,
        table.from_sql(),
        hashes.join(","),
    );
    let rows = session_rows(live, table, &sql).await?;
    for surplus in found.iter_mut().filter(|s| s.change == Change::Deleted) {
        let in_live = rows.get(&surplus.hash).copied().unwrap_or(0);
        surplus
            .places
            .truncate(surplus.snapshot.saturating_sub(in_live));
    }
    Ok(())
}

async fn session_rows(
    live: &Session,
    table: &Table,
    sql: &str,
) -> Result<HashMap<u64, usize>, PgError> {
    let rows = live
        .ask(&format!("counting rows of {}", table.name), sql, &[])
        .await?;
    let count = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(rows
        .iter()
        .map(|row| (row.get::<_, i64>(0) as u64, count(row.get(1))))
        .collect())
}
