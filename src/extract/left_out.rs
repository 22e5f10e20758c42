//! What was deleted and does not come, with the reason.

use crate::bundle::LeftOut;
use crate::catalog::{Comparable, Drift};
use crate::closure::Units;
use crate::diff::Candidates;
use crate::ident::TableName;

/// Candidates that belong to no unit.
pub(super) fn left_out(candidates: &Candidates, units: &Units) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    for (t, table) in candidates.tables.iter().enumerate() {
        let rows = (0..candidates.count(t))
            .filter(|r| units.unit_of(candidates.node(t, *r)).is_none())
            .count();
        if rows > 0 {
            left_out.push(LeftOut {
                table: table.snapshot.name.clone(),
                reason: if candidates.uncertain[t] {
                    UNCERTAIN
                } else {
                    NOT_ASKED_FOR
                }
                .into(),
                rows: rows as u64,
            });
        }
    }
    left_out
}

const NOT_ASKED_FOR: &str = "neither a root that was asked for nor part of one";
const UNCERTAIN: &str = "in a table without a key an edited row looks like a deleted one, and live has rows there that \
                         the snapshot has not; --root takes them all the same";

/// Tables of the snapshot that cannot be looked at.
pub(super) fn not_comparable(
    pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
) -> Vec<LeftOut> {
    pairs
        .iter()
        .filter_map(|(table, pair)| {
            let reason = match pair {
                Err(Drift::OnlyInLive) | Ok(_) => return None,
                Err(drift) => drift.to_string(),
            };
            Some(LeftOut {
                table: table.clone(),
                reason,
                rows: 0,
            })
        })
        .collect()
}
