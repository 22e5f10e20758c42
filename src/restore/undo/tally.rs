//! Counts rows by state: every row that the restore inserted ends in exactly one.

use std::collections::BTreeMap;

use crate::ident::TableName;
use crate::journal::UndoneRows;

/// Rows by state, of one table or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UndoStates {
    /// Deleted (in a plan: to be deleted).
    pub removed: u64,
    /// Edited since, and kept.
    pub kept_changed: u64,
    /// Referenced by what stays, and kept.
    pub kept_referenced: u64,
    /// Deleted before: by somebody else, or by an earlier undo.
    pub already_gone: u64,
}

impl UndoStates {
    /// By name, in the order in which they are shown.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("removed", self.removed),
            ("kept_changed", self.kept_changed),
            ("kept_referenced", self.kept_referenced),
            ("already_gone", self.already_gone),
        ]
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(_, rows)| rows).sum()
    }

    /// Those that stay.
    pub fn kept(&self) -> u64 {
        self.kept_changed + self.kept_referenced
    }

    /// Adds what was done.
    pub(super) fn add(&mut self, done: &UndoneRows) {
        self.removed += done.removed;
        self.kept_changed += done.kept_changed;
        self.kept_referenced += done.kept_referenced;
        self.already_gone += done.already_gone;
    }
}

/// Counts per table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoTally(pub BTreeMap<TableName, UndoStates>);

impl UndoTally {
    /// The counts of a table.
    pub(super) fn of(&mut self, table: &TableName) -> &mut UndoStates {
        self.0.entry(table.clone()).or_default()
    }

    /// Over all tables.
    pub fn total(&self) -> UndoStates {
        self.0
            .values()
            .fold(UndoStates::default(), |sum, s| UndoStates {
                removed: sum.removed + s.removed,
                kept_changed: sum.kept_changed + s.kept_changed,
                kept_referenced: sum.kept_referenced + s.kept_referenced,
                already_gone: sum.already_gone + s.already_gone,
            })
    }
}
