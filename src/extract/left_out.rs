//! What was deleted and does not come, with the reason.

use crate::bundle::LeftOut;
use crate::catalog::{Comparable, Drift};
use crate::ident::TableName;

pub(super) const NOT_ASKED_FOR: &str = "neither a root that was asked for nor part of one";
pub(super) const UNCERTAIN: &str = "in a table without a key an edited row looks like a deleted one, and live has rows \
                                    there that the snapshot has not; --root takes them all the same";

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
