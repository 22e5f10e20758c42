//! Rows of tables without a key, in an after-snapshot: counted by content. Equal rows are the same row as far as anybody
//! can tell, so the first so many of them are there.

use std::collections::HashMap;

use super::seen::Seen;
use crate::catalog::{Comparable, Locator, Table};
use crate::diff::Candidates;
use crate::ident::Key;
use crate::pg::{PgError, Session};

/// Candidates that one question holds.
const ROWS_A_QUESTION: usize = 20_000;

/// For each of `nodes`, whether the after-snapshot still has its content as often as it takes. Where it has rows that the
/// snapshot has not, those may be these, edited: then nothing is said of what is missing.
///
/// Reads the table on both sides. Rows of that content that were never deleted are taken to be there first.
pub(super) async fn look(
    snapshot: &Session,
    after: &Session,
    pair: &Comparable,
    candidates: &Candidates,
    nodes: &[u32],
) -> Result<Vec<Seen>, PgError> {
    let hash = pair.hashes("t").row;
    let hashes = contents_of(snapshot, pair, &hash, candidates, nodes).await?;
    let mut wanted: Vec<i64> = hashes.values().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (ours, theirs) = tokio::try_join!(
        counts(snapshot, &pair.snapshot, &hash, &wanted),
        counts(after, &pair.live, &hash, &wanted)
    )?;
    // Of each content: how many the snapshot has more than the after-snapshot. So many candidates are gone there.
    let mut gone: HashMap<i64, i64> = ours
        .by_content
        .iter()
        .map(|(h, n)| (*h, n - theirs.by_content.get(h).copied().unwrap_or(0)))
        .collect();
    let all_gone: i64 = gone.values().filter(|n| **n > 0).sum();
    let absent = match theirs.all > ours.all - all_gone {
        true => Seen::Unclear,
        false => Seen::Absent,
    };
    Ok((0..nodes.len())
        .map(|n| {
            let Some(left) = hashes.get(&n).and_then(|h| gone.get_mut(h)) else {
                return Seen::Unclear;
            };
            *left -= 1;
            if *left < 0 { Seen::Present } else { absent }
        })
        .collect())
}

/// What each of `nodes` holds, by position.
async fn contents_of(
    snapshot: &Session,
    pair: &Comparable,
    hash: &str,
    candidates: &Candidates,
    nodes: &[u32],
) -> Result<HashMap<usize, i64>, PgError> {
    let locator = Locator::by_place(pair.snapshot.kind);
    let doing = format!("reading {} in the snapshot", pair.snapshot.name);
    let mut hashes = HashMap::new();
    for (c, chunk) in nodes.chunks(ROWS_A_QUESTION).enumerate() {
        let keys: Vec<Key> = chunk.iter().map(|n| candidates.key(*n)).collect();
        let sql = format!(
            "select k.n, {hash} from {} join {} t on {}",
            locator.list(keys.iter()),
            pair.snapshot.from_sql(),
            locator.matches("t"),
        );
        for row in snapshot.ask(&doing, &sql, &[]).await? {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
            hashes.insert(c * ROWS_A_QUESTION + n, row.get(1));
        }
    }
    Ok(hashes)
}

/// How often a table has each of some contents, and how many rows it has.
struct Counts {
    by_content: HashMap<i64, i64>,
    all: i64,
}

async fn counts(
    session: &Session,
    table: &Table,
    hash: &str,
    wanted: &[i64],
) -> Result<Counts, PgError> {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    // The contents asked for, and under NULL everything else.
    let sql = format!(
        "select case when h = any ('{{{}}}'::int8[]) then h end as content, count(*)
           from (select {hash} as h from {} t offset 0) s group by 1",
        wanted.join(","),
        table.from_sql(),
    );
    let doing = format!("counting rows of {}", table.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    let mut counts = Counts {
        by_content: HashMap::new(),
        all: 0,
    };
    for row in &rows {
        counts.all += row.get::<_, i64>(1);
        if let Some(content) = row.get::<_, Option<i64>>(0) {
            counts.by_content.insert(content, row.get(1));
        }
    }
    Ok(counts)
}
