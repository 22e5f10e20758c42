//! What is otherwise in live's tables than in the backup's, said in a plan.

use crate::ident::{TableName, shown};
use crate::restore::{Added, TablePlan};

/// A line for each kind of difference.
pub(super) fn lines(table: &TableName, entry: &TablePlan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(before) = &entry.renamed_from {
        lines.push(format!("{table}: was {before} in the backup"));
    }
    let renamed = entry.renamed_columns.iter();
    let renamed = renamed.map(|(before, now)| format!("{} was {}", shown(now), shown(before)));
    let renamed: Vec<String> = renamed.collect();
    if !renamed.is_empty() {
        lines.push(format!("{table}: {}", renamed.join(", ")));
    }
    if !entry.dropped_columns.is_empty() {
        let renamed = match entry.added_columns.is_empty() {
            true => "",
            false => " (if it was renamed, say so: [[rename]])",
        };
        lines.push(format!(
            "{table}: live no longer has {}; not restored{renamed}",
            entry.dropped_columns.join(", ")
        ));
    }
    if !entry.computed_columns.is_empty() {
        lines.push(format!(
            "{table}: live computes {} by now; what the backup held there is not restored",
            entry.computed_columns.join(", ")
        ));
    }
    let added: Vec<String> = entry.added_columns.iter().map(Added::describe).collect();
    if !added.is_empty() {
        lines.push(format!(
            "{table}: not in the bundle, and what restored rows hold there: {}",
            added.join(", ")
        ));
    }
    lines
}
