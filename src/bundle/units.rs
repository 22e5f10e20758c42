//! Reads `units.jsonl.zst` forward, one unit at a time, each checked against the manifest.

use std::collections::HashSet;

use super::format::{Manifest, Need, UnitLine, UnitRecord};
use super::frames::LineReader;
use super::names::UNITS;
use super::{Bundle, BundleError};
use crate::ident::UnitId;

/// The units of a bundle, in order. After an error it has no more.
pub struct Units {
    lines: LineReader,
    limits: Limits,
    seen: UnitId,
    ended: bool,
    buffer: Vec<u8>,
}

/// How far the numbers in a unit may reach.
#[derive(Debug)]
pub(super) struct Limits {
    units: u64,
    tables: usize,
    /// Columns of each relation.
    relations: Vec<usize>,
}

impl Limits {
    pub(super) fn of(manifest: &Manifest) -> Self {
        Self {
            units: manifest.totals.units,
            tables: manifest.tables.len(),
            relations: manifest
                .relations
                .iter()
                .map(|r| r.parent_columns.len())
                .collect(),
        }
    }
}

impl Units {
    /// Begins at the first unit.
    pub(super) fn open(bundle: &Bundle) -> Result<Self, BundleError> {
        Ok(Self {
            lines: LineReader::open(&bundle.dir, UNITS, 0)?,
            limits: Limits::of(&bundle.manifest),
            seen: 0,
            ended: false,
            buffer: Vec::new(),
        })
    }

    /// The next unit with its frames.
    pub(super) fn next_line(&mut self) -> Result<Option<UnitLine>, BundleError> {
        if self.ended {
            return Ok(None);
        }
        // Ends on every error, and is taken back where there is none.
        self.ended = true;
        self.buffer.clear();
        if !self.lines.line(&mut self.buffer)? {
            return match self.seen == self.limits.units {
                true => Ok(None),
                false => Err(BundleError::inconsistent(
                    UNITS,
                    format!(
                        "it has {} units, the manifest says {}",
                        self.seen, self.limits.units
                    ),
                )),
            };
        }
        self.seen += 1;
        let line = parse_line(&self.buffer, self.seen, &self.limits)?;
        self.ended = false;
        Ok(Some(line))
    }
}

impl Iterator for Units {
    type Item = Result<UnitRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_line().transpose()?;
        Some(line.map(|l| l.record))
    }
}

/// Reads line `number`, from 1.
pub(super) fn parse_line(
    json: &[u8],
    number: u64,
    limits: &Limits,
) -> Result<UnitLine, BundleError> {
    let line: UnitLine = serde_json::from_slice(json).map_err(|e| BundleError::Malformed {
        file: UNITS.to_owned(),
        cause: format!("line {number}: {e}"),
    })?;
    let cause = unit_fault(&line.record, number).or_else(|| place_fault(&line, limits));
    match cause {
        None => Ok(line),
        Some(cause) => Err(BundleError::inconsistent(
            UNITS,
            format!("line {number}: {cause}"),
        )),
    }
}

/// What is wrong with a unit by itself, if anything; `expected` is the number it must have.
pub(super) fn unit_fault(unit: &UnitRecord, expected: UnitId) -> Option<String> {
    let n = unit.unit;
    if n != expected {
        return Some(format!("unit {n} stands where unit {expected} belongs"));
    }
    if let Some(later) = unit.depends_on.iter().find(|d| **d == 0 || **d >= n) {
        return Some(format!(
            "unit {n} depends on unit {later}, which is not before it"
        ));
    }
    let mut tables = HashSet::new();
    if let Some(twice) = unit.rows.iter().find(|(t, _)| !tables.insert(*t)) {
        return Some(format!("unit {n} names table {} twice", twice.0));
    }
    let dated = |table: usize| -> u64 {
        let of_table = unit.row_evidence.iter().filter(|e| e.table == table);
        of_table.map(|e| e.rows).fold(0, u64::saturating_add)
    };
    let undated = |(table, rows): &&(usize, u64)| dated(*table) != *rows;
    let wrong = unit.rows.iter().find(undated)?;
    (!unit.row_evidence.is_empty()).then(|| {
        format!(
            "unit {n} has {} rows of table {}, and evidence for {}",
            wrong.1,
            wrong.0,
            dated(wrong.0)
        )
    })
}

fn place_fault(line: &UnitLine, limits: &Limits) -> Option<String> {
    let unit = &line.record;
    let tables = unit.rows.iter().map(|r| r.0);
    let mut tables = tables
        .chain(line.at.iter().map(|a| a.0))
        .chain(unit.row_evidence.iter().map(|e| e.table))
        .chain([unit.root.table]);
    if let Some(table) = tables.find(|t| *t >= limits.tables) {
        return Some(format!(
            "it names table {table}; the manifest has {}",
            limits.tables
        ));
    }
    let fits = |n: &Need| limits.relations.get(n.relation) == Some(&n.key.0.len());
    let wrong = unit.needs.iter().find(|n| !fits(n))?;
    Some(need_fault(wrong.relation, wrong.key.0.len()))
}

/// What to say of a need that fits no relation.
pub(super) fn need_fault(relation: usize, values: usize) -> String {
    format!(
        "a unit needs a row by {values} values of relation {relation}, which has not as many columns or is not there"
    )
}
