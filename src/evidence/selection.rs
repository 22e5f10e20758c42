//! What was asked for: a window, or transactions, or both. Pure.

use std::collections::HashSet;

use super::{Finding, Interval, Place};

/// Which deletions were asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Committed in this window.
    pub window: Option<Interval>,
    /// Done by one of these transactions.
    pub transactions: Option<HashSet<u32>>,
}

impl Selection {
    /// Whether everything was asked for.
    pub fn is_everything(&self) -> bool {
        self.window.is_none() && self.transactions.is_none()
    }

    /// Where a deletion stands: inside, outside, or nobody can say. Contradicted evidence decides nothing.
    pub fn place(&self, finding: &Finding) -> Place {
        if self.is_everything() {
            return Place::Inside;
        }
        if finding.contradicted() {
            return Place::Straddling;
        }
        let by_time = self
            .window
            .map_or(Place::Inside, |w| finding.interval().place(w));
        let by_transaction = match (&self.transactions, finding.transaction()) {
            (None, _) => Place::Inside,
            (Some(_), None) => Place::Straddling,
            (Some(wanted), Some(xid)) if wanted.contains(&xid) => Place::Inside,
            // A part of a transaction has a number of its own, and could be part of one that was asked for.
            (Some(_), Some(_)) if finding.is_part() => Place::Straddling,
            (Some(_), Some(_)) => Place::Outside,
        };
        match (by_time, by_transaction) {
            (Place::Outside, _) | (_, Place::Outside) => Place::Outside,
            (Place::Inside, Place::Inside) => Place::Inside,
            _ => Place::Straddling,
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::evidence::interval::times::interval;
    use crate::evidence::{SourceKind, Testimony};

    fn known(from: i64, to: i64, transaction: Option<u32>) -> Finding {
        by(SourceKind::Audit, from, to, transaction)
    }

    fn by(source: SourceKind, from: i64, to: i64, transaction: Option<u32>) -> Finding {
        Finding::unknown(interval(0, 100)).hear(&Testimony {
            node: 0,
            interval: interval(from, to),
            transaction,
            source,
        })
    }

    #[test]
    fn the_number_of_a_savepoint_rules_nothing_out() {
        let selection = Selection {
            window: None,
            transactions: Some(HashSet::from([7])),
        };
        let dead = |xid| by(SourceKind::DeadTuples, 12, 13, Some(xid));
        assert_eq!(selection.place(&dead(7)), Place::Inside);
        assert_eq!(selection.place(&dead(8)), Place::Straddling);
    }

    #[test]
    fn both_conditions_must_hold() {
        let selection = Selection {
            window: Some(interval(10, 20)),
            transactions: Some(HashSet::from([7])),
        };
        assert_eq!(selection.place(&known(12, 13, Some(7))), Place::Inside);
        assert_eq!(selection.place(&known(12, 13, Some(8))), Place::Outside);
        assert_eq!(selection.place(&known(30, 31, Some(7))), Place::Outside);
        assert_eq!(selection.place(&known(12, 13, None)), Place::Straddling);
        assert_eq!(selection.place(&known(9, 11, Some(7))), Place::Straddling);
        // Outside by time, whatever the transaction.
        assert_eq!(selection.place(&known(20, 21, None)), Place::Outside);
    }

    #[test]
    fn contradicted_evidence_decides_nothing() {
        let window = Selection {
            window: Some(interval(10, 20)),
            transactions: None,
        };
        let contradicted = known(12, 13, None).hear(&Testimony {
            node: 0,
            interval: interval(14, 15),
            transaction: None,
            source: SourceKind::Bracket,
        });
        assert_eq!(window.place(&contradicted), Place::Straddling);
        assert_eq!(Selection::default().place(&contradicted), Place::Inside);
    }
}
