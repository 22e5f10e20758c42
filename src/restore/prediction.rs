//! What a plan foretold, against what the run did: each difference by name, so that nobody has to compare two lists.
//!
//! Pure. Rows that were inserted and rows that were there already count together, for rows come back by other means while a run
//! is at work.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::ident::{TableName, UnitId};

use super::{Execution, Plan, RelinkOutcome, States};

/// The comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The plan's id.
    pub plan: String,
    /// Whether everything came as foretold.
    pub held: bool,
    /// Units that were left out and should have come, or the other way round.
    pub units: Vec<OtherUnit>,
    /// Rows that are in another state, by table.
    pub rows: Vec<OtherRows>,
}

/// A unit that ended otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherUnit {
    /// The unit.
    pub unit: UnitId,
    /// Its root, by table and key.
    pub root: String,
    /// Why it was to be left out; none where it was to come.
    pub foretold: Option<String>,
    /// Why it was left out; none where it came.
    pub outcome: Option<String>,
}

/// Rows of a table in a state, where the numbers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherRows {
    /// The table.
    pub table: TableName,
    /// The state; `relinked` for references that point where they did; `come` for `inserted` and `already_present` together.
    pub state: &'static str,
    /// Rows foretold.
    pub foretold: u64,
    /// Rows there were.
    pub outcome: u64,
}

/// Compares a run that has seen every unit with the plan that it was begun with.
pub fn compare(plan: &Plan, execution: &Execution) -> Prediction {
    let units = units(plan, execution);
    let mut rows = rows(plan, execution);
    rows.extend(references(plan, execution));
    Prediction {
        plan: plan.id.clone(),
        held: units.is_empty() && rows.is_empty(),
        units,
        rows,
    }
}

/// References filled, or found as they should be, where the numbers differ.
fn references(plan: &Plan, execution: &Execution) -> Vec<OtherRows> {
    let of = |outcome: &RelinkOutcome, table: &TableName| -> u64 {
        let states = outcome.tables.get(table);
        let of = |state| states.and_then(|s| s.get(state)).copied();
        of("relinked").unwrap_or(0) + of("as_before").unwrap_or(0)
    };
    let (foretold, outcome) = (&plan.relinks, &execution.relinks);
    let tables: BTreeSet<&TableName> = foretold
        .tables
        .keys()
        .chain(outcome.tables.keys())
        .collect();
    let other = |table: &TableName| OtherRows {
        table: table.clone(),
        state: "relinked",
        foretold: of(foretold, table),
        outcome: of(outcome, table),
    };
    let all = tables.into_iter().map(other);
    all.filter(|o| o.foretold != o.outcome).collect()
}

fn units(plan: &Plan, execution: &Execution) -> Vec<OtherUnit> {
    let foretold: BTreeMap<UnitId, (&String, &String)> = plan
        .left_out
        .iter()
        .map(|(unit, root, reason, _)| (*unit, (root, reason)))
        .collect();
    let outcome: BTreeMap<UnitId, (String, &String)> = execution
        .quarantined
        .iter()
        .map(|q| {
            (
                q.unit,
                (format!("{} {}", q.root_table, q.root_key), &q.reason),
            )
        })
        .collect();
    let all: BTreeSet<UnitId> = foretold.keys().chain(outcome.keys()).copied().collect();
    let other = |unit: UnitId| match (foretold.get(&unit), outcome.get(&unit)) {
        (Some((root, reason)), None) => Some(OtherUnit {
            unit,
            root: (*root).clone(),
            foretold: Some((*reason).clone()),
            outcome: None,
        }),
        (None, Some((root, reason))) => Some(OtherUnit {
            unit,
            root: root.clone(),
            foretold: None,
            outcome: Some((*reason).clone()),
        }),
        _ => None,
    };
    all.into_iter().filter_map(other).collect()
}

fn rows(plan: &Plan, execution: &Execution) -> Vec<OtherRows> {
    let tables: BTreeSet<&TableName> = plan
        .tally
        .0
        .keys()
        .chain(execution.tally.0.keys())
        .collect();
    let mut other = Vec::new();
    for table in tables {
        let of = |tally: &super::Tally| counts(&tally.0.get(table).copied().unwrap_or_default());
        for ((state, foretold), (_, outcome)) in
            of(&plan.tally).into_iter().zip(of(&execution.tally))
        {
            if foretold != outcome {
                other.push(OtherRows {
                    table: table.clone(),
                    state,
                    foretold,
                    outcome,
                });
            }
        }
    }
    other
}

fn counts(states: &States) -> Vec<(&'static str, u64)> {
    let mut counts = vec![("come", states.inserted + states.already_present)];
    let apart = |(state, _): &(&str, u64)| !matches!(*state, "inserted" | "already_present");
    counts.extend(states.named().into_iter().filter(apart));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_and_what_was_there_count_together() {
        let mut foretold = States {
            inserted: 3,
            quarantined: 1,
            ..States::default()
        };
        let outcome = States {
            inserted: 1,
            already_present: 2,
            quarantined: 1,
            ..States::default()
        };
        assert_eq!(counts(&foretold), counts(&outcome));
        foretold.quarantined = 0;
        assert_ne!(counts(&foretold), counts(&outcome));
    }
}
