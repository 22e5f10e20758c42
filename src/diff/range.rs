//! Compares by ranges of the key.
//!
//! A range is summed on both sides at once: a count and the XOR of the rows' hashes. Where both agree the range is
//! done. Where they differ, keys travel, and where content was asked for, the hashes of the rows that only one side has
//! are taken out of the sums: if the rest agrees, no row changed, and no row's hash had to travel. Only otherwise
//! do all the range's hashes.
//!
//! When most ranges differ, sums are a wasted pass, and keys travel at once, with the sums beside them. When the content
//! of most ranges differs as well, keys travel with the hashes of their rows. Of the time that hashing all rows takes,
//! keys beside the sums cost a fifth more, keys with hashes two fifths, and keys alone, which the index holds, a quarter.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::try_join_all;

use crate::catalog::Table;
use crate::ident::Key;
use crate::pg::Session;

use super::bounds::{KeyRange, ranges, split};
use super::habit::Habits;
use super::packed::{self, PackedRows, Packing, Travel};
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
    let mut ranges = VecDeque::from(ranges(first, table, &key, work.options.chunk_rows).await?);
    // The last is open-ended and takes several questions: done early, it keeps nobody waiting at the end.
    ranges.rotate_right(1);
    let queue = Mutex::new(ranges);
    let habits = Habits::default();
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
                habits: &habits,
                packing,
            };
            pair.work_off()
        });
    try_join_all(workers).await?;
    Ok(())
}

/// One worker, with a session a side.
pub(super) struct Pair<'a, 'w> {
    pub(super) work: &'a Work<'w>,
    pub(super) snapshot: &'a Session,
    pub(super) live: &'a Session,
    queue: &'a Mutex<VecDeque<KeyRange>>,
    habits: &'a Habits,
    pub(super) packing: Option<Packing>,
}

/// Rows of a range, by the form in which their keys travel.
enum Rows {
    Packed(PackedRows),
    Text(Vec<(Box<[u8]>, u64)>),
}

/// What one side answered about a range.
struct Fetched {
    rows: Rows,
    /// XOR of the rows' hashes, where it was asked for.
    sum: i64,
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
        let deep = self.work.options.depth == Depth::Rows;
        // The outermost ranges are open-ended: only a count tells how large they are.
        if range.is_open() || self.habits.ranges.seldom_differ() {
            return self.summed(range).await;
        }
        if deep && self.packing.is_some() && self.habits.contents.seldom_differ() {
            let (a, b) = self.fetch(&range, Travel::KeysAndSum).await?;
            let hash = self.work.table.hashes("t").content;
            return self.by_keys(range, (a, b), &hash).await;
        }
        self.whole(range).await
    }

    /// Compares a range by its sums first.
    async fn summed(&self, range: KeyRange) -> Result<(), DiffError> {
        let (a, b) = self.sums(&range).await?;
        let (rows, by_snapshot) = (a.rows.max(b.rows), a.rows >= b.rows);
        if range.is_open() && rows > self.limit() {
            return self.cut(range, by_snapshot).await;
        }
        self.habits.ranges.saw(a != b);
        if a == b {
            self.work.seen(a.rows, b.rows);
            return Ok(());
        }
        if rows > self.limit() {
            return self.cut(range, by_snapshot).await;
        }
        if self.work.options.depth == Depth::Keys || !self.habits.contents.seldom_differ() {
            return self.whole(range).await;
        }
        let (mut keys_a, mut keys_b) = self.fetch(&range, Travel::Keys).await?;
        keys_a.sum = a.hash;
        keys_b.sum = b.hash;
        let hash = self.work.table.hashes("t").row;
        self.by_keys(range, (keys_a, keys_b), &hash).await
    }

    /// Compares a range by its keys and the sums of its content by `hash`; by everything in it, where that is not enough.
    async fn by_keys(
        &self,
        range: KeyRange,
        (a, b): (Fetched, Fetched),
        hash: &str,
    ) -> Result<(), DiffError> {
        let (rows_a, rows_b, sums) = (a.rows.len(), b.rows.len(), (a.sum, b.sum));
        if rows_a.max(rows_b) > self.limit() {
            return self.cut(range, rows_a >= rows_b).await;
        }
        let found = compare((a.rows, b.rows));
        self.habits
            .ranges
            .saw(!found.is_empty() || sums.0 != sums.1);
        let none_in_both = rows_a == 0 || rows_b == 0;
        if !none_in_both {
            let agree = found.len() <= FEW && self.survivors_agree(sums, hash, &found).await?;
            self.habits.contents.saw(!agree);
            if !agree {
                return self.whole(range).await;
            }
        }
        self.work.seen(rows_a, rows_b);
        self.work.confirm(self.snapshot, self.live, found).await
    }

    /// Rows beyond which a range is cut.
    pub(super) fn limit(&self) -> u64 {
        self.work.options.chunk_rows * TOO_LARGE
    }

    /// Compares a range by everything in it.
    async fn whole(&self, range: KeyRange) -> Result<(), DiffError> {
        let travel = match self.work.options.depth {
            Depth::Keys => Travel::Keys,
            Depth::Rows => Travel::Hashes,
        };
        let (a, b) = self.fetch(&range, travel).await?;
        let (a, b) = (a.rows, b.rows);
        let (rows_a, rows_b) = (a.len(), b.len());
        if rows_a.max(rows_b) > self.limit() {
            return self.cut(range, rows_a >= rows_b).await;
        }
        let found = compare((a, b));
        self.habits.ranges.saw(!found.is_empty());
        let changed = found.iter().any(|f| f.0 == Change::Changed);
        self.habits.contents.saw(changed);
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

    /// Fetches the rows of a range from both sides.
    async fn fetch(
        &self,
        range: &KeyRange,
        travel: Travel,
    ) -> Result<(Fetched, Fetched), DiffError> {
        let hash = self.work.table.hashes("t").content;
        let one = async |session: &Session, table: &Table| -> Result<Fetched, DiffError> {
            if let (Some(packing), Some(column)) = (self.packing, self.work.table.key.first()) {
                let asked = (packing, column.as_str(), travel, hash.as_str());
                let (rows, sum) = packed::fetch(session, table, range, asked).await?;
                let rows = Rows::Packed(rows);
                return Ok(Fetched { rows, sum });
            }
            let key = self.work.key_columns(table);
            let hash = (travel == Travel::Hashes).then_some(hash.as_str());
            let rows = lines::fetch(session, table, &key, range, hash, self.limit() + 1).await?;
            Ok(Fetched {
                rows: Rows::Text(rows),
                sum: 0,
            })
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
