//! Units that came back in parts: which rows of a unit each part has, and the references that were left NULL until the row that
//! they refer to was there.
//!
//! The journal has a part as if it were a unit (`ident::part_number`), so that it is undone like one. A unit has come back when its
//! last part has.

use std::collections::{HashMap, HashSet};

use crate::ident::{Key, RunId, UnitId, array_literal, quote_literal, unit_of};
use crate::pg::{PgError, Row, Session};

use super::JournalError;

mod earlier;

use earlier::{Seen, reached};

const READING: &str = "reading the journal";

/// Some rows of a unit, which one transaction brings back. Rows are counted table by table, in the order of the bundle's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The unit.
    pub unit: UnitId,
    /// Its number among the parts of this unit in this run, from 0.
    pub part: u64,
    /// Rows of the unit before it.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// No part comes after it.
    pub last: bool,
}

/// How far a unit has come that has not come back whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begun {
    /// Its first rows, of which earlier runs know.
    pub earlier_rows: u64,
    /// Its first rows, of which the run at hand knows.
    pub rows: u64,
    /// Parts that the run at hand has made of those.
    pub parts: u64,
}

/// References of one part that were left NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// The run.
    pub run: RunId,
    /// Its batch.
    pub batch: i64,
    /// Its number in the batch, from 1.
    pub n: i64,
    /// The part.
    pub part: Part,
    /// The table, as shown.
    pub table: String,
    /// The columns that were left NULL.
    pub columns: Vec<String>,
    /// The rows, by their keys as the bundle has them.
    pub keys: Vec<Key>,
    /// They have been filled since.
    pub filled: bool,
}

/// What the journal says of the parts of a bundle's units.
#[derive(Debug, Default)]
pub(super) struct KnownParts {
    /// Units that have come back, the last part by the run at hand, or all parts by earlier ones.
    pub(super) whole: (HashSet<UnitId>, HashSet<UnitId>),
    pub(super) begun: HashMap<UnitId, Begun>,
    pub(super) postponed: Vec<Postponed>,
}

/// Reads and writes them.
pub struct Parts<'a> {
    session: &'a Session,
}

impl<'a> Parts<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// Records the part that a batch brings back, in its transaction.
    pub async fn record(&self, run: &RunId, batch: i64, part: &Part) -> Result<(), PgError> {
        let Part {
            unit,
            part,
            first_row,
            rows,
            last,
        } = part;
        let sql = format!(
            "insert into reinstate.unit_part (run, batch, unit, part, first_row, rows, last)
             values ({}, {batch}, {unit}, {part}, {first_row}, {rows}, {last})",
            quote_literal(&run.0)
        );
        self.session.batch("journalling a part", &sql).await
    }

    /// Records references that a batch leaves NULL, in its transaction: table as shown, columns, keys.
    pub async fn postpone(
        &self,
        run: &RunId,
        batch: i64,
        left: &[(String, Vec<String>, Vec<Key>)],
    ) -> Result<(), PgError> {
        for (n, (table, columns, keys)) in left.iter().enumerate() {
            let keys: Vec<String> = keys
                .iter()
                .map(|key| serde_json::to_string(key).unwrap_or_default())
                .collect();
            let array = |texts: &[String]| {
                quote_literal(&array_literal(texts.iter().map(|t| Some(t.as_str()))))
            };
            let sql = format!(
                "insert into reinstate.postponed (run, batch, n, table_name, columns, keys)
                 values ({}, {batch}, {}, {}, {}, {})",
                quote_literal(&run.0),
                n + 1,
                quote_literal(table),
                array(columns),
                array(&keys),
            );
            self.session.batch("journalling references", &sql).await?;
        }
        Ok(())
    }

    /// The SQL that says whether references are filled; they stay in the journal either way.
    pub fn settled(of: &Postponed, filled: bool) -> String {
        format!(
            "update reinstate.postponed set filled = {filled} where run = {} and batch = {} and n = {}",
            quote_literal(&of.run.0),
            of.batch,
            of.n
        )
    }

    /// Those that runs of a bundle have left NULL, whether they are filled by now or not, oldest first.
    pub async fn postponed(&self, bundle: &str) -> Result<Vec<Postponed>, JournalError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql = "select p.run, p.batch, p.n, u.unit, u.part, u.first_row, u.rows, u.last, p.table_name, p.columns, p.keys, p.filled
                     from reinstate.postponed p join reinstate.unit_part u using (run, batch) join reinstate.run r using (run)
                    where r.bundle = $1 order by r.started, p.run, p.batch, p.n";
        let rows = self.session.ask(READING, sql, &[bundle]).await?;
        Ok(rows.iter().map(postponed).collect())
    }

    /// The batches of a run that brought back parts of a unit, the last one first.
    pub async fn batches(&self, run: &RunId, unit: UnitId) -> Result<Vec<i64>, JournalError> {
        let sql = "select batch from reinstate.unit_part where run = $1 and unit = $2::int8 order by batch desc";
        let rows = self
            .session
            .ask(READING, sql, &[&run.0, &unit.to_string()])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// What is known of the units of a bundle, but for parts that were `taken_back`, in microseconds of live's clock; `run` is the run at
    /// hand.
    pub(super) async fn known(
        &self,
        bundle: &str,
        run: &str,
        taken_back: impl Fn(&str, &Part) -> Option<i64>,
    ) -> Result<KnownParts, JournalError> {
        let mut known = KnownParts::default();
        if !self.recorded().await? {
            return Ok(known);
        }
        let sql = "select p.run, u.unit, u.part, u.first_row, u.rows, u.last,
                          exists (select from reinstate.batch_rows r
                                   where r.run = u.run and r.batch = u.batch and r.inserted > 0),
                          (extract(epoch from b.began) * 1000000)::int8
                     from reinstate.unit_part u join reinstate.run p using (run) join reinstate.batch b using (run, batch)
                    where p.bundle = $1 and p.kind = 'restore' order by u.run, u.unit, u.first_row";
        let mut seen = Vec::new();
        for row in self.session.ask(READING, sql, &[bundle]).await? {
            let (of, part) = (row.get::<_, String>(0), part(&row, 1));
            let taken_back = taken_back(&of, &part);
            if of != run {
                seen.push(Seen {
                    part,
                    inserted: row.get(6),
                    at: row.get(7),
                    taken_back,
                });
            } else if taken_back.is_none() {
                let begun = known.begun.entry(part.unit).or_default();
                // Parts are taken back from the last one on: what is left of a unit are its first rows.
                if part.first_row == begun.rows {
                    begun.rows += part.rows;
                    begun.parts += 1;
                }
                if part.last {
                    known.whole.0.insert(part.unit);
                }
            }
        }
        for (unit, (rows, all)) in reached(&seen) {
            known.begun.entry(unit).or_default().earlier_rows = rows;
            if all {
                known.whole.1.insert(unit);
            }
        }
        known.postponed = self.postponed(bundle).await?;
        let open = |p: &Postponed| !p.filled && taken_back(&p.run.0, &p.part).is_none();
        known.postponed.retain(open);
        Ok(known)
    }

    /// Whether the journal has tables for them.
    pub async fn recorded(&self) -> Result<bool, JournalError> {
        let sql = "select to_regclass('reinstate.unit_part') is not null
                      and to_regclass('reinstate.postponed') is not null";
        let rows = self.session.ask(READING, sql, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

fn unsigned(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn part(row: &Row, from: usize) -> Part {
    Part {
        unit: unit_of(unsigned(row, from)),
        part: unsigned(row, from + 1),
        first_row: unsigned(row, from + 2),
        rows: unsigned(row, from + 3),
        last: row.get(from + 4),
    }
}

fn postponed(row: &Row) -> Postponed {
    let keys: Vec<String> = row.get(10);
    let key = |text: String| serde_json::from_str(&text).unwrap_or_else(|_| Key(vec![text]));
    Postponed {
        run: RunId(row.get(0)),
        batch: row.get(1),
        n: row.get(2),
        part: part(row, 3),
        table: row.get(8),
        columns: row.get(9),
        keys: keys.into_iter().map(key).collect(),
        filled: row.get(11),
    }
}
