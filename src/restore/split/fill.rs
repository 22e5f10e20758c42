//! Fills the references that parts left NULL, and empties them again: in rows that are still as we wrote them, and nowhere else. Each
//! such transaction leaves in the journal who wrote the row last, so that everybody goes on taking it for ours.

use std::collections::HashMap;

use crate::catalog::{Locator, Table};
use crate::ident::{Key, quote_ident, quote_literal};
use crate::journal::{Parts, Postponed};
use crate::pg::{PgError, Session};
use crate::restore::read_back::XID8;
use crate::restore::relinks::ChildTriggers;

/// Rows of one table, by key.
pub(in crate::restore) struct Site<'a> {
    pub(in crate::restore) table: &'a Table,
    pub(in crate::restore) locator: &'a Locator,
    pub(in crate::restore) triggers: &'a ChildTriggers,
    pub(in crate::restore) of: &'a Postponed,
    /// Nothing is left to do of it after that.
    pub(in crate::restore) last: bool,
}

/// What was done about the rows of one record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::restore) struct Written {
    /// Rows written to.
    pub(in crate::restore) rows: u64,
    /// Rows that were left alone: somebody has written to them since, or what they refer to is gone.
    pub(in crate::restore) left: u64,
}

impl Site<'_> {
    /// The rows of the part as the journal has them, as a FROM item `o`: key, and what `xmin` shows of rows that are still ours.
    fn ours(&self) -> String {
        format!(
            "(select w.key, (w.xmin::text::numeric % 4294967296)::text as xmin
                from reinstate.batch_rows b, unnest(b.keys, b.xmins) as w (key, xmin)
               where b.run = {} and b.batch = {} and b.table_name = {}) o",
            quote_literal(&self.of.run.0),
            self.of.batch,
            quote_literal(&self.of.table),
        )
    }

    /// The row's key as the journal has it.
    fn json_key(&self) -> String {
        let texts = self.locator.texts("t");
        format!("to_json(array[{}])::text", texts.join(", "))
    }

    /// Where the rows lie that are still ours: the table's (or partition's) oid, and the place there.
    pub(in crate::restore) async fn spots(
        &self,
        session: &Session,
    ) -> Result<Vec<(String, String)>, PgError> {
        let sql = format!(
            "select t.tableoid::text, t.ctid::text from {}, {}, {} t where {} and o.key = {} and o.xmin = t.xmin::text",
            self.locator.list(self.of.keys.iter()),
            self.ours(),
            self.table.from_sql(),
            self.locator.matches("t"),
            self.json_key(),
        );
        let doing = format!("looking at {}", self.table.name);
        let rows = session.ask(&doing, &sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Locks the rows, in key order and without waiting (SQLSTATE 55P03 where somebody holds one).
    pub(in crate::restore) async fn lock(
        &self,
        session: &Session,
        keys: &[Key],
    ) -> Result<(), PgError> {
        let sql = format!(
            "select k.n from {} join {} t on {} order by {} for update of t nowait",
            self.locator.list(keys.iter()),
            self.table.from_sql(),
            self.locator.matches("t"),
            self.locator.columns("t").join(", "),
        );
        let doing = format!("locking rows of {}", self.table.name);
        session.ask(&doing, &sql, &[]).await.map(drop)
    }

    /// Fills the columns of the rows with `values`, one for each key and column.
    pub(in crate::restore) async fn fill(
        &self,
        session: &Session,
        keys: &[Key],
        values: &HashMap<&Key, Key>,
    ) -> Result<Written, PgError> {
        let (mut set, mut still) = (Vec::new(), Vec::new());
        for (i, name) in self.of.columns.iter().enumerate() {
            let Some(column) = self.table.column(name) else {
                continue;
            };
            let of_rows = keys.iter().map(|k| values.get(k).and_then(|v| v.0.get(i)));
            let texts = crate::ident::array_literal(of_rows.map(|v| v.map(String::as_str)));
            let name = quote_ident(name);
            let texts = quote_literal(&texts);
            set.push(format!(
                "{name} = (({texts}::text[])[k.n])::{}",
                column.type_name
            ));
            still.push(format!("t.{name} is null"));
        }
        self.write(session, keys, (&set, &still.join(" and ")), true)
            .await
    }

    /// Empties the columns again.
    pub(in crate::restore) async fn empty(
        &self,
        session: &Session,
        keys: &[Key],
    ) -> Result<Written, PgError> {
        let names = self.of.columns.iter().map(|c| quote_ident(c));
        let set: Vec<String> = names.map(|c| format!("{c} = null")).collect();
        self.write(session, keys, (&set, "true"), false).await
    }

    async fn write(
        &self,
        session: &Session,
        keys: &[Key],
        (set, still): (&[String], &str),
        filled: bool,
    ) -> Result<Written, PgError> {
        let doing = format!("writing references of {}", self.table.name);
        self.triggers.before(session).await?;
        let sql = format!(
            "update {} t set {} from {}, {} where {} and o.key = {} and o.xmin = t.xmin::text and {still}",
            self.table.from_sql(),
            set.join(", "),
            self.locator.list(keys.iter()),
            self.ours(),
            self.locator.matches("t"),
            self.json_key(),
        );
        let sql = format!("with w as ({sql} returning 1) select count(*) from w");
        let rows = session.ask(&doing, &sql, &[]).await?;
        self.triggers.after(session).await?;
        let rows = rows.first().map_or(0, |r| r.get::<_, i64>(0));
        let rows = u64::try_from(rows).unwrap_or(0);
        self.journal(session, keys).await?;
        if self.last {
            let sql = Parts::settled(self.of, filled);
            session.batch(&doing, &sql).await?;
        }
        Ok(Written {
            rows,
            left: keys.len() as u64 - rows,
        })
    }

    /// Rows that this transaction wrote are ours as they are now.
    async fn journal(&self, session: &Session, keys: &[Key]) -> Result<(), PgError> {
        let sql = format!(
            "with now as (
               select key, {XID8} as xmin from (
                 select {} as key, t.xmin from {} join {} t on {} where t.xmin = pg_current_xact_id()::xid) s)
             update reinstate.batch_rows b set xmins = (
               select array_agg(coalesce(now.xmin, w.xmin) order by w.n)
                 from unnest(b.keys, b.xmins) with ordinality as w (key, xmin, n) left join now using (key))
              where b.run = {} and b.batch = {} and b.table_name = {} and b.keys <> '{{}}'",
            self.json_key(),
            self.locator.list(keys.iter()),
            self.table.from_sql(),
            self.locator.matches("t"),
            quote_literal(&self.of.run.0),
            self.of.batch,
            quote_literal(&self.of.table),
        );
        session.batch("journalling references", &sql).await
    }
}
