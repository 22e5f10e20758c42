//! Words for sequences that are moved, or should have been.

use crate::restore::SequenceMove;

/// One sequence; `moved` is `would be` in a plan, `was` afterwards.
pub(super) fn line(one: &SequenceMove, moved: &str) -> String {
    let columns = one.columns.join(", ");
    let (sequence, key) = (&one.sequence, one.key);
    match (one.to, one.from) {
        (Some(to), from) => {
            let from = from.map(|f| format!(" from {f}")).unwrap_or_default();
            let stock = one.cache.map(|n| {
                format!("; sessions of the application hand out what they have in stock first (up to {n} numbers each): reconnect them")
            });
            format!(
                "sequence {sequence} {moved} moved{from} to {to}, past key {key} of {columns}; an undo leaves it there{}",
                stock.unwrap_or_default()
            )
        }
        (None, from) => {
            let stands = from
                .map(|f| format!(" stands at {f} and"))
                .unwrap_or_default();
            let not = match moved {
                "was" => "was not moved",
                _ => "would not be moved",
            };
            format!(
                "sequence {sequence}{stands} {not} past key {key} of {columns}: {}. Where it hands that key out, the \
                 application's insert fails",
                one.reason.as_deref().unwrap_or("its position is not known")
            )
        }
    }
}
