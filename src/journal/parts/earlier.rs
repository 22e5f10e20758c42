//! How far earlier runs have brought units that came in parts, once undos have taken some of those parts back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::ident::UnitId;

use super::Part;

/// A part of an earlier run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) part: Part,
    /// A row of it was inserted; otherwise its rows were there already.
    pub(super) inserted: bool,
    /// When it was journalled, in microseconds of live's clock.
    pub(super) at: i64,
    /// When an undo took it back.
    pub(super) taken_back: Option<i64>,
}

impl Seen {
    fn rows(&self) -> Range<u64> {
        self.part.first_row..self.part.first_row + self.part.rows
    }
}

/// By unit: how many of its first rows have come, and whether those are all.
///
/// A run that goes on where another had left a unit has a part of its own for the rows that it found there. No undo takes that part
/// back, for nothing was inserted with it; so it does not count once the rows are gone that it speaks of. What was found there after such
/// an undo, for it had been kept, say, is there.
pub(super) fn reached(seen: &[Seen]) -> HashMap<UnitId, (u64, bool)> {
    let mut by_unit: BTreeMap<UnitId, Vec<&Seen>> = BTreeMap::new();
    for of in seen {
        by_unit.entry(of.part.unit).or_default().push(of);
    }
    let mut reached = HashMap::new();
    for (unit, mut parts) in by_unit {
        parts.sort_by_key(|p| p.part.first_row);
        let gone = parts.iter().filter_map(|p| Some((p.rows(), p.taken_back?)));
        let gone: Vec<(Range<u64>, i64)> = gone.collect();
        let found_gone = |p: &Seen| {
            let of = p.rows();
            let since = |(g, when): &(Range<u64>, i64)| {
                *when > p.at && g.start < of.end && of.start < g.end
            };
            !p.inserted && gone.iter().any(since)
        };
        let mut first = 0;
        let there = |p: &&&Seen| p.taken_back.is_none() && !found_gone(p);
        for part in parts.iter().filter(there) {
            let of = part.rows();
            if of.start <= first {
                first = first.max(of.end);
            }
        }
        let all = parts.iter().find(|p| p.part.last).map(|p| p.rows().end);
        reached.insert(unit, (first, all == Some(first)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: Range<u64>, last: bool) -> Seen {
        Seen {
            part: Part {
                unit: 1,
                part: 0,
                first_row: rows.start,
                rows: rows.end - rows.start,
                last,
            },
            inserted: true,
            at: 1,
            taken_back: None,
        }
    }

    fn found(rows: Range<u64>) -> Seen {
        Seen {
            inserted: false,
            ..part(rows, false)
        }
    }

    fn back(seen: Seen) -> Seen {
        Seen {
            taken_back: Some(2),
            ..seen
        }
    }

    fn of(seen: &[Seen]) -> (u64, bool) {
        reached(seen)[&1]
    }

    #[test]
    fn parts_of_several_runs_make_a_whole() {
        let (a, b) = (part(0..20, false), part(20..40, false));
        assert_eq!(of(&[a, b]), (40, false));
        assert_eq!(of(&[a, b, found(0..40), part(40..50, true)]), (50, true));
        assert_eq!(of(&[found(0..50), part(50..60, true)]), (60, true));
        assert_eq!(of(&[b, part(40..50, true)]), (0, false));
    }

    #[test]
    fn what_was_taken_back_has_not_come() {
        let (a, b) = (part(0..20, false), part(20..40, false));
        let (carried, end) = (found(0..40), part(40..50, true));
        assert_eq!(of(&[a, b, carried, back(end)]), (40, false));
        assert_eq!(of(&[a, back(b), carried, back(end)]), (20, false));
        assert_eq!(of(&[back(a), back(b), carried, back(end)]), (0, false));
        assert_eq!(of(&[back(a), back(b), carried, end]), (0, false));
        let again = [back(a), back(b), carried, back(end), part(0..50, true)];
        assert_eq!(of(&again), (50, true));
    }

    #[test]
    fn what_was_found_after_an_undo_is_there() {
        let kept = Seen {
            at: 3,
            ..found(0..20)
        };
        let again = [back(part(0..20, false)), kept, part(20..40, true)];
        assert_eq!(of(&again), (40, true));
    }
}
