//! What a batch did, written into the journal as the transaction's last statements: keys and `xmin` of every row. Where a trigger
//! may have touched them they are read back from the tables, as they are then and not as they were when the rows went in.
//! Where none fires, the server has stored what it was sent, as many rows as it was sent, under our own id.

use crate::ident::{array_literal, quote_literal};
use crate::pg::PgError;

use super::insert::Inserter;
use super::look::{Looked, Presence};
use super::{Batch, TargetTable};

impl Inserter<'_> {
    /// The transaction's last statements: keys and `xmin` of every row it inserted, read back.
    pub(super) async fn journal(
        &self,
        number: i64,
        batch: &Batch,
        looked: &Looked,
    ) -> Result<(), PgError> {
        for (i, table) in self.targets.tables.iter().enumerate() {
            let presence = &looked.presence[i];
            let absent = presence.iter().filter(|p| **p == Presence::Absent).count() as u64;
            let present = presence.len() as u64 - absent;
            let journalled = absent > 0
                && self.targets.staged(i)
                && !table.keyed()
                && table.live.kind == crate::catalog::TableKind::Plain;
            if presence.is_empty() || journalled {
                continue;
            }
            let sql = match table.keyed() && absent > 0 {
                false => self.counts(number, table, [absent, present, 0]),
                true if self.as_sent(i) => self.sent(number, batch, i, (presence, present)),
                true => self.read_back(number, table, batch, i, presence, present),
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

    /// Whether the rows of a table are there as they were sent, and the bundle writes keys as the journal does.
    fn as_sent(&self, table: usize) -> bool {
        let target = &self.targets.tables[table];
        let copied = !self.targets.staged(table) && target.live.insert_rules.is_empty();
        copied && !self.treatment.fires() && target.key.iter().all(|c| plain(target, c))
    }

    /// The journal's row for rows that are there as they were sent.
    fn sent(
        &self,
        number: i64,
        batch: &Batch,
        i: usize,
        (presence, present): (&[Presence], u64),
    ) -> String {
        let rows = batch.rows[i].iter().zip(presence);
        let absent = rows.filter(|(_, p)| **p == Presence::Absent);
        let keys: Vec<String> = absent
            .map(|(row, _)| serde_json::to_string(&row.key).unwrap_or_default())
            .collect();
        format!(
            "insert into reinstate.batch_rows
               (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
             values ({}, {number}, {}, {absent}, {present}, 0, {}, {}, array_fill(pg_current_xact_id(), array[{absent}]))
             returning inserted",
            quote_literal(&self.run.0),
            quote_literal(&self.targets.tables[i].name.to_string()),
            units_of_absent(batch, i, presence),
            quote_literal(&array_literal(keys.iter().map(|k| Some(k.as_str())))),
            absent = keys.len(),
        )
    }

    pub(super) fn counts(
        &self,
        number: i64,
        table: &TargetTable,
        [inserted, present, gone]: [u64; 3],
    ) -> String {
        format!(
            "insert into reinstate.batch_rows
               (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
             values ({}, {number}, {}, {inserted}, {present}, {gone}, '{{}}', '{{}}', '{{}}') returning inserted",
            quote_literal(&self.run.0),
            quote_literal(&table.name.to_string()),
        )
    }
}

/// A row's `xmin` has 32 bits; our own transaction's id gives the upper half. A row of a later epoch cannot exist yet.
/// Nearly every row has our own id, which needs no arithmetic; rows that a subtransaction (a trigger's) wrote have others.
pub(super) const XID8: &str =
    "case when xmin = (select pg_current_xact_id()::xid) then (select pg_current_xact_id())
                         else ((((select pg_current_xact_id())::text::int8 >> 32) << 32)
                               | xmin::text::int8)::text::xid8 end";

/// A row's key as a JSON array of texts. Digits and dashes need no escaping, and then plain text is built faster.
fn json_key(table: &TargetTable) -> String {
    let texts = table.locator.texts("t");
    match texts.as_slice() {
        [one] if table.key.iter().all(|c| plain(table, c)) => format!("'[\"' || {one} || '\"]'"),
        _ => format!("to_json(array[{}])::text", texts.join(", ")),
    }
}

/// Whether a key column holds digits and dashes alone, however it is written.
fn plain(table: &TargetTable, column: &str) -> bool {
    let builtin = table.live.column(column).and_then(|c| c.builtin.as_deref());
    matches!(builtin, Some("int2" | "int4" | "int8" | "uuid"))
}

/// The unit of each absent row, as SQL.
pub(super) fn units_of_absent(batch: &Batch, table: usize, presence: &[Presence]) -> String {
    let units: Vec<String> = batch.rows[table]
        .iter()
        .zip(presence)
        .filter(|(_, p)| **p == Presence::Absent)
        .map(|(row, _)| batch.number(row.unit).to_string())
        .collect();
    format!("'{{{}}}'::int8[]", units.join(","))
}
