//! Compares by ranges of the key.
//!
//! A range is summed on both sides at once: a count and the XOR of the rows' hashes. Where both agree the range is
//! done. Where they differ, the keys (and row hashes) of the range travel. When most ranges differ, sums are a wasted
//! pass, so they are left out until ranges agree again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::try_join_all;

use crate::catalog::{Column, Table};
use crate::ident::Key;
use crate::pg::copy::{CopyLines, raw_fields, unescape};
use crate::pg::{PgError, Session};

use super::bounds::{KeyRange, ranges, split};
use super::set::compare_sets;
use super::table::Work;
use super::{Change, Depth, DiffError};

/// A range may hold so many times the rows it was meant to hold before it is cut again.
const TOO_LARGE: u64 = 4;

/// Runs the strategy over the whole table.
pub(super) async fn run(work: &Work<'_>) -> Result<(), DiffError> {
    let Some(first) = work.sides.snapshot.first() else {
        return Ok(());
    };
    let table = &work.table.snapshot;
    // A dump that was never analysed has no row count: a page of rows is taken for sixty.
    let rows = if table.estimated_rows > 0 {
        table.estimated_rows
    } else {
        table.pages * 60
    };
    let ranges = ranges(
        first,
        table,
        &work.snapshot_key(),
        rows,
        work.options.chunk_rows,
    )
    .await?;
    let queue = Mutex::new(VecDeque::from(ranges));
    let habit = Habit::default();
    let workers = work
        .sides
        .snapshot
        .iter()
        .zip(&work.sides.live)
        .map(|(snapshot, live)| {
            let pair = Pair {
                work,
                snapshot,
                live,
                queue: &queue,
                habit: &habit,
            };
            pair.work_off()
        });
    try_join_all(workers).await?;
    Ok(())
}

/// How often ranges differed lately: per mille, moving average.
#[derive(Default)]
struct Habit(AtomicU32);

impl Habit {
    fn saw(&self, differs: bool) {
        let old = self.0.load(Ordering::Relaxed);
        let new = (old * 3 + if differs { 1_000 } else { 0 }) / 4;
        self.0.store(new, Ordering::Relaxed);
    }

    fn sums_pay(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 500
    }
}

/// One worker: a session a side.
struct Pair<'a, 'w> {
    work: &'a Work<'w>,
    snapshot: &'a Session,
    live: &'a Session,
    queue: &'a Mutex<VecDeque<KeyRange>>,
    habit: &'a Habit,
}

/// A count and an aggregate of hashes.
#[derive(PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: i64,
}

/// Rows of a range, by the form in which their keys travel.
enum Rows {
    Packed(Vec<(Packed, u64)>),
    Text(Vec<(Box<[u8]>, u64)>),
}

/// A key of fixed width: sixteen bytes hold an integer (with its sign flipped, so that bytes sort as numbers) or a
/// uuid.
type Packed = u128;

/// How a key of fixed width travels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Integer,
    Uuid,
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
        let limit = self.work.options.chunk_rows * TOO_LARGE;
        if self.habit.sums_pay() {
            let (a, b) = self.sums(&range).await?;
            self.habit.saw(a != b);
            if a == b {
                self.work.seen(a.rows, b.rows);
                return Ok(());
            }
            if a.rows.max(b.rows) > limit {
                return self.cut(range, a.rows >= b.rows).await;
            }
        }
        let (a, b) = self.rows(&range, limit).await?;
        let (rows_a, rows_b) = (a.len(), b.len());
        if rows_a.max(rows_b) > limit {
            return self.cut(range, rows_a >= rows_b).await;
        }
        let found = compare(a, b, self.packing());
        self.habit.saw(!found.is_empty());
        self.work.seen(rows_a, rows_b);
        self.work.confirm(self.snapshot, self.live, found).await
    }

    /// Puts a range that is too large back in pieces, cut where the larger side has its rows.
    async fn cut(&self, range: KeyRange, by_snapshot: bool) -> Result<(), DiffError> {
        let work = self.work;
        let (session, table, key) = if by_snapshot {
            (self.snapshot, &work.table.snapshot, work.snapshot_key())
        } else {
            (self.live, &work.table.live, work.live_key())
        };
        let pieces = split(session, table, &key, range, work.options.chunk_rows).await?;
        if let Ok(mut queue) = self.queue.lock() {
            queue.extend(pieces);
        }
        Ok(())
    }

    async fn sums(&self, range: &KeyRange) -> Result<(Sum, Sum), DiffError> {
        let hashes = self.work.table.hashes("t");
        let hash = if self.work.options.depth == Depth::Rows {
            hashes.row
        } else {
            hashes.key
        };
        let one =
            async |session: &Session, table: &Table, key: Vec<&Column>| -> Result<Sum, PgError> {
                let (condition, params) = range.condition(&key);
                let sql = format!(
                    "select count(*), coalesce(bit_xor({hash}), 0) from {} t where {condition}",
                    table.from_sql()
                );
                let rows = session
                    .ask(&format!("summing {}", table.name), &sql, &params)
                    .await?;
                Ok(rows.first().map_or(Sum { rows: 0, hash: 0 }, |row| Sum {
                    rows: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
                    hash: row.get(1),
                }))
            };
        let work = self.work;
        Ok(tokio::try_join!(
            one(self.snapshot, &work.table.snapshot, work.snapshot_key()),
            one(self.live, &work.table.live, work.live_key())
        )?)
    }

    fn packing(&self) -> Option<Packing> {
        match self.work.table.single_key_type().as_deref() {
            Some("int2" | "int4" | "int8" | "oid") => Some(Packing::Integer),
            Some("uuid") => Some(Packing::Uuid),
            _ => None,
        }
    }

    /// Fetches the rows of a range from both sides, at most `limit` and one.
    async fn rows(&self, range: &KeyRange, limit: u64) -> Result<(Rows, Rows), DiffError> {
        let work = self.work;
        let (s, l) = (&work.table.snapshot, &work.table.live);
        match self.packing() {
            Some(packing) => {
                let (a, b) = tokio::try_join!(
                    self.packed(self.snapshot, s, work.snapshot_key(), range, packing, limit),
                    self.packed(self.live, l, work.live_key(), range, packing, limit)
                )?;
                Ok((Rows::Packed(a), Rows::Packed(b)))
            }
            None => {
                let (a, b) = tokio::try_join!(
                    self.lines(self.snapshot, s, work.snapshot_key(), range, limit),
                    self.lines(self.live, l, work.live_key(), range, limit)
                )?;
                Ok((Rows::Text(a), Rows::Text(b)))
            }
        }
    }

    /// Keys and hashes of a range in two byte strings: no message a row, which is what a stream of keys mostly costs.
    async fn packed(
        &self,
        session: &Session,
        table: &Table,
        key: Vec<&Column>,
        range: &KeyRange,
        packing: Packing,
        limit: u64,
    ) -> Result<Vec<(Packed, u64)>, DiffError> {
        let (condition, params) = range.condition(&key);
        let column = key
            .first()
            .map(|c| crate::ident::quote_ident(&c.name))
            .unwrap_or_default();
        let send = match packing {
            Packing::Integer => "int8send(k::int8)",
            Packing::Uuid => "uuid_send(k)",
        };
        let (hash, hashes) = match self.work.options.depth {
            Depth::Rows => (
                self.work.table.hashes("t").row,
                "string_agg(int8send(h), '')",
            ),
            Depth::Keys => ("0::int8".to_owned(), "null::bytea"),
        };
        let sql = format!(
            "select string_agg({send}, ''), {hashes} from (
                select t.{column} as k, {hash} as h from {} t where {condition} limit {}) s",
            table.from_sql(),
            limit + 1
        );
        let rows = session
            .ask(
                &format!("reading the keys of {}", table.name),
                &sql,
                &params,
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(Vec::new());
        };
        let keys: &[u8] = row.get::<_, Option<&[u8]>>(0).unwrap_or_default();
        let hashes: &[u8] = row.get::<_, Option<&[u8]>>(1).unwrap_or_default();
        let mut hashes = hashes.chunks_exact(8).map(be64);
        Ok(match packing {
            Packing::Integer => keys
                .chunks_exact(8)
                .map(|k| {
                    (
                        Packed::from(be64(k) ^ (1 << 63)),
                        hashes.next().unwrap_or(0),
                    )
                })
                .collect(),
            Packing::Uuid => keys
                .chunks_exact(16)
                .map(|k| {
                    let (high, low) = k.split_at(8);
                    (
                        (Packed::from(be64(high)) << 64) | Packed::from(be64(low)),
                        hashes.next().unwrap_or(0),
                    )
                })
                .collect(),
        })
    }

    /// Keys and hashes of a range as lines of a COPY, for keys of any type.
    async fn lines(
        &self,
        session: &Session,
        table: &Table,
        key: Vec<&Column>,
        range: &KeyRange,
        limit: u64,
    ) -> Result<Vec<(Box<[u8]>, u64)>, DiffError> {
        let (condition, params) = range.condition(&key);
        let condition = inline(&condition, &params);
        let hash = match self.work.options.depth {
            Depth::Rows => self.work.table.hashes("t").row,
            Depth::Keys => "0".to_owned(),
        };
        let columns: Vec<&str> = key.iter().map(|c| c.name.as_str()).collect();
        let sql = format!(
            "copy (select {hash}, {} from {} t where {condition} limit {}) to stdout",
            crate::ident::qualified_list("t", &columns),
            table.from_sql(),
            limit + 1
        );
        let mut lines = CopyLines::start(
            session,
            &format!("reading the keys of {}", table.name),
            &sql,
        )
        .await?;
        let mut rows = Vec::new();
        while let Some(line) = lines.next().await? {
            rows.push(
                super::bucket::hash_and_rest(&line).ok_or_else(|| DiffError::Answer {
                    table: table.name.clone(),
                    reason: "a line does not begin with a hash".into(),
                })?,
            );
        }
        Ok(rows)
    }
}

impl Rows {
    fn len(&self) -> u64 {
        match self {
            Self::Packed(rows) => rows.len() as u64,
            Self::Text(rows) => rows.len() as u64,
        }
    }
}

fn compare(a: Rows, b: Rows, packing: Option<Packing>) -> Vec<(Change, Key)> {
    match (a, b) {
        (Rows::Packed(a), Rows::Packed(b)) => compare_sets(a, b)
            .into_iter()
            .map(|(c, k)| (c, unpack(k, packing)))
            .collect(),
        (Rows::Text(a), Rows::Text(b)) => compare_sets(a, b)
            .into_iter()
            .map(|(c, k)| (c, key_of_line(&k)))
            .collect(),
        // Both sides are asked in the same form.
        _ => Vec::new(),
    }
}

fn unpack(key: Packed, packing: Option<Packing>) -> Key {
    if packing == Some(Packing::Uuid) {
        let hex = format!("{key:032x}");
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        return Key(vec![parts.join("-")]);
    }
    // The lower 64 bits, with the sign flipped back.
    let integer = (key as u64 ^ (1 << 63)) as i64;
    Key(vec![integer.to_string()])
}

/// The key in the fields of a COPY line.
pub(super) fn key_of_line(line: &[u8]) -> Key {
    Key(raw_fields(line)
        .map(|f| unescape(f).unwrap_or_default())
        .collect())
}

fn be64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b))
}

/// COPY takes no parameters: writes them into the text, last first so that `$12` is not taken for `$1`.
fn inline(condition: &str, params: &[&str]) -> String {
    let mut text = condition.to_owned();
    let mut marks: Vec<usize> = (1..=params.len()).collect();
    marks.reverse();
    for n in marks {
        let quoted = crate::ident::quote_literal(params[n - 1]);
        text = text.replacen(&format!("${n}::"), &format!("{quoted}::"), 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_keys_come_back() {
        for n in [i64::MIN, -1, 0, 1, i64::MAX] {
            let packed = Packed::from(be64(&n.to_be_bytes()) ^ (1 << 63));
            assert_eq!(
                unpack(packed, Some(Packing::Integer)),
                Key(vec![n.to_string()])
            );
        }
        let uuid = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(
            unpack(uuid, Some(Packing::Uuid)).0,
            ["01234567-89ab-cdef-0011-223344556677"]
        );
    }

    #[test]
    fn parameters_are_written_once_each() {
        let text = "t.a >= $1::text and t.b < $2::int8";
        assert_eq!(
            inline(text, &["$2::int8", "9"]),
            "t.a >= '$2::int8'::text and t.b < '9'::int8"
        );
    }
}
