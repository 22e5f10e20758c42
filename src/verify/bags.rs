//! Tables without a key: rows are told apart by content, and counted.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::bundle::Bundle;
use crate::catalog::PageSlices;
use crate::pg::Session;
use crate::pg::copy::CopyLines;
use crate::restore::{Batch, Presence, Replacements, TargetTable, Targets};

use super::VerifyError;

/// Pages (8 KiB) that one statement reads in physical order: a quarter of a gigabyte.
const SLICE_PAGES: u64 = 32_768;
/// Rows of one unit that are in memory at once.
const ROWS_AT_ONCE: u64 = 10_000;

/// Rows of tables without a key, counted by content: how many of the bundle's rows live has.
#[derive(Default)]
pub(super) struct Bags {
    /// By table: content, and how often live has it.
    counts: BTreeMap<usize, HashMap<Bytes, u64>>,
}

impl Bags {
    /// Reads every table without a key once. Memory: the bundle's own rows of such tables.
    pub(super) async fn count(
        session: &Session,
        bundle: &Bundle,
        targets: &Targets,
        replacements: &Replacements,
    ) -> Result<Self, VerifyError> {
        let mut bags = Self::default();
        let without_key: Vec<(usize, &TargetTable)> = targets
            .tables
            .iter()
            .enumerate()
            .filter(|(_, t)| !t.keyed())
            .collect();
        if without_key.is_empty() {
            return Ok(bags);
        }
        let mut rows = bundle.read()?;
        let mut replacements = replacements.clone();
        while let Some(unit) = rows.next_rows(ROWS_AT_ONCE)? {
            // Rows whose references were pointed elsewhere went in as they then were.
            let batch = Batch::new(vec![unit], targets);
            let (batch, _) = replacements.recall(targets, batch, &mut Vec::new());
            for (table, _) in &without_key {
                if !batch.rows[*table].is_empty() {
                    let counts = bags.counts.entry(*table).or_default();
                    counts.extend(batch.rows[*table].iter().map(|row| (row.line.clone(), 0)));
                }
            }
        }
        for (i, target) in without_key {
            let Some(counts) = bags.counts.get_mut(&i) else {
                continue;
            };
            for slice in PageSlices::of(&target.live, SLICE_PAGES).conditions("t") {
                let sql = format!(
                    "copy (select {} from {} t where {slice}) to stdout",
                    target.column_list(),
                    target.live.from_sql()
                );
                let doing = format!("reading {}", target.name);
                let mut lines = CopyLines::start(session, &doing, &sql).await?;
                while let Some(line) = lines.next().await? {
                    if let Some(count) = counts.get_mut(&line) {
                        *count += 1;
                    }
                }
            }
        }
        Ok(bags)
    }

    /// Finds one row of that content that was not found before.
    pub(super) fn take(&mut self, table: usize, line: &Bytes) -> Presence {
        match self
            .counts
            .get_mut(&table)
            .and_then(|counts| counts.get_mut(line))
        {
            Some(count) if *count > 0 => {
                *count -= 1;
                Presence::Same
            }
            _ => Presence::Absent,
        }
    }
}
