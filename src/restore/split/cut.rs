//! Cuts the rows of a unit into slices, read forward from the bundle.

use bytes::Bytes;

use crate::bundle::{Bundle, BundleError, BundleRows, UnitRecord, UnitRows};
use crate::ident::UnitId;

use super::turns;

/// Rows that are passed over at once.
const ROWS_AT_ONCE: u64 = 10_000;

/// Some rows of a unit, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::restore) struct Slice {
    /// Rows of the unit before it.
    pub(in crate::restore) first_row: u64,
    /// By table of the manifest.
    pub(in crate::restore) rows: Vec<(usize, Vec<Bytes>)>,
    /// It has the unit's last row.
    pub(in crate::restore) last: bool,
}

impl Slice {
    fn at(first_row: u64, rows: Vec<(usize, Vec<Bytes>)>, last: bool) -> Self {
        Self {
            first_row,
            rows,
            last,
        }
    }

    /// Its rows.
    pub(in crate::restore) fn len(&self) -> u64 {
        self.rows.iter().map(|(_, lines)| lines.len() as u64).sum()
    }

    /// Two slices, the first of about half the rows; one, where it cannot be cut. Tables of one `solid` circle stay together.
    pub(in crate::restore) fn halve(self, solid: &[Option<usize>]) -> (Self, Option<Self>) {
        let wanted = self.len() / 2;
        let (mut first, mut second): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        let mut taken = 0;
        for (table, mut lines) in self.rows {
            let with_last = |side: &[(usize, Vec<Bytes>)]| {
                solid[table].is_some()
                    && side.last().is_some_and(|(t, _)| solid[*t] == solid[table])
            };
            if with_last(&second) || (taken >= wanted && !with_last(&first)) {
                second.push((table, lines));
                continue;
            }
            let room = usize::try_from(wanted.saturating_sub(taken)).unwrap_or(usize::MAX);
            if solid[table].is_none() && room < lines.len() {
                second.push((table, lines.split_off(room)));
            }
            taken += lines.len() as u64;
            first.push((table, lines));
        }
        first.retain(|(_, lines)| !lines.is_empty());
        if first.is_empty() || second.is_empty() {
            let rows = first.into_iter().chain(second).collect();
            return (Self::at(self.first_row, rows, self.last), None);
        }
        let first = Self::at(self.first_row, first, false);
        let second = Self::at(self.first_row + first.len(), second, self.last);
        (first, Some(second))
    }

    /// As a unit that has only these rows. What it needs is not looked at.
    pub(in crate::restore) fn of(self, unit: &UnitRecord) -> UnitRows {
        let rows = self.rows.iter().map(|(t, lines)| (*t, lines.len() as u64));
        let record = UnitRecord {
            unit: unit.unit,
            root: unit.root.clone(),
            rows: rows.collect(),
            evidence: unit.evidence.clone(),
            row_evidence: Vec::new(),
            depends_on: unit.depends_on.clone(),
            needs: Vec::new(),
            reason: None,
        };
        (record, self.rows)
    }
}

/// The rows of one unit, read forward.
pub(in crate::restore) struct Reading {
    rows: BundleRows,
    /// Tables with the rows that are still to be read, in order.
    left: Vec<(usize, u64)>,
    at: u64,
}

impl Reading {
    /// From the unit's first row.
    pub(in crate::restore) fn open(bundle: &Bundle, unit: UnitId) -> Result<Self, BundleError> {
        let mut rows = bundle.read_from(unit)?;
        let record = rows.next_record()?;
        let mut left = record.map(|r| r.rows).unwrap_or_default();
        left.retain(|(_, rows)| *rows > 0);
        let turns = turns(&bundle.manifest);
        left.sort_by_key(|(table, _)| turns[*table]);
        Ok(Self { rows, left, at: 0 })
    }

    /// Passes over the rows before `row`.
    pub(in crate::restore) fn skip_to(&mut self, row: u64) -> Result<(), BundleError> {
        while self.at < row {
            let wanted = (row - self.at).min(ROWS_AT_ONCE);
            if self.take(wanted, &[])?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next slice of about `wanted` rows, at least one; of tables of a `solid` circle all that is left.
    pub(in crate::restore) fn take(
        &mut self,
        wanted: u64,
        solid: &[Option<usize>],
    ) -> Result<Option<Slice>, BundleError> {
        let circle = |table: usize| solid.get(table).copied().flatten();
        let mut slice = Slice::at(self.at, Vec::new(), false);
        let (mut taken, mut within) = (0, None);
        while let Some(&(table, left)) = self.left.first() {
            let together = circle(table).is_some() && circle(table) == within;
            if taken >= wanted.max(1) && !together {
                break;
            }
            let room = match circle(table) {
                Some(_) => left,
                None => left.min(wanted.max(1) - taken),
            };
            let lines = self.rows.take_rows(table, room)?;
            within = circle(table);
            taken += room;
            self.at += room;
            match room == left {
                true => drop(self.left.remove(0)),
                false => self.left[0].1 -= room,
            }
            slice.rows.push((table, lines));
        }
        slice.last = self.left.is_empty();
        Ok((taken > 0).then_some(slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(rows: &[(usize, usize)]) -> Slice {
        let lines = |n: usize| (0..n).map(|i| Bytes::from(i.to_string())).collect();
        Slice {
            first_row: 10,
            rows: rows.iter().map(|(t, n)| (*t, lines(*n))).collect(),
            last: true,
        }
    }

    fn counts(slice: &Slice) -> Vec<(usize, usize)> {
        slice
            .rows
            .iter()
            .map(|(t, lines)| (*t, lines.len()))
            .collect()
    }

    #[test]
    fn halves_follow_each_other() {
        let (first, second) = slice(&[(0, 1), (1, 6), (2, 3)]).halve(&[None, None, None]);
        let second = second.unwrap();
        assert_eq!(counts(&first), [(0, 1), (1, 4)]);
        assert_eq!(counts(&second), [(1, 2), (2, 3)]);
        assert_eq!((first.first_row, first.last), (10, false));
        assert_eq!((second.first_row, second.last), (15, true));
        assert_eq!(second.rows[0].1[0], Bytes::from_static(b"4"));
    }

    #[test]
    fn a_circle_is_not_cut() {
        let solid = [None, Some(1), Some(1), None];
        let (first, second) = slice(&[(0, 1), (1, 6), (2, 3)]).halve(&solid);
        assert_eq!(counts(&first), [(0, 1), (1, 6), (2, 3)]);
        assert_eq!((second, first.last), (None, true));
        let (first, second) = slice(&[(0, 8), (1, 3), (2, 3), (3, 1)]).halve(&solid);
        assert_eq!(counts(&first), [(0, 7)]);
        assert_eq!(counts(&second.unwrap()), [(0, 1), (1, 3), (2, 3), (3, 1)]);
        assert_eq!(slice(&[(0, 1)]).halve(&[None]).1, None);
    }
}
