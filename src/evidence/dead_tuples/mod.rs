//! Dead tuples: deleted rows that live has not cleaned away yet still stand on their pages, with the transaction that
//! deleted them.
//!
//! A source of last resort: one SELECT is enough to clean a page, so pages are read raw (`pageinspect`), one by one, before
//! anything else reads live's rows. It needs that extension and a superuser, and says *when* only where live keeps commit
//! times. Keys of integer, uuid and text type are read; others stay undetermined, as do long texts.
//!
//! A dead tuple is the snapshot's row only if it was there when the backup was taken: its inserting transaction is that of
//! the snapshot's own row (physical backups), or was committed before the backup. Of any other it is only known that the
//! snapshot's row was deleted no later. (That it is frozen proves nothing: a row created again can be frozen too.)
//!
//! Source: PostgreSQL manual, F.25 "pageinspect" and 73.6 "Database Page Layout".

use std::collections::{BTreeMap, HashMap};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

mod pages;
mod tuple;

use super::{Commits, EvidenceError, EvidenceSource, Hear, Interval, SourceKind, Testimony};
use crate::catalog::{Comparable, Locator};
use crate::diff::Candidates;
use crate::ident::{Key, TableName};
use crate::pg::{PgError, Session, system_identifier};
use tuple::Readable;

/// Candidates that one question about the snapshot holds.
const ROWS_A_QUESTION: usize = 5_000;

/// A deleted row on a page.
#[derive(Debug, Clone, Copy)]
struct Tuple {
    inserted_by: u32,
    deleted_by: u32,
}

/// The source.
pub struct DeadTuples {
    live: Session,
    snapshot: Session,
    /// Both are copies of one cluster, file by file: transactions have the same numbers.
    physical: bool,
    /// Schema of the extension, quoted.
    extension: String,
    tables: Vec<(TableName, Vec<(String, Readable)>)>,
    found: BTreeMap<TableName, HashMap<Key, Vec<Tuple>>>,
}

/// Why dead tuples cannot be read on live, if they cannot.
pub async fn obstacle(live: &Session) -> Result<Option<String>, PgError> {
    let sql = "select exists (select from pg_extension where extname = 'pageinspect'),
                      (select rolsuper from pg_roles where rolname = current_user),
                      pg_is_in_recovery()";
    let row = live
        .query_one("asking whether dead tuples can be read", sql, &[])
        .await?;
    let (installed, superuser): (bool, Option<bool>) = (row.get(0), row.get(1));
    Ok(if !installed {
        Some(
            "live has no extension pageinspect: CREATE EXTENSION pageinspect, as a superuser"
                .into(),
        )
    } else if superuser != Some(true) {
        Some("reading pages takes a superuser of live".into())
    } else {
        None
    })
}

impl DeadTuples {
    /// Takes sessions of its own. `tables` are those that will be compared.
    pub async fn new<'a>(
        live: Session,
        snapshot: Session,
        tables: impl IntoIterator<Item = &'a Comparable>,
    ) -> Result<Self, EvidenceError> {
        if let Some(reason) = obstacle(&live).await? {
            return Err(EvidenceError::DeadTuples { reason });
        }
        let sql = "select quote_ident(n.nspname) from pg_extension e
                     join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pageinspect'";
        let extension = live
            .query_one("looking for pageinspect", sql, &[])
            .await?
            .get(0);
        let physical = {
            let (a, b) = tokio::join!(system_identifier(&live), system_identifier(&snapshot));
            a.is_some() && a == b
        };
        let tables = tables
            .into_iter()
            .filter(|t| !t.key.is_empty())
            .filter_map(|t| {
                let readable = |name: &String| {
                    let column = t.live.column(name)?;
                    Some((name.clone(), Readable::of(column.builtin.as_deref())?))
                };
                let key = t.key.iter().map(readable).collect::<Option<Vec<_>>>()?;
                Some((t.live.name.clone(), key))
            })
            .collect();
        Ok(Self {
            live,
            snapshot,
            physical,
            extension,
            tables,
            found: BTreeMap::new(),
        })
    }

    async fn all(
        &self,
        candidates: &Candidates,
        period: Interval,
        hear: Hear<'_>,
    ) -> Result<Vec<String>, EvidenceError> {
        let mut transactions: Vec<u32> = Vec::new();
        for tuple in self.found.values().flat_map(HashMap::values).flatten() {
            transactions.extend([tuple.inserted_by, tuple.deleted_by]);
        }
        let commits = Commits::of(&self.live, transactions).await?;
        let mut said = 0_u64;
        for (t, table) in candidates.tables.iter().enumerate() {
            let Some(found) = self.found.get(&table.snapshot.name) else {
                continue;
            };
            let mut nodes: Vec<u32> = Vec::new();
            for key in found.keys() {
                nodes.extend(candidates.find_key(t, key));
            }
            nodes.sort_unstable();
            for chunk in nodes.chunks(ROWS_A_QUESTION) {
                let inserted = self.inserted_in_snapshot(candidates, t, chunk).await?;
                for node in chunk {
                    let tuples = found
                        .get(&candidates.key(*node))
                        .map_or(&[][..], Vec::as_slice);
                    let inserted = inserted.get(node).copied();
                    if let Some((interval, transaction)) = told(tuples, inserted, &commits, period)
                    {
                        said += 1;
                        hear(Testimony {
                            node: *node,
                            interval,
                            transaction,
                            source: SourceKind::DeadTuples,
                        });
                    }
                }
            }
        }
        Ok(self.notes(said, &commits))
    }

    fn notes(&self, said: u64, commits: &Commits) -> Vec<String> {
        let mut notes = vec![format!(
            "dead-tuples tells of {said} rows; it is a source of last resort, since reading a page can empty it"
        )];
        if said > 0 && commits.is_empty() {
            notes.push(
                "dead-tuples knows transactions but no times: live does not keep commit times (track_commit_timestamp)"
                    .into(),
            );
        }
        notes
    }

    /// The transactions that inserted the snapshot's own rows, where their numbers mean the same as live's.
    async fn inserted_in_snapshot(
        &self,
        candidates: &Candidates,
        table: usize,
        nodes: &[u32],
    ) -> Result<HashMap<u32, u32>, PgError> {
        if !self.physical {
            return Ok(HashMap::new());
        }
        let source = &candidates.tables[table].snapshot;
        let locator = Locator::of(source, &candidates.tables[table].key);
        let keys: Vec<Key> = nodes.iter().map(|n| candidates.key(*n)).collect();
        let sql = format!(
            "select k.n, t.xmin::text::int8 from {} join {} t on {}",
            locator.list(keys.iter()),
            source.from_sql(),
            locator.matches("t"),
        );
        let rows = self
            .snapshot
            .ask(
                &format!("reading {} in the snapshot", source.name),
                &sql,
                &[],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|r| {
                let n = usize::try_from(r.get::<_, i64>(0)).unwrap_or(1) - 1;
                (
                    nodes[n],
                    u32::try_from(r.get::<_, i64>(1)).unwrap_or_default(),
                )
            })
            .collect())
    }
}

/// What the dead tuples under one key say of the snapshot's row; `inserted` is the transaction that inserted that row, where
/// its number can be compared.
fn told(
    tuples: &[Tuple],
    inserted: Option<u32>,
    commits: &Commits,
    period: Interval,
) -> Option<(Interval, Option<u32>)> {
    let ended = |t: &Tuple| commits.interval(t.deleted_by);
    // A life that ended before the backup was another one's.
    let after_backup = |t: &Tuple| Some(ended(t)?.to > period.from?);
    let from_before = |t: &Tuple| {
        let begun = commits.interval(t.inserted_by)?;
        Some(begun.to <= period.from? && after_backup(t)?)
    };
    let same: Vec<&Tuple> = tuples
        .iter()
        .filter(|t| inserted == Some(t.inserted_by))
        .collect();
    let own: Vec<&Tuple> = match same.is_empty() {
        false => same,
        true => tuples
            .iter()
            .filter(|t| from_before(t) == Some(true))
            .collect(),
    };
    if let [tuple] = own.as_slice() {
        let ever = Interval {
            from: None,
            to: Timestamp::MAX,
        };
        return Some((ended(tuple).unwrap_or(ever), Some(tuple.deleted_by)));
    }
    // Rows that lived under this key after the backup: the snapshot's own was deleted no later than the first of them.
    let later = tuples.iter().filter(|t| after_backup(t) == Some(true));
    let to = later.filter_map(|t| Some(ended(t)?.to)).min()?;
    Some((Interval { from: None, to }, None))
}

impl EvidenceSource for DeadTuples {
    fn kind(&self) -> SourceKind {
        SourceKind::DeadTuples
    }

    fn read_first(&mut self) -> BoxFuture<'_, Result<(), EvidenceError>> {
        Box::pin(self.read())
    }

    fn testify<'a>(
        &'a mut self,
        candidates: &'a Candidates,
        period: Interval,
        hear: Hear<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, EvidenceError>> {
        Box::pin(self.all(candidates, period, hear))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_snapshots_own_row_is_dated() {
        let tuple = |inserted_by, deleted_by| Tuple {
            inserted_by,
            deleted_by,
        };
        let period = Interval {
            from: None,
            to: Timestamp::MAX,
        };
        let commits = Commits::default();
        let own = told(&[tuple(7, 20)], Some(7), &commits, period).unwrap();
        assert_eq!(own.1, Some(20));
        // Created again under the same key: another row, whose end says nothing without commit times.
        assert_eq!(told(&[tuple(15, 20)], Some(7), &commits, period), None);
        let both = told(&[tuple(7, 12), tuple(15, 20)], Some(7), &commits, period).unwrap();
        assert_eq!(both.1, Some(12));
    }
}
