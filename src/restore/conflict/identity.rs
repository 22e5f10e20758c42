//! Whether a live row under the same key is the row that was deleted, put back and edited since, or another one: a sequence that was
//! restarted, an import. Rows of the deleted one must not be given to a stranger.
//!
//! The time of creation tells, where the table has one. Else the other unique values do: a row of which none is as it was is
//! another one. Where a table has neither, the operator's word, `--on-conflict remap`, is all there is.

use crate::evidence::says_when_created;

use super::super::{BatchRow, TargetTable};
use super::sides::{BothSides, fields};

/// The columns that say that it is another row, if they do.
pub(super) fn stranger(
    table: &TargetTable,
    row: &BatchRow,
    sides: &BothSides,
) -> Option<Vec<String>> {
    let differs = |column: &String| sides.columns.contains(column);
    let written = |column: &String| table.columns.contains(column);
    let columns = table.live.columns.iter().filter(|c| written(&c.name));
    let created: Vec<String> = columns
        .filter(|c| says_when_created(c))
        .map(|c| c.name.clone())
        .collect();
    if !created.is_empty() {
        let other: Vec<String> = created.into_iter().filter(differs).collect();
        return (!other.is_empty()).then_some(other);
    }
    let others = table.live.uniques.iter().filter(|u| {
        !u.special
            && !u.columns.is_empty()
            && u.columns != table.key
            && u.columns.iter().all(written)
    });
    // NULL says nothing of a row.
    let values = fields(&row.line);
    let says = |column: &String| {
        let place = table.columns.iter().position(|c| c == column);
        place
            .and_then(|p| values.get(p))
            .is_some_and(Option::is_some)
    };
    let others = others.filter(|u| u.columns.iter().all(says));
    let mut telling: Vec<String> = Vec::new();
    for unique in others {
        let other: Vec<String> = unique
            .columns
            .iter()
            .filter(|c| differs(c))
            .cloned()
            .collect();
        if other.is_empty() {
            return None;
        }
        telling.extend(other);
    }
    telling.sort();
    telling.dedup();
    (!telling.is_empty()).then_some(telling)
}
