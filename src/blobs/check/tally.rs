//! Counts what was found: by state, and by the tables of the owners.

use std::collections::BTreeMap;

use crate::blobs::row::{BlobRow, State};
use crate::ident::TableName;

/// Blobs by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<State, u64>);

impl Counts {
    /// How many are in that state.
    pub fn of(&self, state: State) -> u64 {
        self.0.get(&state).copied().unwrap_or(0)
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn add(&mut self, state: State) {
        *self.0.entry(state).or_default() += 1;
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Distinct blobs that cannot be made again.
    pub blobs: Counts,
    /// Those that can.
    pub derived: Counts,
    /// By owners' table: a blob with owners in two tables counts in both.
    pub tables: BTreeMap<TableName, Counts>,
    /// Blobs of which nothing tells, and at which somebody should look.
    pub suspicious: u64,
    /// Records that have lost a file, or have a corrupt one.
    pub owners_hit: u64,
}

impl Tally {
    /// Counts one blob.
    pub fn add(&mut self, row: &BlobRow) {
        if row.derived {
            self.derived.add(row.state);
            return;
        }
        self.blobs.add(row.state);
        self.suspicious += u64::from(row.suspicious);
        let mut tables: Vec<&TableName> = row.owners.iter().map(|o| &o.record.table).collect();
        tables.sort_unstable();
        tables.dedup();
        for table in tables {
            self.tables.entry(table.clone()).or_default().add(row.state);
        }
        if matches!(row.state, State::Lost | State::Corrupt) {
            self.owners_hit += row.owners.len() as u64;
        }
    }

    /// Whether anything needs somebody.
    pub fn trouble(&self) -> bool {
        let trouble = State::ALL.into_iter().filter(|s| s.is_trouble());
        self.suspicious > 0 || trouble.map(|s| self.blobs.of(s)).sum::<u64>() > 0
    }
}
