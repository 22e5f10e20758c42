//! From what several after-snapshots show of a row to when it was deleted. Pure.

use jiff::Timestamp;

use crate::evidence::Interval;

/// What one after-snapshot shows of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The row is there.
    Present,
    /// It is there with other content, and its key is handed out only once.
    Edited,
    /// It is not there.
    Absent,
    /// Another row is there under its key.
    Another,
    /// There is a row under its key, and nothing tells which.
    Unclear,
    /// The table cannot be looked at there.
    Unseen,
}

impl Seen {
    fn is_there(self) -> bool {
        matches!(self, Self::Present | Self::Edited)
    }
}

/// From what the after-snapshots show, in order of their times, when the row was deleted: after the last that has it, before
/// the next that lacks it. A row that was missing and is there again, unchanged, counts by its last time.
pub(super) fn interval(seen: &[(Timestamp, Seen)], period: Interval) -> Option<Interval> {
    let last = seen.iter().rposition(|(_, s)| s.is_there());
    let from = last.map_or(period.from, |at| Some(seen[at].0));
    let mut after = seen.iter().skip(last.map_or(0, |at| at + 1));
    let gone = after.find(|(_, s)| matches!(s, Seen::Absent | Seen::Another));
    match (gone, last) {
        (Some((to, _)), _) => Some(Interval { from, to: *to }),
        (None, Some(_)) => Some(Interval {
            from,
            to: Timestamp::MAX,
        }),
        // Nobody who could tell has seen it.
        (None, None) => None,
    }
}

/// What a person should know.
#[derive(Default)]
pub(super) struct Notes {
    again: u64,
    another: u64,
    unclear: u64,
    edited: u64,
    pub(super) unseen: Vec<String>,
}

impl Notes {
    pub(super) fn count(&mut self, seen: &[(Timestamp, Seen)]) {
        let gone = |s: &Seen| matches!(s, Seen::Absent | Seen::Another);
        let first = seen.iter().position(|(_, s)| gone(s));
        let back = first.is_some_and(|g| seen[g..].iter().any(|(_, s)| s.is_there()));
        self.edited += u64::from(seen.iter().any(|(_, s)| *s == Seen::Edited));
        self.again += u64::from(back);
        self.another += u64::from(seen.iter().any(|(_, s)| *s == Seen::Another));
        self.unclear += u64::from(seen.iter().any(|(_, s)| *s == Seen::Unclear));
    }

    pub(super) fn into_text(self) -> Vec<String> {
        let mut notes = self.unseen;
        let mut note = |rows: u64, text: &str| {
            if rows > 0 {
                notes.push(format!("{rows} rows {text}"));
            }
        };
        note(
            self.another,
            "were deleted, created again under the same key, and deleted again: the snapshot has the first of them, an \
             after-snapshot the second",
        );
        note(
            self.again,
            "were missing in one after-snapshot and are there again, unchanged, in a later one: are their times swapped? \
             Otherwise they were deleted twice, and dated by the last time",
        );
        note(
            self.edited,
            "are in an after-snapshot with other content and count as edited, since their keys are handed out only once",
        );
        note(
            self.unclear,
            "may be in an after-snapshot with other content, and nothing tells whether they were edited or created again: \
             bracket says nothing of them",
        );
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn of(seen: &[Seen]) -> Option<(Option<i64>, Option<i64>)> {
        let seen: Vec<(Timestamp, Seen)> = seen
            .iter()
            .enumerate()
            .map(|(i, s)| (at(10 * (i as i64 + 1)), *s))
            .collect();
        let period = Interval {
            from: Some(at(0)),
            to: at(100),
        };
        interval(&seen, period).map(|i| {
            let to = (i.to != Timestamp::MAX).then(|| i.to.as_second());
            (i.from.map(Timestamp::as_second), to)
        })
    }

    #[test]
    fn brackets_in_a_row_narrow_the_interval() {
        use Seen::{Absent, Another, Present, Unclear, Unseen};
        assert_eq!(of(&[Absent]), Some((Some(0), Some(10))));
        assert_eq!(of(&[Present]), Some((Some(10), None)));
        assert_eq!(of(&[Present, Absent]), Some((Some(10), Some(20))));
        assert_eq!(of(&[Present, Present, Absent]), Some((Some(20), Some(30))));
        // Created again in between: the snapshot's row is the first.
        assert_eq!(of(&[Present, Another]), Some((Some(10), Some(20))));
        assert_eq!(of(&[Another, Absent]), Some((Some(0), Some(10))));
        // There again, unchanged: deleted for good after that.
        assert_eq!(of(&[Absent, Present]), Some((Some(20), None)));
        assert_eq!(of(&[Absent, Present, Absent]), Some((Some(20), Some(30))));
        // Nothing is known from what cannot be told or seen.
        assert_eq!(of(&[Unclear]), None);
        assert_eq!(of(&[Unseen, Absent]), Some((Some(0), Some(20))));
        assert_eq!(of(&[Present, Unclear, Absent]), Some((Some(10), Some(30))));
    }
}
