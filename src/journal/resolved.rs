//! Rows of a bundle that did not go in as they are: a row of `reinstate.resolved` each, written in the transaction of their
//! batch.

use std::collections::BTreeMap;

use crate::ident::{Key, RunId, UnitId, quote_literal};
use crate::pg::{PgError, Row, Session};

use super::JournalError;

/// Rows that one statement records.
const ROWS_A_STATEMENT: usize = 1_000;

/// Such a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRow {
    /// Its unit.
    pub unit: UnitId,
    /// Its table, as shown.
    pub table: String,
    /// Its key in the bundle; empty in a table without one.
    pub key: Key,
    /// `skipped`, `remapped` or `rewritten`.
    pub state: String,
    /// The live row in its place; of one rewritten, its own key in live.
    pub live_key: Option<Key>,
    /// Why, for people.
    pub reason: String,
}

/// Reads and writes them.
pub struct ResolvedRows<'a> {
    session: &'a Session,
}

const READING: &str = "reading the journal";

impl<'a> ResolvedRows<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// Records the rows of a batch.
    pub async fn record(
        &self,
        run: &RunId,
        batch: i64,
        rows: &[ResolvedRow],
    ) -> Result<(), PgError> {
        for (chunk, rows) in rows.chunks(ROWS_A_STATEMENT).enumerate() {
            let values: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(n, row)| values(run, batch, chunk * ROWS_A_STATEMENT + n + 1, row))
                .collect();
            let sql = format!(
                "insert into reinstate.resolved
                   (run, batch, n, unit, table_name, key, state, live_key, reason) values {}",
                values.join(", ")
            );
            self.session
                .batch("journalling rows that do not go in as they are", &sql)
                .await?;
        }
        Ok(())
    }

    /// Those of every restore of a bundle, or of one batch of a run, with the run.
    pub async fn all(
        &self,
        bundle: &str,
        batch: Option<(&RunId, i64)>,
    ) -> Result<Vec<(RunId, ResolvedRow)>, JournalError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let one = batch.map_or_else(String::new, |(run, batch)| {
            format!(
                "and s.run = {} and s.batch = {batch}",
                quote_literal(&run.0)
            )
        });
        let sql = format!(
            "select s.run, s.unit, s.table_name, s.key, s.state, s.live_key, s.reason
               from reinstate.resolved s join reinstate.run r using (run)
              where r.bundle = $1 and r.kind = 'restore' {one} order by r.started, s.run, s.batch, s.n"
        );
        let rows = self.session.ask(READING, &sql, &[bundle]).await?;
        Ok(rows
            .iter()
            .map(|row| (RunId(row.get(0)), resolved(row)))
            .collect())
    }

    /// How many rows of a run are in which state, by table as shown.
    pub async fn totals(
        &self,
        run: &RunId,
    ) -> Result<BTreeMap<(String, String), u64>, JournalError> {
        if !self.recorded().await? {
            return Ok(BTreeMap::new());
        }
        let sql = "select table_name, state, count(*) from reinstate.resolved where run = $1 group by 1, 2";
        let rows = self.session.ask(READING, sql, &[&run.0]).await?;
        let total = |row: &Row| {
            let n = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
            ((row.get(0), row.get(1)), n)
        };
        Ok(rows.iter().map(total).collect())
    }

    /// The units of a batch that have such rows.
    pub(super) async fn units(&self, run: &RunId, batch: i64) -> Result<Vec<UnitId>, JournalError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql =
            "select distinct unit from reinstate.resolved where run = $1 and batch = $2::int8";
        let batch = batch.to_string();
        let rows = self.session.ask(READING, sql, &[&run.0, &batch]).await?;
        let units = rows
            .iter()
            .map(|row| UnitId::try_from(row.get::<_, i64>(0)));
        Ok(units.filter_map(Result::ok).collect())
    }

    /// Whether the journal has a table for them.
    async fn recorded(&self) -> Result<bool, JournalError> {
        let sql = "select to_regclass('reinstate.resolved') is not null";
        let rows = self
            .session
            .ask("looking for the journal", sql, &[])
            .await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

fn values(run: &RunId, batch: i64, n: usize, row: &ResolvedRow) -> String {
    let json = |key: &Key| quote_literal(&serde_json::to_string(key).unwrap_or_default());
    format!(
        "({}, {batch}, {n}, {}, {}, {}, {}, {}, {})",
        quote_literal(&run.0),
        row.unit,
        quote_literal(&row.table),
        json(&row.key),
        quote_literal(&row.state),
        row.live_key
            .as_ref()
            .map_or_else(|| "null".to_owned(), json),
        quote_literal(&row.reason),
    )
}

fn resolved(row: &Row) -> ResolvedRow {
    let key = |text: String| serde_json::from_str(&text).unwrap_or_else(|_| Key(vec![text]));
    ResolvedRow {
        unit: u64::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
        table: row.get(2),
        key: key(row.get(3)),
        state: row.get(4),
        live_key: row.get::<_, Option<String>>(5).map(key),
        reason: row.get(6),
    }
}
