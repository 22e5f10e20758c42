//! One table: chooses the strategy, runs it, and asks again about what it found.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::catalog::{Column, Comparable, Table};
use crate::event::{Event, Sink};
use crate::ident::Key;
use crate::pg::Session;

use super::recheck::existing;
use super::{Change, Counts, Depth, DiffError, Found, Sides, bucket, range};

/// How to compare.
#[derive(Debug, Clone, Copy)]
pub struct DiffOptions {
    /// How deep to look.
    pub depth: Depth,
    /// Rows that one statement reads by key; decides how much memory a comparison takes.
    pub chunk_rows: u64,
    /// Pages (8 KiB) that one statement reads in physical order.
    pub slice_pages: u64,
}

impl DiffOptions {
    /// The usual sizes: statements of a fraction of a second.
    pub fn new(depth: Depth) -> Self {
        Self {
            depth,
            chunk_rows: 50_000,
            slice_pages: 32_768,
        }
    }
}

/// Below this physical correlation of the key (percent), reading rows in key order would fetch pages at random.
const CORRELATED: u8 = 80;
/// Tables of fewer pages than this are in memory after one pass anyway.
const SMALL_PAGES: u64 = 4_096;

/// Compares one table; every difference is handed to `found`, deletions and insertions after being asked for again.
pub async fn diff_table(
    sides: &Sides,
    table: &Comparable,
    options: DiffOptions,
    found: &mut (dyn FnMut(Found) + Send),
    sink: Sink<'_>,
) -> Result<Counts, DiffError> {
    let name = table.snapshot.name.clone();
    let rows = table.snapshot.estimated_rows + table.live.estimated_rows;
    sink(Event::TableStarted {
        table: name.clone(),
        rows,
    });
    let work = Work {
        sides,
        table,
        options,
        sink,
        outcome: Mutex::new((Counts::default(), found)),
    };
    if by_range(table, options.depth) {
        range::run(&work).await?;
    } else {
        bucket::run(&work).await?;
    }
    sink(Event::TableFinished { table: name });
    let (counts, _) = work
        .outcome
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(counts)
}

fn by_range(table: &Comparable, depth: Depth) -> bool {
    let small = table.snapshot.pages.max(table.live.pages) < SMALL_PAGES;
    let correlated = [&table.snapshot, &table.live]
        .iter()
        .all(|t| t.correlation.is_some_and(|c| c >= CORRELATED));
    table.ordered && (depth == Depth::Keys || small || correlated)
}

/// What the strategies share.
pub(super) struct Work<'a> {
    pub(super) sides: &'a Sides,
    pub(super) table: &'a Comparable,
    pub(super) options: DiffOptions,
    pub(super) sink: Sink<'a>,
    outcome: Mutex<(Counts, &'a mut (dyn FnMut(Found) + Send))>,
}

impl Work<'_> {
    /// The key's columns as one side's table has them.
    pub(super) fn key_columns<'t>(&self, table: &'t Table) -> Vec<&'t Column> {
        self.table
            .key
            .iter()
            .filter_map(|k| table.column(k))
            .collect()
    }

    /// Adds rows seen, and announces them.
    pub(super) fn seen(&self, snapshot_rows: u64, live_rows: u64) {
        if let Ok(mut outcome) = self.outcome.lock() {
            outcome.0.snapshot_rows += snapshot_rows;
            outcome.0.live_rows += live_rows;
        }
        (self.sink)(Event::TableProgress {
            table: self.table.snapshot.name.clone(),
            rows: snapshot_rows + live_rows,
        });
    }

    /// Asks again about what a comparison found, and hands on what is confirmed. A key that turns out to be there,
    /// merely written otherwise, is a changed row.
    pub(super) async fn confirm(
        &self,
        snapshot: &Session,
        live: &Session,
        found: Vec<(Change, Key)>,
    ) -> Result<(), DiffError> {
        if found.is_empty() {
            return Ok(());
        }
        let keyed = !self.table.key.is_empty();
        let of = |change: Change| {
            found
                .iter()
                .filter(move |f| f.0 == change)
                .map(|f| &f.1)
                .collect::<Vec<_>>()
        };
        let (deleted, inserted) = (of(Change::Deleted), of(Change::Inserted));
        let key = &self.table.key;
        let (in_live, in_snapshot) = if keyed {
            tokio::try_join!(
                existing(live, &self.table.live, key, &deleted),
                existing(snapshot, &self.table.snapshot, key, &inserted)
            )?
        } else {
            (HashSet::new(), HashSet::new())
        };
        let (mut nth_deleted, mut nth_inserted) = (0, 0);
        let Ok(mut outcome) = self.outcome.lock() else {
            return Ok(());
        };
        let (counts, hand_on) = &mut *outcome;
        for (change, key) in found.iter() {
            let change = match change {
                Change::Deleted => {
                    nth_deleted += 1;
                    if in_live.contains(&(nth_deleted - 1)) {
                        Change::Changed
                    } else {
                        Change::Deleted
                    }
                }
                Change::Inserted => {
                    nth_inserted += 1;
                    if in_snapshot.contains(&(nth_inserted - 1)) {
                        continue;
                    }
                    Change::Inserted
                }
                Change::Changed => Change::Changed,
            };
            match change {
                Change::Deleted => counts.deleted += 1,
                Change::Inserted => counts.inserted += 1,
                Change::Changed if self.options.depth == Depth::Keys => continue,
                Change::Changed => counts.changed += 1,
            }
            hand_on(Found {
                change,
                key: key.clone(),
            });
        }
        Ok(())
    }
}
