//! Rows of tables without a key, in an after-snapshot: counted by content. Equal rows are the same row as far as anybody
//! can tell, so the first so many of them are there.

use std::collections::HashMap;

use crate::catalog::{Comparable, Locator};
use crate::diff::Candidates;
use crate::pg::{PgError, Session};

/// For each of `nodes`, whether the after-snapshot still has its content as often as it takes.
///
/// Reads the table once on both sides. Rows of that content that were never deleted are taken to be there first.
pub(super) async fn look(
    snapshot: &Session,
    after: &Session,
    pair: &Comparable,
    candidates: &Candidates,
    nodes: &[u32],
) -> Result<Vec<bool>, PgError> {
    let hash = pair.hashes("t").row;
    let name = &pair.snapshot.name;
    let keys: Vec<crate::ident::Key> = nodes.iter().map(|n| candidates.key(*n)).collect();
    let locator = Locator::by_place(pair.snapshot.kind);
    let sql = format!(
        "select k.n, {hash} from {} join {} t on {} order by k.n",
        locator.list(keys.iter()),
        pair.snapshot.from_sql(),
        locator.matches("t"),
    );
    let rows = snapshot
        .ask(&format!("reading {name} in the snapshot"), &sql, &[])
        .await?;
    let hashes: HashMap<usize, i64> = rows
        .iter()
        .map(|r| {
            (
                usize::try_from(r.get::<_, i64>(0)).unwrap_or(1) - 1,
                r.get(1),
            )
        })
        .collect();
    let mut wanted: Vec<String> = hashes.values().map(ToString::to_string).collect();
    wanted.sort();
    wanted.dedup();
    let count = async |session: &Session, from: String| -> Result<HashMap<i64, i64>, PgError> {
        let sql = format!(
            "select h, count(*) from (select {hash} as h from {from} t offset 0) s
              where h = any ('{{{}}}'::int8[]) group by h",
            wanted.join(",")
        );
        let rows = session
            .ask(&format!("counting rows of {name}"), &sql, &[])
            .await?;
        Ok(rows.iter().map(|r| (r.get(0), r.get(1))).collect())
    };
    let (ours, theirs) = tokio::try_join!(
        count(snapshot, pair.snapshot.from_sql()),
        count(after, pair.live.from_sql())
    )?;
    // Of each content: how many the snapshot has more than the after-snapshot. So many candidates are gone there.
    let mut gone: HashMap<i64, i64> = ours
        .iter()
        .map(|(h, n)| (*h, n - theirs.get(h).copied().unwrap_or(0)))
        .collect();
    Ok((0..nodes.len())
        .map(|n| {
            let Some(left) = hashes.get(&n).and_then(|h| gone.get_mut(h)) else {
                return false;
            };
            *left -= 1;
            *left < 0
        })
        .collect())
}
