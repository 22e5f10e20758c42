//! One batch, one transaction.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::ident::{RunId, quote_ident, quote_literal};
use crate::journal::Store;
use crate::pg::copy::copy_in;
use crate::pg::{PgError, Session};

use super::look::{Looked, Presence, look};
use super::{Batch, BatchRow, Conflict, TargetTable, Targets};

/// How an attempt at a batch ended.
pub(super) enum Attempt {
    /// Committed.
    Committed,
    /// Rolled back: these are in the way of some of its units.
    InTheWay(Vec<Conflict>),
    /// Rolled back: an earlier attempt had committed after all.
    DoneBefore,
    /// Rolled back: it took longer than it may.
    TooSlow,
}

/// Where batches go.
pub(super) struct Inserter<'a> {
    pub(super) session: &'a Session,
    pub(super) targets: &'a Targets,
    pub(super) run: &'a RunId,
}

impl Inserter<'_> {
    /// Creates the session's staging tables, for tables that reference each other and for bags.
    pub(super) async fn stage(&self) -> Result<(), PgError> {
        let mut sql = String::new();
        for (i, table) in self
            .targets
            .tables
            .iter()
            .enumerate()
            .filter(|(i, _)| self.staged(*i))
        {
            // Writing to a String cannot fail.
            let _ = write!(
                sql,
                "create temporary table if not exists {} as select {} from {} with no data;",
                stage_name(i),
                table.column_list(),
                table.live.from_sql()
            );
        }
        self.session.batch("creating staging tables", &sql).await
    }

    /// Whether a table's rows go through a staging table: in one statement with the tables it forms a cycle with, or to
    /// learn where rows without a key came to lie.
    fn staged(&self, table: usize) -> bool {
        let together = self
            .targets
            .groups
            .iter()
            .any(|g| g.len() > 1 && g.contains(&table));
        together || !self.targets.tables[table].keyed()
    }

    /// Tries a batch. On an error the transaction is rolled back.
    pub(super) async fn attempt(
        &self,
        number: i64,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let attempt = self.transaction(number, batch, limit).await;
        if !matches!(attempt, Ok(Attempt::Committed)) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        attempt
    }

    async fn transaction(
        &self,
        number: i64,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let started = Instant::now();
        let begin = format!(
            "begin isolation level read committed; set local statement_timeout = {}",
            limit.as_millis()
        );
        self.session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(self.run, number, &batch.numbers());
        if self
            .session
            .ask("claiming a batch in the journal", &claim, &[])
            .await?
            .is_empty()
        {
            return Ok(Attempt::DoneBefore);
        }
        let looked = look(self.session, self.targets, batch, true).await?;
        if !looked.conflicts.is_empty() {
            return Ok(Attempt::InTheWay(looked.conflicts));
        }
        for group in &self.targets.groups {
            self.group(number, group, batch, &looked).await?;
            if started.elapsed() > limit {
                return Ok(Attempt::TooSlow);
            }
        }
        self.journal(number, batch, &looked).await?;
        if started.elapsed() > limit {
            return Ok(Attempt::TooSlow);
        }
        self.session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Committed)
    }

    /// Inserts the absent rows of tables that go in together.
    async fn group(
        &self,
        number: i64,
        group: &[usize],
        batch: &Batch,
        looked: &Looked,
    ) -> Result<(), PgError> {
        let mut staged = Vec::new();
        for &i in group {
            let table = &self.targets.tables[i];
            let lines = absent_lines(&batch.rows[i], &looked.presence[i]);
            if lines.is_empty() {
                continue;
            }
            let doing = format!("inserting into {}", table.name);
            if self.staged(i) {
                let columns = table.column_list();
                let name = stage_name(i);
                let sql = format!("delete from {name}; ");
                self.session.batch("emptying a staging table", &sql).await?;
                copy_in(
                    self.session,
                    &doing,
                    &format!("copy {name} ({columns}) from stdin"),
                    lines,
                )
                .await?;
                staged.push(i);
            } else {
                let sql = format!(
                    "copy {} ({}) from stdin",
                    table.name.sql(),
                    table.column_list()
                );
                copy_in(self.session, &doing, &sql, lines).await?;
            }
        }
        if staged.is_empty() {
            return Ok(());
        }
        self.move_staged(number, &staged, batch, looked).await
    }

    /// Moves staged rows into their tables by a single statement: references among them are checked at its end.
    async fn move_staged(
        &self,
        number: i64,
        staged: &[usize],
        batch: &Batch,
        looked: &Looked,
    ) -> Result<(), PgError> {
        let mut parts = Vec::new();
        for &i in staged {
            let table = &self.targets.tables[i];
            let columns = table.column_list();
            // A partitioned table cannot say where a row came to lie.
            let places = !table.keyed() && table.live.kind == crate::catalog::TableKind::Plain;
            let returning = if places {
                "returning ctid::text as place, xmin"
            } else {
                ""
            };
            parts.push(format!(
                "i{i} as (insert into {} ({columns}) overriding system value select {columns} from {} {returning})",
                table.name.sql(),
                stage_name(i)
            ));
            if places {
                let units = units_of_absent(batch, i, &looked.presence[i]);
                parts.push(format!(
                    "j{i} as (insert into reinstate.batch_rows
                       (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
                     select {}, {number}, {}, count(*), 0, 0, {units},
                            coalesce(array_agg(to_json(array[place])::text), '{{}}'), coalesce(array_agg({XID8}), '{{}}')
                       from i{i})",
                    quote_literal(&self.run.0),
                    quote_literal(&table.name.to_string()),
                ));
            }
        }
        let sql = format!("with {} select", parts.join(",\n     "));
        let names: Vec<String> = staged
            .iter()
            .map(|i| self.targets.tables[*i].name.to_string())
            .collect();
        self.session
            .batch(&format!("inserting into {}", names.join(", ")), &sql)
            .await
    }

    /// The transaction's last statements: keys and `xmin` of every row it inserted, read back.
    async fn journal(&self, number: i64, batch: &Batch, looked: &Looked) -> Result<(), PgError> {
        for (i, table) in self.targets.tables.iter().enumerate() {
            let presence = &looked.presence[i];
            let absent = presence.iter().filter(|p| **p == Presence::Absent).count() as u64;
            let present = presence.len() as u64 - absent;
            let journalled = self.staged(i)
                && !table.keyed()
                && table.live.kind == crate::catalog::TableKind::Plain;
            if presence.is_empty() || journalled {
                continue;
            }
            let sql = if table.keyed() && absent > 0 {
                self.read_back(number, table, batch, i, presence, present)
            } else {
                self.counts_only(number, table, absent, present)
            };
            let doing = format!("journalling rows of {}", table.name);
            let rows = self.session.ask(&doing, &sql, &[]).await?;
            let found = rows
                .first()
                .map_or(0, |r| u64::try_from(r.get::<_, i64>(0)).unwrap_or(0));
            if found != absent {
                return Err(PgError::vanished(
                    self.session,
                    &table.name.to_string(),
                    absent,
                    found,
                ));
            }
        }
        Ok(())
    }

    fn read_back(
        &self,
        number: i64,
        table: &TargetTable,
        batch: &Batch,
        i: usize,
        presence: &[Presence],
        present: u64,
    ) -> String {
        let rows = batch.rows[i]
            .iter()
            .zip(presence)
            .filter(|(_, p)| **p == Presence::Absent)
            .map(|(r, _)| r);
        format!(
            "insert into reinstate.batch_rows
               (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
             select {}, {number}, {}, count(*), {present}, 0, {}, coalesce(array_agg(key order by n), '{{}}'),
                    coalesce(array_agg({XID8} order by n), '{{}}')
               from (select k.n, {} as key, t.xmin
                       from {} join {} t on {}) s
             returning inserted",
            quote_literal(&self.run.0),
            quote_literal(&table.name.to_string()),
            units_of_absent(batch, i, presence),
            json_key(table),
            table.locator.list(rows.map(|r| &r.key)),
            table.live.from_sql(),
            table.locator.matches("t"),
        )
    }

    fn counts_only(&self, number: i64, table: &TargetTable, absent: u64, present: u64) -> String {
        format!(
            "insert into reinstate.batch_rows
               (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
             values ({}, {number}, {}, {absent}, {present}, 0, '{{}}', '{{}}', '{{}}') returning inserted",
            quote_literal(&self.run.0),
            quote_literal(&table.name.to_string()),
        )
    }
}

/// A row's `xmin` has 32 bits; our own transaction's id gives the upper half. A row of a later epoch cannot exist yet.
/// Nearly every row has our own id, which needs no arithmetic; rows that a subtransaction (a trigger's) wrote have others.
const XID8: &str =
    "case when xmin = (select pg_current_xact_id()::xid) then (select pg_current_xact_id())
                         else ((((select pg_current_xact_id())::text::int8 >> 32) << 32)
                               | xmin::text::int8)::text::xid8 end";

/// A row's key as a JSON array of texts. Digits and dashes need no escaping, and then plain text is built faster.
fn json_key(table: &TargetTable) -> String {
    let texts = table.locator.texts("t");
    let plain = |name: &String| {
        let builtin = table.live.column(name).and_then(|c| c.builtin.as_deref());
        matches!(builtin, Some("int2" | "int4" | "int8" | "uuid"))
    };
    match texts.as_slice() {
        [one] if table.key.iter().all(plain) => format!("'[\"' || {one} || '\"]'"),
        _ => format!("to_json(array[{}])::text", texts.join(", ")),
    }
}

fn stage_name(table: usize) -> String {
    format!(
        "pg_temp.{}",
        quote_ident(&format!("reinstate_stage_{table}"))
    )
}

/// The rows that live lacks, as COPY data.
fn absent_lines(rows: &[BatchRow], presence: &[Presence]) -> Bytes {
    let mut data = BytesMut::new();
    for (row, _) in rows
        .iter()
        .zip(presence)
        .filter(|(_, p)| **p == Presence::Absent)
    {
        data.extend_from_slice(&row.line);
        data.put_u8(b'\n');
    }
    data.freeze()
}

/// The unit of each absent row, as SQL.
fn units_of_absent(batch: &Batch, table: usize, presence: &[Presence]) -> String {
    let units: Vec<String> = batch.rows[table]
        .iter()
        .zip(presence)
        .filter(|(_, p)| **p == Presence::Absent)
        .map(|(row, _)| batch.units[row.unit].unit.to_string())
        .collect();
    format!("'{{{}}}'::int8[]", units.join(","))
}
