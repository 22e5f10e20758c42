//! What the server itself would refuse of a row, whatever else live holds: a NULL where there must be a value by now, a label that
//! an enum has no more, a domain's or a table's CHECK, a partition that is not there. A plan asks, so that nobody learns of it in
//! the middle of a run; the run leaves the judgement to the server.
//!
//! Guarantees only to read. Not foreseen, and left to the run: what a trigger or a policy refuses, a CHECK of one partition, or over
//! columns that the bundle has no values for; where the server is older than 16, values of a column after the first few that its
//! type refuses.

mod find;
mod values;

pub(super) use find::find;

use crate::pg::{PgError, Session};

use super::conflict::{fields, values_of_rows};
use super::look::{Conflict, Looked, Presence};
use super::{Batch, BatchRow, TargetTable, Targets};
use values::Judged;

/// What a table asks of each of its rows.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Columns that must hold something, by place in the table's list.
    not_null: Vec<usize>,
    /// Columns whose type has a list of values or a CHECK, or holds such a type.
    typed: Vec<Typed>,
    checks: Vec<Check>,
}

/// A column whose values its type may refuse.
#[derive(Debug)]
struct Typed {
    /// Place in the table's list of columns.
    place: usize,
    /// As SQL.
    type_name: String,
    judged: Judged,
}

/// A condition over the columns of a row.
#[derive(Debug)]
struct Check {
    /// The constraint; none where it says that there is a partition.
    constraint: Option<String>,
    expression: String,
    columns: Vec<String>,
}

/// A refused row: its place, why, and the server's code.
type Refused = (usize, String, &'static str);

/// The rows of a batch that live would refuse. `looked` says which are to come.
pub(super) async fn refused(
    session: &Session,
    targets: &Targets,
    gates: &mut [Gate],
    (batch, looked): (&Batch, &Looked),
) -> Result<Vec<Conflict>, PgError> {
    let mut conflicts = Vec::new();
    let tables = targets.tables.iter().zip(gates);
    for (place, (table, gate)) in tables.enumerate() {
        let rows = batch.rows[place].iter().zip(&looked.presence[place]);
        let coming = rows.enumerate();
        let coming = coming.filter(|(_, (_, presence))| **presence == Presence::Absent);
        let coming: Vec<(usize, &BatchRow)> = coming.map(|(n, (row, _))| (n, row)).collect();
        for (n, why, sqlstate) in gate.refused(session, table, coming).await? {
            let row = &batch.rows[place][n];
            conflicts.push(Conflict {
                unit: row.unit,
                table: table.name.clone(),
                reason: format!("{} {}: {why}", table.name, row.key),
                missing_parent: false,
                sqlstate,
                row: None,
                sides: None,
            });
        }
    }
    Ok(conflicts)
}

impl Gate {
    /// What it refuses, each row once.
    async fn refused(
        &mut self,
        session: &Session,
        table: &TargetTable,
        mut rows: Vec<(usize, &BatchRow)>,
    ) -> Result<Vec<Refused>, PgError> {
        let mut refused = self.by_value(session, table, &rows).await?;
        rows.retain(|(n, _)| !refused.iter().any(|(out, ..)| out == n));
        for check in &self.checks {
            if rows.is_empty() {
                break;
            }
            let out = check.refused(session, table, &rows).await?;
            rows.retain(|(n, _)| !out.iter().any(|(out, ..)| out == n));
            refused.extend(out);
        }
        Ok(refused)
    }

    /// Those with a NULL or a value that a column does not take.
    async fn by_value(
        &mut self,
        session: &Session,
        table: &TargetTable,
        rows: &[(usize, &BatchRow)],
    ) -> Result<Vec<Refused>, PgError> {
        if self.not_null.is_empty() && self.typed.is_empty() {
            return Ok(Vec::new());
        }
        let rows = rows.iter().map(|(n, row)| (*n, fields(&row.line)));
        let rows: Vec<(usize, Vec<Option<String>>)> = rows.collect();
        for typed in &mut self.typed {
            let values = rows
                .iter()
                .filter_map(|(_, row)| row.get(typed.place)?.as_deref());
            typed
                .judged
                .learn(session, &typed.type_name, values)
                .await?;
        }
        let refused = rows.iter().filter_map(|(n, values)| {
            let (why, sqlstate) = self.first(table, values)?;
            Some((*n, why, sqlstate))
        });
        Ok(refused.collect())
    }

    /// The first column that does not take its value.
    fn first(
        &self,
        table: &TargetTable,
        values: &[Option<String>],
    ) -> Option<(String, &'static str)> {
        let null = |place: &&usize| values.get(**place).is_some_and(Option::is_none);
        if let Some(place) = self.not_null.iter().find(null) {
            let why = format!(
                "live asks for a value in {}, and it has none",
                table.columns[*place]
            );
            return Some((why, "23502"));
        }
        self.typed.iter().find_map(|typed| {
            let value = values.get(typed.place)?.as_deref()?;
            let sqlstate = typed.judged.refused(value)?;
            let (column, name) = (&table.columns[typed.place], &typed.type_name);
            let why = format!("its value in {column} is none that {name} has in live");
            Some((why, sqlstate))
        })
    }
}

impl Check {
    /// The rows that it does not let pass. What the server cannot tell is left to the run.
    async fn refused(
        &self,
        session: &Session,
        table: &TargetTable,
        rows: &[(usize, &BatchRow)],
    ) -> Result<Vec<Refused>, PgError> {
        // A CHECK passes where nobody knows; a partition must be there.
        let fails = match self.constraint {
            Some(_) => "is false",
            None => "is not true",
        };
        let from = values_of_rows(table, &self.columns, rows);
        let sql = format!(
            "select reinstate_n from {from} where ({}) {fails}",
            self.expression
        );
        let doing = format!("asking what {} takes", table.name);
        let found = match session.ask(&doing, &sql, &[]).await {
            Ok(found) => found,
            Err(PgError::Server(_)) => return Ok(Vec::new()),
            Err(lost) => return Err(lost),
        };
        let found = found.iter().filter_map(|row| {
            let n = usize::try_from(row.get::<_, i64>(0)).ok()?.checked_sub(1)?;
            let (at, row) = rows.get(n)?;
            Some((*at, self.why(table, row), "23514"))
        });
        Ok(found.collect())
    }

    fn why(&self, table: &TargetTable, row: &BatchRow) -> String {
        match &self.constraint {
            Some(name) => format!("CHECK constraint {name} of live does not take it"),
            None => {
                let values = fields(&row.line);
                let of = |column: &String| {
                    let place = table.columns.iter().position(|c| c == column)?;
                    let value = values.get(place)?.as_deref().unwrap_or("NULL");
                    Some(format!("{column} = {value}"))
                };
                let key: Vec<String> = self.columns.iter().filter_map(of).collect();
                format!("live has no partition for {}", key.join(", "))
            }
        }
    }
}
