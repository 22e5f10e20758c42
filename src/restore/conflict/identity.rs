//! Whether a live row under the same key is the row that was deleted, put back and edited since, or another one: a sequence that was
//! restarted, an import. Rows of the deleted one must not be given to a stranger.
//!
//! The columns that `[[identity]]` names tell, else the time of creation, else the other unique values: a row of which none is as it was
//! is another one. Where a table has none of these, the operator's word, `--on-conflict remap`, is all there is.

use crate::bundle::RowIdentity;
use crate::catalog::IdentityRule;
use crate::evidence::identity_sets;

use super::super::{BatchRow, TargetTable};
use super::sides::{BothSides, fields};

/// The columns that say that it is another row, if they do.
pub(super) fn stranger(
    table: &TargetTable,
    row: &BatchRow,
    sides: &BothSides,
    rules: &[IdentityRule],
) -> Option<Vec<String>> {
    let sets = match rules.iter().find(|r| r.table == table.name) {
        Some(rule) => vec![rule.columns.clone()],
        None => {
            let mut sets = identity_sets(&table.live, |c| table.columns.contains(c));
            sets.retain(|set| *set != table.key);
            sets
        }
    };
    let identity = RowIdentity::of(&table.live, sets)?;
    let values = fields(&row.line);
    let then = |(name, _): &(String, String)| {
        let place = table.columns.iter().position(|c| c == name)?;
        values.get(place).cloned().flatten()
    };
    let now = |column: &(String, String)| match sides.columns.iter().position(|c| *c == column.0) {
        Some(place) => sides.live.get(place).cloned().flatten(),
        None => then(column),
    };
    let then_held: Vec<Option<String>> = identity.columns.iter().map(then).collect();
    let now_held: Vec<Option<String>> = identity.columns.iter().map(now).collect();
    let differing = identity.differing(&then_held, &now_held)?;
    let name = |place: usize| identity.columns[place].0.clone();
    Some(differing.into_iter().map(name).collect())
}
