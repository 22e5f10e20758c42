//! Compares by buckets of the key's hash, reading pages in physical order.
//!
//! For keys that sort differently on the two sides, for keys that do not follow the physical order of a large table
//! (reading those in key order fetches pages at random), and for tables without a key, whose rows are told apart by
//! their content and counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;

use crate::catalog::{Locator, PageSlices, Table};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::lines::hash_and_rest;
use super::partition::{compare, hand_on_surplus};
use super::spill::Spill;
use super::table::Work;
use super::{Depth, DiffError};

/// Buckets of a pass: a power of two.
const BUCKETS: usize = 4_096;
/// Rows that one partition of spilled rows is meant to hold.
const PARTITION_ROWS: u64 = 100_000;

/// Rows of a table without a key about which one question asks again.
const ROWS_A_COUNT: usize = 50_000;

/// Sums of one side, by bucket.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: u64,
}

/// Runs the strategy over the whole table.
pub(super) async fn run(work: &Work<'_>) -> Result<(), DiffError> {
    let (a, b) = tokio::try_join!(
        sums(work, &work.sides.snapshot, &work.table.snapshot),
        sums(work, &work.sides.live, &work.table.live)
    )?;
    let differing: Vec<bool> = a.iter().zip(&b).map(|(a, b)| a != b).collect();
    let pairs = a.iter().zip(&b).filter(|(a, b)| a != b);
    let spilled: u64 = pairs.map(|(a, b)| a.rows + b.rows).sum();
    if !differing.contains(&true) {
        return Ok(());
    }
    work.once_more(spilled);
    let partitions = spilled.div_ceil(PARTITION_ROWS).clamp(1, 256) as usize;
    let side = async |sessions: &[Session], table: &Table| {
        spill(work, sessions, table, &differing, partitions).await
    };
    let (mut a, mut b) = tokio::try_join!(
        side(&work.sides.snapshot, &work.table.snapshot),
        side(&work.sides.live, &work.table.live)
    )?;
    let mut surplus = Vec::new();
    for partition in 0..partitions {
        compare(work, &mut a, &mut b, partition, &mut surplus).await?;
        if surplus.len() >= ROWS_A_COUNT {
            hand_on_surplus(work, &mut surplus).await?;
        }
    }
    hand_on_surplus(work, &mut surplus).await
}

/// Page ranges of one side, handed out to its sessions one by one.
struct Slices {
    next: AtomicU64,
    slices: PageSlices,
}

impl Slices {
    fn of(table: &Table, pages: u64) -> Self {
        Self {
            next: AtomicU64::new(0),
            slices: PageSlices::of(table, pages),
        }
    }

    /// The next slice as a condition on alias `t`.
    fn next(&self) -> Option<String> {
        let slice = self.next.fetch_add(1, Ordering::Relaxed);
        self.slices.condition(slice, "t")
    }
}

/// The expressions of a table: what tells rows apart, and what their content hashes to.
fn expressions(work: &Work<'_>) -> (String, String) {
    let hashes = work.table.hashes("t");
    if work.table.key.is_empty() {
        return (hashes.row.clone(), hashes.row);
    }
    let content = if work.options.depth == Depth::Rows {
        hashes.row
    } else {
        hashes.key.clone()
    };
    (hashes.key, content)
}

async fn sums(work: &Work<'_>, sessions: &[Session], table: &Table) -> Result<Vec<Sum>, DiffError> {
    let (key, content) = expressions(work);
    let slices = Slices::of(table, work.options.slice_pages);
    let sums = Mutex::new(vec![Sum::default(); BUCKETS]);
    let keyed = !work.table.key.is_empty();
    // No two rows with a key have the same hash. Equal rows must not cancel: there, wrapping sums of the two halves of
    // each hash, exact in any order.
    let aggregate = if keyed {
        "bit_xor(c), 0::int8"
    } else {
        "sum(c & 4294967295)::int8, sum(c >> 32 & 4294967295)::int8"
    };
    let workers = sessions.iter().map(async |session| -> Result<(), PgError> {
        while let Some(condition) = slices.next() {
            let sql = format!(
                "select k, count(*), {aggregate}
                   from (select ({key} & {})::int4 as k, {content} as c from {} t where {condition} offset 0) s
                  group by k",
                BUCKETS - 1,
                table.from_sql()
            );
            let mut seen = 0;
            for row in session
                .ask(&format!("summing {}", table.name), &sql, &[])
                .await?
            {
                let unsigned = |i: usize| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
                let bucket = usize::try_from(row.get::<_, i32>(0)).unwrap_or(0);
                seen += unsigned(1);
                if let Ok(mut sums) = sums.lock() {
                    sums[bucket].rows += unsigned(1);
                    let before = sums[bucket].hash;
                    sums[bucket].hash = if keyed {
                        before ^ row.get::<_, i64>(2) as u64
                    } else {
                        let upper = unsigned(3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        before.wrapping_add(unsigned(2)).wrapping_add(upper)
                    };
                }
            }
            let (s, l) = if std::ptr::eq(table, &work.table.snapshot) {
                (seen, 0)
            } else {
                (0, seen)
            };
            work.seen(s, l);
        }
        Ok(())
    });
    try_join_all(workers).await?;
    Ok(sums
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}

async fn spill(
    work: &Work<'_>,
    sessions: &[Session],
    table: &Table,
    differing: &[bool],
    partitions: usize,
) -> Result<Spill, DiffError> {
    let (key, content) = expressions(work);
    let buckets: Vec<String> = differing
        .iter()
        .enumerate()
        .filter(|(_, d)| **d)
        .map(|(i, _)| i.to_string())
        .collect();
    let filter = if buckets.len() == BUCKETS {
        "true".to_owned()
    } else {
        format!(
            "({key} & {}) = any ('{{{}}}'::int8[])",
            BUCKETS - 1,
            buckets.join(",")
        )
    };
    let place = if work.table.key.is_empty() {
        Locator::by_place(table.kind).columns("t")
    } else {
        Locator::by_names(table, &work.table.key).texts("t")
    };
    let place = place.join(", ");
    let slices = Slices::of(table, work.options.slice_pages);
    let spill = Mutex::new(Spill::new(partitions));
    let workers = sessions.iter().map(async |session| -> Result<(), DiffError> {
        while let Some(condition) = slices.next() {
            let sql = format!(
                "copy (select {content}, {key} & {}, {place} from {} t where {condition} and {filter}) to stdout",
                BUCKETS - 1,
                table.from_sql()
            );
            let mut lines =
                CopyLines::start(session, &format!("reading the keys of {}", table.name), &sql).await?;
            let mut seen = 0;
            while let Some(line) = lines.next().await? {
                let parsed = hash_and_rest(&line).and_then(|(rest, hash)| {
                    let tab = rest.iter().position(|b| *b == b'\t')?;
                    let bucket: usize = std::str::from_utf8(&rest[..tab]).ok()?.parse().ok()?;
                    Some((bucket, rest[tab + 1..].to_vec(), hash))
                });
                let Some((bucket, place, hash)) = parsed else {
                    return Err(DiffError::Answer {
                        table: table.name.clone(),
                        reason: "a line does not hold a hash and a bucket".into(),
                    });
                };
                if let Ok(mut spill) = spill.lock() {
                    spill
                        .push(bucket % partitions, &place, hash)
                        .map_err(|cause| DiffError::Spill { table: table.name.clone(), cause })?;
                }
                seen += 1;
            }
            work.progress(seen);
        }
        Ok(())
    });
    try_join_all(workers).await?;
    Ok(spill
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}
