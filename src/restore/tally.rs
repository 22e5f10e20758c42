//! Counts rows by state: every row of a bundle ends in exactly one, and the sums add up.

use std::collections::BTreeMap;

use crate::ident::TableName;

use super::Resolution;

/// Rows by state, of one table or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct States {
    /// Inserted (in a plan: to be inserted).
    pub inserted: u64,
    /// There already.
    pub already_present: u64,
    /// A live row is used in their place.
    pub remapped: u64,
    /// Left out: their key or value is taken, or they hang from a row of which that is so.
    pub skipped: u64,
    /// They must not come back.
    pub excluded: u64,
    /// An earlier run inserted them, somebody deleted them since.
    pub gone_since: u64,
    /// Left out with their unit.
    pub quarantined: u64,
    /// Not yet looked at.
    pub pending: u64,
}

impl States {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(_, rows)| rows).sum()
    }

    /// By name, in the order in which they are shown.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("inserted", self.inserted),
            ("already_present", self.already_present),
            ("remapped", self.remapped),
            ("excluded", self.excluded),
            ("gone_since", self.gone_since),
            ("skipped", self.skipped),
            ("quarantined", self.quarantined),
            ("pending", self.pending),
        ]
    }

    /// Counts rows that did not go in; one that was rewritten did.
    pub(super) fn resolved(&mut self, state: Resolution, rows: u64) {
        match state {
            Resolution::Remapped => self.remapped += rows,
            Resolution::Skipped => self.skipped += rows,
            Resolution::Rewritten => {}
        }
    }

    /// Adds counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.already_present += other.already_present;
        self.remapped += other.remapped;
        self.skipped += other.skipped;
        self.excluded += other.excluded;
        self.gone_since += other.gone_since;
        self.quarantined += other.quarantined;
        self.pending += other.pending;
    }
}

/// Counts per table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<TableName, States>);

impl Tally {
    /// The counts of a table.
    pub fn of(&mut self, table: &TableName) -> &mut States {
        self.0.entry(table.clone()).or_default()
    }

    /// Over all tables.
    pub fn total(&self) -> States {
        let mut total = States::default();
        self.0.values().for_each(|s| total.add(s));
        total
    }
}
