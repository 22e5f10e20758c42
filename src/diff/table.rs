//! One table: chooses the strategy, runs it, and asks again about what it found.

use std::sync::Mutex;

use crate::catalog::{Column, Comparable, Table};
use crate::event::{Event, Sink};
use crate::ident::Key;
use crate::pg::Session;

use super::recheck::{KEYS_A_QUESTION, ask_again};
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
    let rows = expected(&table.snapshot) + expected(&table.live);
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

/// Rows as far as known beforehand; a page of a table that was never analysed is taken for sixty.
fn expected(table: &Table) -> u64 {
    match table.estimated_rows {
        0 => table.all_pages * 60,
        rows => rows,
    }
}

fn by_range(table: &Comparable, depth: Depth) -> bool {
    let small = table.snapshot.all_pages.max(table.live.all_pages) < SMALL_PAGES;
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
        self.progress(snapshot_rows + live_rows);
    }

    /// Announces rows done.
    pub(super) fn progress(&self, rows: u64) {
        (self.sink)(Event::TableProgress {
            table: self.table.snapshot.name.clone(),
            rows,
        });
    }

    /// Announces that rows already seen are gone through once more, `rows` of them.
    pub(super) fn once_more(&self, rows: u64) {
        let table = self.table.snapshot.name.clone();
        (self.sink)(Event::TableFinished {
            table: table.clone(),
        });
        (self.sink)(Event::TableStarted { table, rows });
    }

    /// Asks again about what a comparison by key found, and hands on what is confirmed: a question at a time, for a whole range can
    /// be missing.
    pub(super) async fn confirm(
        &self,
        snapshot: &Session,
        live: &Session,
        found: Vec<(Change, Key)>,
    ) -> Result<(), DiffError> {
        let mut found = found.into_iter();
        loop {
            let part: Vec<(Change, Key)> = found.by_ref().take(KEYS_A_QUESTION).collect();
            if part.is_empty() {
                return Ok(());
            }
            self.hand_on(ask_again(self, snapshot, live, part).await?);
        }
    }

    /// Counts differences, and hands them on.
    pub(super) fn hand_on(&self, found: Vec<(Change, Key)>) {
        let Ok(mut outcome) = self.outcome.lock() else {
            return;
        };
        let (counts, hand_on) = &mut *outcome;
        for (change, key) in found {
            match change {
                Change::Deleted => counts.deleted += 1,
                Change::Inserted => counts.inserted += 1,
                Change::Changed if self.options.depth == Depth::Keys => continue,
                Change::Changed => counts.changed += 1,
            }
            hand_on(Found { change, key });
        }
    }
}
