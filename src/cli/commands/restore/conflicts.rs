//! Conflicts, as a plan shows them: keys only; `conflicts.jsonl` has the values.

use serde_json::{Value, json};

use crate::cli::output::counted;
use crate::restore::Met;

/// Conflicts named on the terminal.
const LISTED: usize = 10;

/// For `plan.json`.
pub(super) fn by_key(met: &[Met]) -> Vec<Value> {
    let one = |met: &Met| {
        json!({
            "unit": met.unit, "table": met.table, "key": met.sides.key, "live_key": met.sides.live_key,
            "constraint": met.sides.constraint, "columns": met.sides.columns, "outcome": met.outcome,
        })
    };
    met.iter().map(one).collect()
}

/// For people: what becomes of rows whose units come all the same, and where the values are.
pub(super) fn lines(met: &[Met]) -> Vec<String> {
    let resolved: Vec<&Met> = met.iter().filter(|m| m.outcome != "quarantined").collect();
    let mut lines: Vec<String> = resolved.iter().take(LISTED).map(|m| line(m)).collect();
    if resolved.len() > LISTED {
        lines.push(format!(
            "… and {} more; all are in plan.json",
            counted((resolved.len() - LISTED) as u64, "row")
        ));
    }
    if !met.is_empty() {
        lines.push(format!(
            "{} with rows of live; both sides, with their values, are in conflicts.jsonl",
            counted(met.len() as u64, "conflict")
        ));
    }
    lines
}

fn line(met: &Met) -> String {
    let sides = &met.sides;
    let then = match met.outcome {
        "remapped" => "which would be used in its place",
        _ => "and would be skipped, with what hangs from it",
    };
    format!(
        "{} {}: {} is taken by row {} of live, {then}",
        met.table, sides.key, sides.constraint, sides.live_key
    )
}
