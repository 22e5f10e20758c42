//! A batch: whole units with their rows, table by table.

use std::collections::HashSet;

use bytes::Bytes;

use crate::bundle::{UnitRecord, UnitRows};
use crate::ident::{Key, UnitId, part_number};
use crate::journal::Part;

use super::Targets;

/// A row on its way back.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// Position of its unit in the batch.
    pub unit: usize,
    /// Its key; empty in a bag.
    pub key: Key,
    /// Its COPY line, as live's columns take it.
    pub line: Bytes,
    /// Its COPY line, as the bundle has it.
    pub stored: Bytes,
    /// Its key in the bundle, where a reference in it was pointed to the row of live that takes the place of its parent.
    pub was: Option<Key>,
}

/// Whole units.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The units, in bundle order.
    pub units: Vec<UnitRecord>,
    /// Their rows, by table as the manifest numbers them, in unit order.
    pub rows: Vec<Vec<BatchRow>>,
    /// Its only unit comes in parts, and this is one.
    pub part: Option<Part>,
}

impl Batch {
    /// Lays units out by table.
    pub fn new(units: Vec<UnitRows>, targets: &Targets) -> Self {
        let mut batch = Self {
            units: Vec::new(),
            rows: targets.tables.iter().map(|_| Vec::new()).collect(),
            part: None,
        };
        for (position, (record, tables)) in units.into_iter().enumerate() {
            for (table, lines) in tables {
                let target = &targets.tables[table];
                batch.rows[table].extend(lines.into_iter().map(|stored| BatchRow {
                    unit: position,
                    key: target.key_of(&stored),
                    line: target.project(&stored),
                    stored,
                    was: None,
                }));
            }
            batch.units.push(record);
        }
        batch
    }

    /// Rows in it.
    pub fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Whether it has no units.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The units' numbers.
    pub fn numbers(&self) -> Vec<UnitId> {
        self.units.iter().map(|u| u.unit).collect()
    }

    /// The number by which the journal has the unit at a position, or the part of it.
    pub(super) fn number(&self, position: usize) -> UnitId {
        match &self.part {
            Some(part) => part_number(part.unit, part.part),
            None => self.units[position].unit,
        }
    }

    /// Those of all units.
    pub(super) fn journalled(&self) -> Vec<UnitId> {
        (0..self.units.len()).map(|n| self.number(n)).collect()
    }

    /// Keeps the units for which `keep` holds, with their rows; the others come back apart. Both keep their order.
    pub fn split(self, keep: impl Fn(&UnitRecord) -> bool) -> (Self, Self) {
        let tables = self.rows.len();
        let empty = || Self {
            units: Vec::new(),
            rows: (0..tables).map(|_| Vec::new()).collect(),
            part: None,
        };
        let (mut kept, mut other) = (empty(), empty());
        let mut places = Vec::with_capacity(self.units.len());
        for unit in self.units {
            let keeps = keep(&unit);
            let side = if keeps { &mut kept } else { &mut other };
            places.push((keeps, side.units.len()));
            side.units.push(unit);
        }
        for (table, rows) in self.rows.into_iter().enumerate() {
            for row in rows {
                let (keeps, unit) = places[row.unit];
                let side = if keeps { &mut kept } else { &mut other };
                side.rows[table].push(BatchRow { unit, ..row });
            }
        }
        (kept, other)
    }

    /// Two halves, cut between units.
    pub(super) fn halve(self) -> (Self, Self) {
        let middle = self.units.len().div_ceil(2);
        let first: HashSet<UnitId> = self.units.iter().take(middle).map(|u| u.unit).collect();
        self.split(|unit| first.contains(&unit.unit))
    }

    /// One batch a unit.
    pub(super) fn singles(self) -> Vec<Self> {
        let tables = self.rows.len();
        let single = |unit| Self {
            units: vec![unit],
            rows: (0..tables).map(|_| Vec::new()).collect(),
            part: None,
        };
        let mut all: Vec<Self> = self.units.into_iter().map(single).collect();
        for (table, rows) in self.rows.into_iter().enumerate() {
            for row in rows {
                all[row.unit].rows[table].push(BatchRow { unit: 0, ..row });
            }
        }
        all
    }

    /// Takes a batch apart around the units (by position) that something is in the way of. What depends on one of them
    /// comes after it: only then is it known whether it can come at all.
    pub(super) fn obstructed(self, stuck: &HashSet<usize>) -> Obstructed {
        let mut found: HashSet<UnitId> = HashSet::new();
        let mut behind: HashSet<UnitId> = HashSet::new();
        for (position, unit) in self.units.iter().enumerate() {
            let follows = |d: &UnitId| found.contains(d) || behind.contains(d);
            if unit.depends_on.iter().any(follows) {
                behind.insert(unit.unit);
            } else if stuck.contains(&position) {
                found.insert(unit.unit);
            }
        }
        let (behind, rest) = self.split(|unit| behind.contains(&unit.unit));
        let (stuck, free) = rest.split(|unit| found.contains(&unit.unit));
        Obstructed {
            free,
            stuck: stuck.singles(),
            behind,
        }
    }
}

/// A batch taken apart, in the order in which its parts can go on.
#[derive(Debug)]
pub(super) struct Obstructed {
    /// Units that nothing is in the way of.
    pub(super) free: Batch,
    /// Units that something is in the way of, each for itself.
    pub(super) stuck: Vec<Batch>,
    /// Units that depend on one of those, directly or not.
    pub(super) behind: Batch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Evidence, RowName};

    fn unit(unit: UnitId, depends_on: &[UnitId]) -> UnitRecord {
        UnitRecord {
            unit,
            root: RowName {
                table: 0,
                key: Key(vec![unit.to_string()]),
            },
            rows: vec![(0, 1)],
            evidence: Evidence {
                from: None,
                to: String::new(),
                source: "none".into(),
                transaction: None,
                contradicted: false,
            },
            row_evidence: Vec::new(),
            depends_on: depends_on.to_vec(),
            needs: Vec::new(),
            reason: None,
        }
    }

    fn batch() -> Batch {
        let units = vec![
            unit(1, &[]),
            unit(2, &[]),
            unit(3, &[2]),
            unit(4, &[3]),
            unit(5, &[1]),
        ];
        let row = |unit: usize| BatchRow {
            unit,
            key: Key(vec![(unit + 1).to_string()]),
            line: Bytes::new(),
            stored: Bytes::new(),
            was: None,
        };
        Batch {
            rows: vec![(0..units.len()).map(row).collect()],
            units,
            part: None,
        }
    }

    #[test]
    fn what_depends_on_a_stuck_unit_comes_after_it() {
        // Unit 4 is stuck as well, but behind 3, which is behind 2.
        let parts = batch().obstructed(&HashSet::from([1, 3]));
        assert_eq!(parts.free.numbers(), [1, 5]);
        let stuck: Vec<Vec<UnitId>> = parts.stuck.iter().map(Batch::numbers).collect();
        assert_eq!(stuck, [[2]]);
        assert_eq!(parts.behind.numbers(), [3, 4]);
        // Rows go with their units.
        let keys: Vec<&str> = parts.behind.rows[0]
            .iter()
            .map(|r| r.key.0[0].as_str())
            .collect();
        assert_eq!(keys, ["3", "4"]);
        assert_eq!(parts.behind.rows[0][1].unit, 1);
    }

    #[test]
    fn halves_and_singles_keep_the_order() {
        let (first, second) = batch().halve();
        assert_eq!(
            (first.numbers(), second.numbers()),
            (vec![1, 2, 3], vec![4, 5])
        );
        let singles: Vec<Vec<UnitId>> = batch().singles().iter().map(Batch::numbers).collect();
        assert_eq!(singles, [[1], [2], [3], [4], [5]]);
    }
}
