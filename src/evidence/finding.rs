//! What is known of one candidate's deletion: everything that was said of it, combined. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Interval;

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// Backups from after the snapshot: there or not.
    Bracket,
    /// A log that the application keeps.
    Audit,
    /// Write-ahead log.
    Wal,
    /// Deleted rows that live has not cleaned away yet.
    DeadTuples,
}

impl SourceKind {
    /// All of them, in the order in which they are named.
    pub const ALL: [Self; 4] = [Self::Bracket, Self::Audit, Self::Wal, Self::DeadTuples];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bracket => "bracket",
            Self::Audit => "audit",
            Self::Wal => "wal",
            Self::DeadTuples => "dead-tuples",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds of sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sources(u8);

impl Sources {
    /// With one more.
    #[must_use]
    pub fn with(self, kind: SourceKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether it holds `kind`.
    pub fn contains(self, kind: SourceKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Whether nobody said anything.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = SourceKind::ALL
            .into_iter()
            .filter(|k| self.contains(*k))
            .map(SourceKind::name)
            .collect();
        match names.as_slice() {
            [] => f.write_str("none"),
            names => f.write_str(&names.join("+")),
        }
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What one source says of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Testimony {
    /// The candidate.
    pub node: u32,
    /// When its deletion was committed.
    pub interval: Interval,
    /// The transaction that deleted it: the lower 32 bits of its number, as `xmin` and `xmax` show it.
    pub transaction: Option<u32>,
    /// Who says so.
    pub source: SourceKind,
}

/// The transaction as far as the sources agree: each variant knows more than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Transaction {
    Unknown,
    /// A transaction or a part of one, from a savepoint to the next: dead tuples carry such numbers.
    Part(u32),
    /// Several such numbers: of no use.
    Parts,
    Known(u32),
    Disputed,
}

impl Transaction {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, one) | (one, Self::Unknown) => one,
            (a, b) if a == b => a,
            (Self::Disputed, _) | (_, Self::Disputed) | (Self::Known(_), Self::Known(_)) => {
                Self::Disputed
            }
            (known @ Self::Known(_), _) | (_, known @ Self::Known(_)) => known,
            _ => Self::Parts,
        }
    }
}

/// Everything said of one candidate. The order in which it was heard does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The latest begin and the earliest end that anybody named: what all allow, unless it is empty.
    common: (Option<Timestamp>, Timestamp),
    /// From the earliest begin to the latest end: what anybody allows.
    hull: Interval,
    transaction: Transaction,
    sources: Sources,
}

impl Finding {
    /// Nothing is known but that it happened in `interval`, between the backup and the comparison.
    pub fn unknown(interval: Interval) -> Self {
        Self {
            common: (interval.from, interval.to),
            hull: interval,
            transaction: Transaction::Unknown,
            sources: Sources::default(),
        }
    }

    /// With one more testimony.
    #[must_use]
    pub fn hear(self, testimony: &Testimony) -> Self {
        let Interval { from, to } = testimony.interval;
        let said = match (testimony.transaction, testimony.source) {
            (None, _) => Transaction::Unknown,
            (Some(xid), SourceKind::DeadTuples) => Transaction::Part(xid),
            (Some(xid), _) => Transaction::Known(xid),
        };
        Self {
            common: (self.common.0.max(from), self.common.1.min(to)),
            hull: Interval {
                // None is "nobody knows", which is earlier than any time.
                from: self.hull.from.min(from),
                to: self.hull.to.max(to),
            },
            transaction: self.transaction.and(said),
            sources: self.sources.with(testimony.source),
        }
    }

    /// Whether the sources contradict each other, or the backup and live themselves. Nothing resolves that.
    pub fn contradicted(&self) -> bool {
        self.transaction == Transaction::Disputed
            || self.common.0.is_some_and(|from| from >= self.common.1)
    }

    /// When the deletion was committed: what all sources allow; where they contradict each other, what any allows.
    pub fn interval(&self) -> Interval {
        match self.contradicted() {
            true => self.hull,
            false => Interval {
                from: self.common.0,
                to: self.common.1,
            },
        }
    }

    /// The transaction that deleted it, where somebody knows and nobody disagrees.
    pub fn transaction(&self) -> Option<u32> {
        match self.transaction {
            Transaction::Known(xid) | Transaction::Part(xid) => Some(xid),
            _ => None,
        }
    }

    /// Whether that number may be of a part of a transaction only.
    pub fn is_part(&self) -> bool {
        matches!(self.transaction, Transaction::Part(_))
    }

    /// Who has said something.
    pub fn sources(&self) -> Sources {
        self.sources
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn testimony() -> impl Strategy<Value = Testimony> {
        (
            prop::option::of(0..40_i64),
            1..40_i64,
            prop::option::of(1..3_u32),
            0..4_usize,
        )
            .prop_map(|(from, length, transaction, source)| Testimony {
                node: 0,
                interval: Interval {
                    from: from.map(at),
                    to: at(from.unwrap_or(0) + length),
                },
                transaction,
                source: SourceKind::ALL[source],
            })
    }

    fn base() -> Finding {
        Finding::unknown(Interval {
            from: Some(at(0)),
            to: at(100),
        })
    }

    proptest! {
        #[test]
        fn the_order_of_testimonies_does_not_matter(all in prop::collection::vec(testimony(), 0..6)) {
            let forward = all.iter().fold(base(), |f, t| f.hear(t));
            let backward = all.iter().rev().fold(base(), |f, t| f.hear(t));
            prop_assert_eq!(forward, backward);
        }

        /// A moment is possible exactly where every source allows it.
        #[test]
        fn what_is_left_is_what_all_allow(all in prop::collection::vec(testimony(), 0..6), second in 0..100_i64) {
            let finding = all.iter().fold(base(), |f, t| f.hear(t));
            let moment = at(second);
            let allows = |i: Interval| i.from.is_none_or(|from| from <= moment) && moment < i.to;
            let every = all.iter().all(|t| allows(t.interval));
            let times_agree = (0..100).any(|s| all.iter().all(|t| {
                t.interval.from.is_none_or(|from| from <= at(s)) && at(s) < t.interval.to
            }));
            let one_transaction = {
                let whole = all.iter().filter(|t| t.source != SourceKind::DeadTuples);
                let mut xids: Vec<u32> = whole.filter_map(|t| t.transaction).collect();
                xids.sort_unstable();
                xids.dedup();
                xids.len() < 2
            };
            prop_assert_eq!(finding.contradicted(), !(times_agree && one_transaction));
            if !finding.contradicted() {
                prop_assert_eq!(allows(finding.interval()), every);
            }
        }
    }

    #[test]
    fn sources_are_named_in_order() {
        let none = Sources::default();
        assert_eq!(none.to_string(), "none");
        let two = none.with(SourceKind::DeadTuples).with(SourceKind::Bracket);
        assert_eq!(two.to_string(), "bracket+dead-tuples");
    }
}
