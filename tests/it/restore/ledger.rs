//! What the program says it did, checked: sums add up, and are what a story expects.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Output;

/// One JSON document of `extract`, `restore`, `verify` or `undo`.
pub(crate) struct Ledger {
    command: String,
    document: Value,
}

/// States of a row, by command.
const RESTORE: &[&str] = &[
    "inserted",
    "already_present",
    "remapped",
    "excluded",
    "gone_since",
    "skipped",
    "quarantined",
    "pending",
];
const VERIFY: &[&str] = &[
    "identical",
    "changed_since",
    "gone_since",
    "remapped",
    "excluded",
    "skipped",
    "missing",
    "quarantined",
];

const UNDO: &[&str] = &["removed", "kept_changed", "kept_referenced", "already_gone"];

impl Ledger {
    /// Reads a document and checks that totals are the sums over the tables, over exactly the states of its command.
    #[track_caller]
    pub(crate) fn of(output: &Output) -> Self {
        let document = output.json();
        assert_eq!(document["schema_version"], 1);
        let command = document["command"].as_str().unwrap().to_owned();
        let ledger = Self { command, document };
        for state in ledger.states() {
            let sum: u64 = ledger.tables().values().map(|t| count(t, state)).sum();
            assert_eq!(
                sum,
                ledger.total(state),
                "{state} over the tables: {:#}",
                ledger.document
            );
        }
        ledger
    }

    fn states(&self) -> &'static [&'static str] {
        match self.command.as_str() {
            "restore" => RESTORE,
            "verify" => VERIFY,
            "undo" => UNDO,
            _ => &["rows", "units"],
        }
    }

    fn tables(&self) -> BTreeMap<String, &Value> {
        let list = self.document["tables"].as_array().unwrap();
        list.iter()
            .map(|t| (t["table"].as_str().unwrap().to_owned(), t))
            .collect()
    }

    /// A count over all tables.
    #[track_caller]
    pub(crate) fn total(&self, state: &str) -> u64 {
        count(&self.document["totals"], state)
    }

    /// A count of each table in which it is not zero.
    pub(crate) fn by_table(&self, state: &str) -> BTreeMap<String, u64> {
        let tables = self.tables();
        let counts = tables
            .iter()
            .map(|(name, table)| (name.clone(), count(table, state)));
        counts.filter(|(_, n)| *n > 0).collect()
    }

    /// Checks that exactly these states have rows, so many.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[(&str, u64)]) {
        for (state, _) in expected {
            assert!(
                self.states().contains(state),
                "{} has no {state}",
                self.command
            );
        }
        let found: Vec<(&str, u64)> = self
            .states()
            .iter()
            .map(|s| (*s, self.total(s)))
            .filter(|(_, n)| *n > 0)
            .collect();
        let mut wanted: Vec<(&str, u64)> =
            expected.iter().copied().filter(|(_, n)| *n > 0).collect();
        wanted.sort_by_key(|(s, _)| self.states().iter().position(|state| state == s));
        assert_eq!(found, wanted, "{:#}", self.document);
    }

    /// Another member of the document.
    pub(crate) fn get(&self, key: &str) -> &Value {
        &self.document[key]
    }
}

#[track_caller]
fn count(of: &Value, state: &str) -> u64 {
    of[state]
        .as_u64()
        .unwrap_or_else(|| panic!("no {state} in {of}"))
}
