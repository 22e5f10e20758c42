//! A batch: whole units with their rows, table by table.

use bytes::Bytes;

use crate::bundle::{UnitRecord, UnitRows};
use crate::ident::{Key, UnitId};

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
}

/// Whole units.
#[derive(Debug, Default)]
pub struct Batch {
    /// The units, in bundle order.
    pub units: Vec<UnitRecord>,
    /// Their rows, by table as the manifest numbers them, in unit order.
    pub rows: Vec<Vec<BatchRow>>,
}

impl Batch {
    /// Lays units out by table.
    pub fn new(units: Vec<UnitRows>, targets: &Targets) -> Self {
        let mut batch = Self {
            units: Vec::new(),
            rows: targets.tables.iter().map(|_| Vec::new()).collect(),
        };
        for (position, (record, tables)) in units.into_iter().enumerate() {
            for (table, lines) in tables {
                let target = &targets.tables[table];
                batch.rows[table].extend(lines.into_iter().map(|stored| BatchRow {
                    unit: position,
                    key: target.key_of(&stored),
                    line: target.project(&stored),
                    stored,
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

    /// Keeps the units for which `keep` holds, with their rows; the others come back apart.
    pub fn split(self, keep: impl Fn(usize) -> bool) -> (Self, Self) {
        let tables = self.rows.len();
        let empty = || Self {
            units: Vec::new(),
            rows: (0..tables).map(|_| Vec::new()).collect(),
        };
        let (mut kept, mut other) = (empty(), empty());
        let mut places = Vec::with_capacity(self.units.len());
        for (position, unit) in self.units.into_iter().enumerate() {
            let side = if keep(position) {
                &mut kept
            } else {
                &mut other
            };
            places.push((keep(position), side.units.len()));
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
    pub fn halve(self) -> (Self, Self) {
        let middle = self.units.len().div_ceil(2);
        self.split(|position| position < middle)
    }
}
