//! References that a restore filled, a row of `reinstate.relinked` each, and what became of them when it was taken back, a row of
//! `reinstate.unlinked` each; both written in the transaction that did it.

use std::collections::BTreeMap;

use crate::ident::{Key, RunId, UnitId, array_literal, quote_literal};
use crate::pg::{PgError, Row, Session};

/// Rows that one statement records.
const ROWS_A_STATEMENT: usize = 1_000;
const READING: &str = "reading the journal";

/// Where a filled reference stands in the journal: run, batch, number.
pub type RelinkedPlace = (String, i64, i64);

/// A reference that was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relinked {
    /// The unit of the row that it points at.
    pub unit: UnitId,
    /// That row's table, as shown.
    pub parent_table: String,
    /// That row's key in the bundle.
    pub parent_key: Key,
    /// The table of the row that points, as shown.
    pub table: String,
    /// Its key.
    pub key: Key,
    /// The columns of the reference.
    pub columns: Vec<String>,
    /// What they held before: those that were filled are NULL.
    pub before: Vec<Option<String>>,
    /// What they hold since.
    pub after: Vec<String>,
    /// Why it was filled: `transaction`, `committed`, `undo` or `content`.
    pub proof: String,
    /// The row's `xmin` before.
    pub xmin_before: u32,
    /// Its `xmin` since.
    pub xmin: u32,
}

impl Relinked {
    /// The columns that were filled, by place.
    pub fn filled(&self) -> Vec<usize> {
        let before = self.before.iter().enumerate();
        before
            .filter(|(_, b)| b.is_none())
            .map(|(i, _)| i)
            .collect()
    }
}

/// What an undo did with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// The reference.
    pub of: RelinkedPlace,
    /// `unlinked`, `already_gone`, `elsewhere`, `kept_changed` or `kept`.
    pub state: String,
    /// Why it was kept.
    pub reason: Option<String>,
    /// The row's `xmin` before and since, where it was emptied.
    pub xmins: Option<(u32, u32)>,
}

/// The relinks in the journal of one database.
pub struct Relinks<'a> {
    session: &'a Session,
}

impl<'a> Relinks<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// Records references that a batch filled.
    pub async fn record(&self, run: &RunId, batch: i64, rows: &[Relinked]) -> Result<(), PgError> {
        for (chunk, part) in rows.chunks(ROWS_A_STATEMENT).enumerate() {
            let first = chunk * ROWS_A_STATEMENT + 1;
            let values = part.iter().zip(first..).map(|(row, n)| {
                let before = row.before.iter().map(Option::as_deref);
                format!(
                    "({}, {batch}, {n}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
                    quote_literal(&run.0),
                    row.unit,
                    quote_literal(&row.parent_table),
                    json(&row.parent_key),
                    quote_literal(&row.table),
                    json(&row.key),
                    array(row.columns.iter().map(|c| Some(c.as_str()))),
                    array(before),
                    array(row.after.iter().map(|a| Some(a.as_str()))),
                    quote_literal(&row.proof),
                    row.xmin_before,
                    row.xmin,
                )
            });
            let sql = format!(
                "insert into reinstate.relinked (run, batch, n, unit, parent_table, parent_key, table_name, key, columns,
                   before, after, proof, written_before, written_by) values {}",
                values.collect::<Vec<_>>().join(", ")
            );
            self.session.batch("journalling references", &sql).await?;
        }
        Ok(())
    }

    /// Records what a batch of an undo did.
    pub async fn record_undone(
        &self,
        undo: &RunId,
        batch: i64,
        rows: &[Unlinked],
    ) -> Result<(), PgError> {
        for (chunk, part) in rows.chunks(ROWS_A_STATEMENT).enumerate() {
            let first = chunk * ROWS_A_STATEMENT + 1;
            let values = part.iter().zip(first..).map(|(row, n)| {
                let number =
                    |n: Option<u32>| n.map_or_else(|| "null".to_owned(), |n| n.to_string());
                let reason = row.reason.as_deref().map(quote_literal);
                format!(
                    "({}, {batch}, {n}, {}, {}, {}, {}, {}, {}, {})",
                    quote_literal(&undo.0),
                    quote_literal(&row.of.0),
                    row.of.1,
                    row.of.2,
                    quote_literal(&row.state),
                    reason.unwrap_or_else(|| "null".to_owned()),
                    number(row.xmins.map(|x| x.0)),
                    number(row.xmins.map(|x| x.1)),
                )
            });
            let sql = format!(
                "insert into reinstate.unlinked (run, batch, n, of_run, of_batch, of_n, state, reason, written_before, written_by)
                 values {}",
                values.collect::<Vec<_>>().join(", ")
            );
            self.session.batch("journalling references", &sql).await?;
        }
        Ok(())
    }

    /// Every reference that restores of a bundle filled, oldest first.
    pub async fn of_bundle(&self, bundle: &str) -> Result<Vec<(RelinkedPlace, Relinked)>, PgError> {
        self.read("r.bundle = $1", bundle).await
    }

    /// The references that a restore filled, and those that other restores of the bundle pointed at what it restored; first
    /// those filled last.
    pub async fn of_restore(
        &self,
        restore: &RunId,
    ) -> Result<Vec<(RelinkedPlace, Relinked)>, PgError> {
        // A unit belongs to the last restore that brought it back, whole or in parts (see `ident::unit_of`).
        let of = "(l.run = $1 or (r.bundle = (select bundle from reinstate.run where run = $1) and l.unit in (
                     select unit from (select distinct on (u.unit & 1099511627775) u.unit & 1099511627775 as unit, b.run
                                         from reinstate.batch b join reinstate.run o using (run), unnest(b.units) u (unit)
                                        where o.kind = 'restore' and o.bundle = (select bundle from reinstate.run where run = $1)
                                        order by u.unit & 1099511627775, o.started desc, b.run desc) owned
                      where run = $1)))";
        let mut all = self.read(of, &restore.0).await?;
        all.reverse();
        Ok(all)
    }

    async fn read(&self, of: &str, value: &str) -> Result<Vec<(RelinkedPlace, Relinked)>, PgError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "select l.run, l.batch, l.n, l.unit, l.parent_table, l.parent_key, l.table_name, l.key, l.columns, l.before,
                    l.after, l.proof, l.written_before, l.written_by
               from reinstate.relinked l join reinstate.run r using (run)
              where {of} order by r.started, l.run, l.batch, l.n"
        );
        let rows = self.session.ask(READING, &sql, &[value]).await?;
        Ok(rows.iter().map(relinked).collect())
    }

    /// What undos of a bundle's restores did with them, oldest first.
    pub async fn undone(&self, bundle: &str) -> Result<Vec<(RunId, Unlinked)>, PgError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql =
            "select u.run, u.of_run, u.of_batch, u.of_n, u.state, u.reason, u.written_before, u.written_by
                     from reinstate.unlinked u join reinstate.run r using (run)
                    where r.bundle = $1 order by r.started, u.run, u.batch, u.n";
        let rows = self.session.ask(READING, sql, &[bundle]).await?;
        let read = |row: &Row| {
            let xmins = (row.get::<_, Option<i64>>(6), row.get::<_, Option<i64>>(7));
            let unlinked = Unlinked {
                of: (row.get(1), row.get(2), row.get(3)),
                state: row.get(4),
                reason: row.get(5),
                xmins: xmins.0.map(low).zip(xmins.1.map(low)),
            };
            (RunId(row.get(0)), unlinked)
        };
        Ok(rows.iter().map(read).collect())
    }

    /// How many references a restore filled, by table as shown.
    pub async fn filled(&self, run: &RunId) -> Result<BTreeMap<String, u64>, PgError> {
        self.counted(
            "select table_name, count(*) from reinstate.relinked where run = $1 group by 1",
            run,
        )
        .await
    }

    /// How many references an undo dealt with, by state.
    pub async fn totals_undone(&self, undo: &RunId) -> Result<BTreeMap<String, u64>, PgError> {
        self.counted(
            "select state, count(*) from reinstate.unlinked where run = $1 group by 1",
            undo,
        )
        .await
    }

    async fn counted(&self, sql: &str, run: &RunId) -> Result<BTreeMap<String, u64>, PgError> {
        if !self.recorded().await? {
            return Ok(BTreeMap::new());
        }
        let rows = self.session.ask(READING, sql, &[&run.0]).await?;
        let count = |row: &Row| (row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or(0));
        Ok(rows.iter().map(count).collect())
    }

    /// Whether the journal has tables for them.
    pub(super) async fn recorded(&self) -> Result<bool, PgError> {
        let sql = "select to_regclass('reinstate.unlinked') is not null";
        let rows = self
            .session
            .ask("looking for the journal", sql, &[])
            .await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

fn relinked(row: &Row) -> (RelinkedPlace, Relinked) {
    let key = |text: String| serde_json::from_str(&text).unwrap_or_else(|_| Key(vec![text]));
    let relinked = Relinked {
        unit: u64::try_from(row.get::<_, i64>(3)).unwrap_or_default(),
        parent_table: row.get(4),
        parent_key: key(row.get(5)),
        table: row.get(6),
        key: key(row.get(7)),
        columns: row.get(8),
        before: row.get(9),
        after: row.get(10),
        proof: row.get(11),
        xmin_before: low(row.get(12)),
        xmin: low(row.get(13)),
    };
    ((row.get(0), row.get(1), row.get(2)), relinked)
}

fn low(xmin: i64) -> u32 {
    u32::try_from(xmin & 0xffff_ffff).unwrap_or_default()
}

fn json(key: &Key) -> String {
    quote_literal(&serde_json::to_string(key).unwrap_or_default())
}

fn array<'a>(values: impl Iterator<Item = Option<&'a str>>) -> String {
    format!("{}::text[]", quote_literal(&array_literal(values)))
}
