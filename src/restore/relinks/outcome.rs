//! What became of a bundle's references: every one in one state, by table, and those left by name.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Relinking;
use super::decide::Reason;
use crate::bundle::RelinkRecord;
use crate::ident::{Key, TableName, UnitId};

/// A reference that is not filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftRelink {
    /// The table of the row that referred.
    pub table: TableName,
    /// Its key.
    pub key: Key,
    /// The columns of the reference.
    pub columns: Vec<String>,
    /// What they held when the backup was made.
    pub held: Vec<String>,
    /// The unit of the row that they pointed at.
    pub unit: UnitId,
    /// Why it is not filled.
    pub reason: &'static str,
    /// The server's words, where it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
}

/// What became, or would become, of all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RelinkOutcome {
    /// Which were to be filled.
    pub mode: Relinking,
    /// By table and state: `relinked`, `as_before`, and the reasons why others are not filled.
    pub tables: BTreeMap<TableName, BTreeMap<&'static str, u64>>,
    /// Those that are not filled.
    #[serde(skip)]
    pub left: Vec<LeftRelink>,
}

/// Filled by this run, or to be filled by the one planned.
pub(super) const RELINKED: &str = "relinked";
/// They point where they did, whoever did that.
pub(super) const AS_BEFORE: &str = "as_before";
/// Reasons that another run, or a person, can do something about.
const UNFINISHED: [&str; 2] = ["locked", "refused"];

impl RelinkOutcome {
    pub(super) fn new(mode: Relinking) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// How many are in a state.
    pub fn count(&self, state: &str) -> u64 {
        let of_table = self.tables.values().filter_map(|t| t.get(state));
        of_table.sum()
    }

    /// All states, over all tables.
    pub fn totals(&self) -> BTreeMap<&'static str, u64> {
        let mut totals = BTreeMap::new();
        for (state, n) in self.tables.values().flatten() {
            *totals.entry(*state).or_default() += n;
        }
        totals
    }

    /// Whether some could not be filled that should be.
    pub fn unfinished(&self) -> bool {
        UNFINISHED.iter().any(|state| self.count(state) > 0)
    }

    pub(super) fn add(&mut self, table: &TableName, state: &'static str, n: u64) {
        if n > 0 {
            let states = self.tables.entry(table.clone()).or_default();
            *states.entry(state).or_default() += n;
        }
    }

    pub(super) fn leave(&mut self, record: &RelinkRecord, reason: &Reason) {
        self.add(&record.table, reason.name(), 1);
        let (detail, sqlstate) = match reason {
            Reason::Refused(detail, sqlstate) => (Some(detail.clone()), sqlstate.clone()),
            _ => (None, None),
        };
        self.left.push(LeftRelink {
            table: record.table.clone(),
            key: record.key.clone(),
            columns: record.columns.clone(),
            held: record.values.clone(),
            unit: record.unit,
            reason: reason.name(),
            detail,
            sqlstate,
        });
    }
}
