//! From what several after-snapshots show of a row to when it was deleted. Pure.

use jiff::Timestamp;

use crate::evidence::Interval;

/// What one after-snapshot shows of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The row is there.
    Present,
    /// It is not there.
    Absent,
    /// Another row is there under its key.
    Another,
    /// There is a row under its key, and nothing tells which.
    Unclear,
    /// The table cannot be looked at there.
    Unseen,
}

/// From what the after-snapshots show, in order of their times, when the row was deleted.
pub(super) fn interval(seen: &[(Timestamp, Seen)], period: Interval) -> Option<Interval> {
    let mut from = period.from;
    let mut said = false;
    for (time, seen) in seen {
        match seen {
            Seen::Present => {
                from = Some(*time);
                said = true;
            }
            // Whatever is under its key later is another row.
            Seen::Absent | Seen::Another => return Some(Interval { from, to: *time }),
            // Not told apart from what follows: what is known so far still holds.
            Seen::Unclear | Seen::Unseen => {}
        }
    }
    said.then_some(Interval {
        from,
        to: Timestamp::MAX,
    })
}

/// What a person should know.
#[derive(Default)]
pub(super) struct Notes {
    again: u64,
    unclear: u64,
    pub(super) unseen: Vec<String>,
}

impl Notes {
    pub(super) fn count(&mut self, seen: &[(Timestamp, Seen)]) {
        let gone = seen
            .iter()
            .position(|(_, s)| matches!(s, Seen::Absent | Seen::Another));
        let back = gone.is_some_and(|g| {
            seen[g].1 == Seen::Another || seen[g..].iter().any(|(_, s)| *s == Seen::Present)
        });
        self.again += u64::from(back);
        self.unclear += u64::from(seen.iter().any(|(_, s)| *s == Seen::Unclear));
    }

    pub(super) fn into_text(self) -> Vec<String> {
        let mut notes = self.unseen;
        if self.again > 0 {
            notes.push(format!(
                "{} rows were deleted, created again under the same key, and deleted again: the snapshot has the first of \
                 them, the after-snapshot the second",
                self.again
            ));
        }
        if self.unclear > 0 {
            notes.push(format!(
                "{} rows are in an after-snapshot with other content, and nothing tells whether they were edited or created \
                 again under the same key: bracket says nothing of them",
                self.unclear
            ));
        }
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
        assert_eq!(of(&[Absent, Present]), Some((Some(0), Some(10))));
        assert_eq!(of(&[Present, Another, Present]), Some((Some(10), Some(20))));
        // Nothing is known from what cannot be told or seen.
        assert_eq!(of(&[Unclear]), None);
        assert_eq!(of(&[Unseen, Absent]), Some((Some(0), Some(20))));
        assert_eq!(of(&[Present, Unclear, Absent]), Some((Some(10), Some(30))));
    }
}
