//! What was taken back: a run of kind `undo`, with the run that it takes back in its settings (`undoes`), one row of
//! `reinstate.batch` for each transaction, and in `reinstate.undo_rows` what became of the rows.
//!
//! A unit of a restore is in exactly one batch of it. An undo that took a unit up has it in a batch of its own, so the
//! pair of restore and unit says whether it is undone.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ident::{Key, RunId, UnitId, array_literal, quote_literal};
use crate::pg::{Row, Session};

use super::{JournalError, Relinks, ResolvedRows, Run, RunState};

pub(super) const READING: &str = "reading the journal";

/// A run, as much of it as `undo` asks for.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Id and state.
    pub run: Run,
    /// `restore`, `undo`.
    pub kind: String,
    /// The bundle's id.
    pub bundle: String,
}

/// A row that a restore inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredRow {
    /// Its table, as shown.
    pub table: String,
    /// The unit it came with.
    pub unit: UnitId,
    /// Its key; its place where it has none.
    pub key: Key,
    /// The lower half of the id of the transaction that wrote it, as `xmin` shows it.
    pub xmin: u32,
}

/// A batch of a restore.
#[derive(Debug, Clone)]
pub struct RestoredBatch {
    /// Its number.
    pub batch: i64,
    /// Its units.
    pub units: Vec<UnitId>,
    /// Its transaction.
    pub xmin: u32,
    /// The rows inserted that are to be looked at.
    pub rows: Vec<RestoredRow>,
    /// Tables of which the journal has no keys: how many rows were inserted.
    pub counted: Vec<(String, u64)>,
    /// Units with rows that did not go in as they are: taken back too, if no row of them went in at all.
    pub resolved: Vec<UnitId>,
}

/// What became of the rows of one table, in one transaction or in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoneRows {
    /// Deleted by the undo.
    pub removed: u64,
    /// Edited since, and kept.
    pub kept_changed: u64,
    /// Referenced by rows that stay, and kept.
    pub kept_referenced: u64,
    /// Deleted since by somebody else.
    pub already_gone: u64,
    /// Those that were not removed: unit, key, state.
    pub left: Vec<(UnitId, Key, &'static str)>,
}

/// The undo runs of one database.
pub struct Undos<'a> {
    pub(super) session: &'a Session,
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn units(row: &Row, column: usize) -> Vec<UnitId> {
    let all: Vec<i64> = row.get(column);
    all.into_iter().map(unsigned).collect()
}

pub(super) fn key(text: String) -> Key {
    serde_json::from_str(&text).unwrap_or_else(|_| Key(vec![text]))
}

fn run(row: &Row) -> Run {
    Run {
        run: RunId(row.get(0)),
        state: row.get::<_, &str>(1).parse().unwrap_or(RunState::Partly),
    }
}

impl<'a> Undos<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// A run by its id.
    pub async fn find(&self, id: &RunId) -> Result<Option<Recorded>, JournalError> {
        let sql = "select run, state, kind, bundle from reinstate.run where run = $1";
        let rows = self.session.ask(READING, sql, &[&id.0]).await?;
        Ok(rows.first().map(recorded))
    }

    /// The last restore that wrote something and of which no undo has ended.
    pub async fn last(&self) -> Result<Option<Recorded>, JournalError> {
        let filled = match Relinks::new(self.session).recorded().await? {
            true => "or exists (select from reinstate.relinked l where l.run = r.run)",
            false => "",
        };
        let sql = format!("select r.run, r.state, r.kind, r.bundle from reinstate.run r
                    where r.kind = 'restore'
                      and (exists (select from reinstate.batch_rows b where b.run = r.run and b.inserted > 0) {filled})
                      and not exists (select from reinstate.run u
                                       where u.kind = 'undo' and u.settings ->> 'undoes' = r.run
                                         and u.state not in ('running', 'interrupted'))
                    order by r.started desc, r.run desc limit 1");
        let rows = self.session.ask(READING, &sql, &[]).await?;
        Ok(rows.first().map(recorded))
    }

    /// The restore whose undo was the last to keep rows.
    pub async fn last_kept(&self) -> Result<Option<RunId>, JournalError> {
        let sql = "select settings ->> 'undoes' from reinstate.run where kind = 'undo' and state = 'partly'
                    order by started desc, run desc limit 1";
        let rows = self.session.ask(READING, sql, &[]).await?;
        Ok(rows.first().map(|row| RunId(row.get(0))))
    }

    /// The undos of a restore, oldest first. All but the last have ended.
    pub async fn of(&self, restore: &RunId) -> Result<Vec<Run>, JournalError> {
        let sql = "select run, state from reinstate.run
                    where kind = 'undo' and settings ->> 'undoes' = $1 order by started, run";
        let rows = self.session.ask(READING, sql, &[&restore.0]).await?;
        Ok(rows.iter().map(run).collect())
    }

    /// The units that an undo has dealt with, and its last batch.
    pub async fn progress(&self, undo: &RunId) -> Result<(HashSet<UnitId>, i64), JournalError> {
        let sql = "select units, batch from reinstate.batch where run = $1";
        let (mut done, mut last) = (HashSet::new(), 0);
        for row in self.session.ask(READING, sql, &[&undo.0]).await? {
            done.extend(units(&row, 0));
            last = last.max(row.get(1));
        }
        Ok((done, last))
    }

    /// The batch of a restore before `before`: undo goes backwards. After a `previous` undo, only the rows that it left.
    pub async fn batch_before(
        &self,
        restore: &RunId,
        before: i64,
        previous: Option<&RunId>,
    ) -> Result<Option<RestoredBatch>, JournalError> {
        let sql = "select b.batch, b.units, b.xmin::text::int8, r.table_name, r.inserted, r.units, r.keys,
                          array(select (x::text::numeric % 4294967296)::int8
                                  from unnest(r.xmins) with ordinality as u (x, n) order by n)
                     from (select batch, units, xmin from reinstate.batch
                            where run = $1 and batch < $2::int8 order by batch desc limit 1) b
                     left join reinstate.batch_rows r on r.run = $1 and r.batch = b.batch and r.inserted > 0
                    order by r.table_name";
        let params = [restore.0.as_str(), &before.to_string()];
        let rows = self.session.ask(READING, sql, &params).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut batch = RestoredBatch {
            batch: first.get(0),
            units: units(first, 1),
            xmin: low(first.get(2)),
            rows: Vec::new(),
            counted: Vec::new(),
            resolved: Vec::new(),
        };
        for row in &rows {
            if let Some(table) = row.get::<_, Option<String>>(3) {
                batch.take(row, table);
            }
        }
        match previous {
            Some(previous) => self.only_left(previous, &mut batch).await?,
            None => {
                let resolved = ResolvedRows::new(self.session);
                batch.resolved = resolved.units(restore, batch.batch).await?;
            }
        }
        Ok(Some(batch))
    }

    /// Takes out of a batch what an earlier undo has removed.
    async fn only_left(
        &self,
        previous: &RunId,
        batch: &mut RestoredBatch,
    ) -> Result<(), JournalError> {
        let sql = "select table_name, keys from reinstate.undo_rows where run = $1 and of_batch = $2::int8";
        let params = [previous.0.as_str(), &batch.batch.to_string()];
        let mut left: HashMap<String, HashSet<Key>> = HashMap::new();
        for row in self.session.ask(READING, sql, &params).await? {
            let keys: Vec<String> = row.get(1);
            let of_table = left.entry(row.get(0)).or_default();
            of_table.extend(keys.into_iter().map(key));
        }
        let stays = |table: &str, key: &Key| left.get(table).is_some_and(|l| l.contains(key));
        batch.rows.retain(|row| stays(&row.table, &row.key));
        batch
            .counted
            .retain(|(table, _)| left.get(table).is_some_and(|l| !l.is_empty()));
        Ok(())
    }

    /// The SQL that records what a transaction of an undo did to the rows of one table.
    pub fn record(
        undo: &RunId,
        batch: i64,
        of_batch: i64,
        table: &str,
        rows: &UndoneRows,
    ) -> String {
        let keys: Vec<String> = rows
            .left
            .iter()
            .map(|(_, key, _)| serde_json::to_string(key).unwrap_or_default())
            .collect();
        let units: Vec<String> = rows
            .left
            .iter()
            .map(|(unit, ..)| unit.to_string())
            .collect();
        format!(
            "insert into reinstate.undo_rows
               (run, batch, of_batch, table_name, removed, kept_changed, kept_referenced, already_gone, units, keys, states)
             values ({}, {batch}, {of_batch}, {}, {}, {}, {}, {}, '{{{}}}', {}, {})",
            quote_literal(&undo.0),
            quote_literal(table),
            rows.removed,
            rows.kept_changed,
            rows.kept_referenced,
            rows.already_gone,
            units.join(","),
            quote_literal(&array_literal(keys.iter().map(|k| Some(k.as_str())))),
            quote_literal(&array_literal(rows.left.iter().map(|(.., state)| Some(*state)))),
        )
    }

    /// Rows that a restore inserted, by table as shown.
    pub async fn inserted(&self, restore: &RunId) -> Result<BTreeMap<String, u64>, JournalError> {
        let sql = "select table_name, sum(inserted)::int8 from reinstate.batch_rows
                    where run = $1 group by 1 having sum(inserted) > 0";
        let rows = self.session.ask(READING, sql, &[&restore.0]).await?;
        Ok(rows
            .iter()
            .map(|r| (r.get(0), unsigned(r.get(1))))
            .collect())
    }

    /// What an undo has done so far, by table as shown; without the rows that are left.
    pub async fn totals(&self, undo: &RunId) -> Result<BTreeMap<String, UndoneRows>, JournalError> {
        let sql = "select table_name, sum(removed)::int8, sum(kept_changed)::int8, sum(kept_referenced)::int8,
                          sum(already_gone)::int8
                     from reinstate.undo_rows where run = $1 group by 1";
        let rows = self.session.ask(READING, sql, &[&undo.0]).await?;
        let read = |row: &Row| UndoneRows {
            removed: unsigned(row.get(1)),
            kept_changed: unsigned(row.get(2)),
            kept_referenced: unsigned(row.get(3)),
            already_gone: unsigned(row.get(4)),
            left: Vec::new(),
        };
        Ok(rows.iter().map(|row| (row.get(0), read(row))).collect())
    }
}

fn recorded(row: &Row) -> Recorded {
    Recorded {
        run: run(row),
        kind: row.get(2),
        bundle: row.get(3),
    }
}

/// What `xmin` shows of a transaction's id.
fn low(xid: i64) -> u32 {
    u32::try_from(xid & 0xffff_ffff).unwrap_or_default()
}

impl RestoredBatch {
    fn take(&mut self, row: &Row, table: String) {
        let keys: Vec<String> = row.get(6);
        if keys.is_empty() {
            self.counted.push((table, unsigned(row.get(4))));
            return;
        }
        let xmins: Vec<i64> = row.get(7);
        let rows = units(row, 5).into_iter().zip(keys).zip(xmins);
        self.rows
            .extend(rows.map(|((unit, text), xmin)| RestoredRow {
                table: table.clone(),
                unit,
                key: key(text),
                xmin: low(xmin),
            }));
    }
}
