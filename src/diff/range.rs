//! Compares by ranges of the key.
//!
//! A range is summed on both sides at once: a count and the XOR of the rows' hashes. Where both agree the range is
//! done. Where they differ, keys travel, and where content was asked for, the hashes of the rows that only one side has
//! are taken out of the sums: if the rest agrees, no row changed, and no content had to be read twice. Only otherwise
//! do all the range's hashes travel.
//!
//! When most ranges differ, sums are a wasted pass, and everything travels at once until ranges agree again: of the
//! time that reading and hashing all rows takes, sums cost the whole, keys a quarter more, keys with hashes a fifth
//! more.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::try_join_all;

use crate::catalog::{Locator, Table};
use crate::ident::Key;
use crate::pg::{PgError, Session};

use super::bounds::{KeyRange, ranges, split};
use super::habit::Habit;
use super::packed::{self, PackedRows, Packing};
use super::set::compare_sets;
use super::table::Work;
use super::{Change, Depth, DiffError, lines};

/// A range may hold so many times the rows it was meant to hold before it is cut again.
const TOO_LARGE: u64 = 4;
/// Beyond this many rows on one side only, reading the whole range is cheaper than looking them up.
const FEW: usize = 5_000;

/// Workers that share a session: while one compares what it got, the server answers the other.
const WORKERS_A_SESSION: usize = 2;

/// Runs the strategy over the whole table.
pub(super) async fn run(work: &Work<'_>) -> Result<(), DiffError> {
    let sides = [
        (&work.sides.snapshot, &work.table.snapshot),
        (&work.sides.live, &work.table.live),
    ];
    // The larger side decides where to cut.
    let Some((sessions, table)) = sides.into_iter().max_by_key(|(_, t)| t.all_pages) else {
        return Ok(());
    };
    let Some(first) = sessions.first() else {
        return Ok(());
    };
    let key = work.key_columns(table);
    let ranges = ranges(first, table, &key, work.options.chunk_rows).await?;
    let queue = Mutex::new(VecDeque::from(ranges));
    let habit = Habit::default();
    let packing = Packing::of(work.table.single_key_type().as_deref());
    let sessions = work.sides.snapshot.iter().zip(&work.sides.live);
    let workers = sessions
        .flat_map(|pair| [pair; WORKERS_A_SESSION])
        .map(|(snapshot, live)| {
            let pair = Pair {
                work,
                snapshot,
                live,
                queue: &queue,
                habit: &habit,
                packing,
            };
            pair.work_off()
        });
    try_join_all(workers).await?;
    Ok(())
}

/// One worker, with a session a side.
struct Pair<'a, 'w> {
    work: &'a Work<'w>,
    snapshot: &'a Session,
    live: &'a Session,
    queue: &'a Mutex<VecDeque<KeyRange>>,
    habit: &'a Habit,
    packing: Option<Packing>,
}

/// A count and the XOR of the rows' hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: i64,
}

/// Rows of a range, by the form in which their keys travel.
enum Rows {
    Packed(PackedRows),
    Text(Vec<(Box<[u8]>, u64)>),
}

impl Rows {
    fn len(&self) -> u64 {
        match self {
            Self::Packed(rows) => rows.len() as u64,
            Self::Text(rows) => rows.len() as u64,
        }
    }
}

impl Pair<'_, '_> {
    async fn work_off(self) -> Result<(), DiffError> {
        loop {
            let next = self.queue.lock().ok().and_then(|mut q| q.pop_front());
            let Some(range) = next else { return Ok(()) };
            self.range(range).await?;
        }
    }

    async fn range(&self, range: KeyRange) -> Result<(), DiffError> {
        // The outermost ranges are open-ended: only a count tells how large they are.
        if !range.is_open() && !self.habit.sums_pay() {
            return self.whole(range, self.work.options.depth).await;
        }
        let (a, b) = self.sums(&range).await?;
        if range.is_open() && a.rows.max(b.rows) > self.limit() {
            return self.cut(range, a.rows >= b.rows).await;
        }
        self.habit.saw(a != b);
        if a == b {
            self.work.seen(a.rows, b.rows);
            return Ok(());
        }
        if a.rows.max(b.rows) > self.limit() {
            return self.cut(range, a.rows >= b.rows).await;
        }
        if self.work.options.depth == Depth::Rows {
            let found = compare(self.fetch(&range, Depth::Keys).await?);
            if found.len() <= FEW && self.survivors_agree(a, b, &found).await? {
                self.work.seen(a.rows, b.rows);
                return self.work.confirm(self.snapshot, self.live, found).await;
            }
        }
        self.whole(range, self.work.options.depth).await
    }

    /// Rows beyond which a range is cut.
    fn limit(&self) -> u64 {
        self.work.options.chunk_rows * TOO_LARGE
    }

    /// Compares a range by everything in it.
    async fn whole(&self, range: KeyRange, depth: Depth) -> Result<(), DiffError> {
        let (a, b) = self.fetch(&range, depth).await?;
        let (rows_a, rows_b) = (a.len(), b.len());
        if rows_a.max(rows_b) > self.limit() {
            return self.cut(range, rows_a >= rows_b).await;
        }
        let found = compare((a, b));
        self.habit.saw(!found.is_empty());
        self.work.seen(rows_a, rows_b);
        self.work.confirm(self.snapshot, self.live, found).await
    }

    /// Puts a range that is too large back in pieces, cut where the larger side has its rows.
    async fn cut(&self, range: KeyRange, by_snapshot: bool) -> Result<(), DiffError> {
        let table = &self.work.table;
        let (session, table) = if by_snapshot {
            (self.snapshot, &table.snapshot)
        } else {
            (self.live, &table.live)
        };
        let key = self.work.key_columns(table);
        let pieces = split(session, table, &key, range, self.work.options.chunk_rows).await?;
        if let Ok(mut queue) = self.queue.lock() {
            queue.extend(pieces);
        }
        Ok(())
    }

    async fn sums(&self, range: &KeyRange) -> Result<(Sum, Sum), DiffError> {
        let hash = self.hash(self.work.options.depth);
        let one = async |session: &Session, table: &Table| -> Result<Sum, PgError> {
            let key = self.work.key_columns(table);
            let condition = range.condition(&key);
            let from = format!("{} t where {condition}", table.from_sql());
            // Live may have any number of rows beyond the snapshot's: what is too large need not be counted to its end.
            let sql = if range.is_open() {
                format!(
                    "select count(*), coalesce(bit_xor(h), 0) from (select {hash} as h from {from} limit {}) s",
                    self.limit() + 1
                )
            } else {
                format!("select count(*), coalesce(bit_xor({hash}), 0) from {from}")
            };
            let rows = session
                .ask(&format!("summing {}", table.name), &sql, &[])
                .await?;
            Ok(rows.first().map_or(Sum { rows: 0, hash: 0 }, |row| Sum {
                rows: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
                hash: row.get(1),
            }))
        };
        let table = &self.work.table;
        Ok(tokio::try_join!(
            one(self.snapshot, &table.snapshot),
            one(self.live, &table.live)
        )?)
    }

    fn hash(&self, depth: Depth) -> String {
        let hashes = self.work.table.hashes("t");
        if depth == Depth::Rows {
            hashes.row
        } else {
            hashes.key
        }
    }

    /// Whether the rows that both sides have are the same, given the sums of all rows and the rows that one side alone
    /// has. Live moves between the questions: then the sums do not fit, and everything is compared.
    async fn survivors_agree(
        &self,
        a: Sum,
        b: Sum,
        found: &[(Change, Key)],
    ) -> Result<bool, DiffError> {
        let hash = self.hash(Depth::Rows);
        let of = |change: Change| found.iter().filter(move |f| f.0 == change).map(|f| &f.1);
        let alone =
            async |session: &Session, table: &Table, keys: Vec<&Key>| -> Result<i64, PgError> {
                if keys.is_empty() {
                    return Ok(0);
                }
                let locator = Locator::by_names(table, &self.work.table.key);
                let sql = format!(
                    "select coalesce(bit_xor({hash}), 0) from {} join {} t on {}",
                    locator.list(keys.into_iter()),
                    table.from_sql(),
                    locator.matches("t"),
                );
                let rows = session
                    .ask(&format!("summing rows of {}", table.name), &sql, &[])
                    .await?;
                Ok(rows.first().map_or(0, |r| r.get(0)))
            };
        let table = &self.work.table;
        let (only_a, only_b) = tokio::try_join!(
            alone(
                self.snapshot,
                &table.snapshot,
                of(Change::Deleted).collect()
            ),
            alone(self.live, &table.live, of(Change::Inserted).collect())
        )?;
        Ok(a.hash ^ only_a == b.hash ^ only_b)
    }

    /// Fetches the rows of a range from both sides.
    async fn fetch(&self, range: &KeyRange, depth: Depth) -> Result<(Rows, Rows), DiffError> {
        let hash = (depth == Depth::Rows).then(|| self.hash(depth));
        let one = async |session: &Session, table: &Table| -> Result<Rows, DiffError> {
            match (self.packing, self.work.table.key.first()) {
                (Some(packing), Some(column)) => {
                    let rows =
                        packed::fetch(session, table, column, packing, range, hash.as_deref())
                            .await?;
                    Ok(Rows::Packed(rows))
                }
                _ => {
                    let key = self.work.key_columns(table);
                    let limit = self.limit() + 1;
                    let rows =
                        lines::fetch(session, table, &key, range, hash.as_deref(), limit).await?;
                    Ok(Rows::Text(rows))
                }
            }
        };
        let table = &self.work.table;
        tokio::try_join!(
            one(self.snapshot, &table.snapshot),
            one(self.live, &table.live)
        )
    }
}

fn compare(rows: (Rows, Rows)) -> Vec<(Change, Key)> {
    match rows {
        (Rows::Packed(a), Rows::Packed(b)) => packed::compare(&a, &b),
        (Rows::Text(a), Rows::Text(b)) => compare_sets(a, b)
            .into_iter()
            .map(|(c, k)| (c, lines::key_of_line(&k)))
            .collect(),
        // Both sides are asked in the same form.
        _ => Vec::new(),
    }
}
