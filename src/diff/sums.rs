//! Sums of a range: what tells that nothing in it differs, without a row travelling.

use crate::catalog::{Locator, Table};
use crate::ident::{Key, array_literal, quote_ident, quote_literal};
use crate::pg::{PgError, Session};

use super::bounds::KeyRange;
use super::range::Pair;
use super::{Change, Depth, DiffError};

/// A count and the XOR of the rows' hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    pub(super) hash: i64,
}

impl Pair<'_, '_> {
    /// Sums a range on both sides at once.
    pub(super) async fn sums(&self, range: &KeyRange) -> Result<(Sum, Sum), DiffError> {
        let hashes = self.work.table.hashes("t");
        let hash = match self.work.options.depth {
            Depth::Rows => hashes.row,
            Depth::Keys => hashes.key,
        };
        let one = async |session: &Session, table: &Table| -> Result<Sum, PgError> {
            let key = self.work.key_columns(table);
            let condition = range.condition(&key);
            let from = format!("{} t where {condition}", table.from_sql());
            // Live may have any number of rows beyond the snapshot's: what is too large need not be counted to its end.
            let sql = if range.is_open() {
                format!(
                    "select count(*), coalesce(bit_xor(h), 0) from (select {hash} as h from {from} limit {}) s",
                    self.limit() + 1
                )
            } else {
                format!("select count(*), coalesce(bit_xor({hash}), 0) from {from}")
            };
            let rows = session
                .ask(&format!("summing {}", table.name), &sql, &[])
                .await?;
            Ok(rows.first().map_or(Sum { rows: 0, hash: 0 }, |row| Sum {
                rows: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
                hash: row.get(1),
            }))
        };
        let table = &self.work.table;
        Ok(tokio::try_join!(
            one(self.snapshot, &table.snapshot),
            one(self.live, &table.live)
        )?)
    }

    /// Whether the rows that both sides have are the same, given the sums of all rows by `hash` and the rows that one side
    /// alone has. Live moves between the questions: then the sums do not fit, and everything is compared.
    pub(super) async fn survivors_agree(
        &self,
        sums: (i64, i64),
        hash: &str,
        found: &[(Change, Key)],
    ) -> Result<bool, DiffError> {
        let of = |change: Change| found.iter().filter(move |f| f.0 == change).map(|f| &f.1);
        let alone =
            async |session: &Session, table: &Table, keys: Vec<&Key>| -> Result<i64, PgError> {
                if keys.is_empty() {
                    return Ok(0);
                }
                let from = self.rows_of(table, &keys);
                let sql = format!("select coalesce(bit_xor({hash}), 0) from {from}");
                let rows = session
                    .ask(&format!("summing rows of {}", table.name), &sql, &[])
                    .await?;
                Ok(rows.first().map_or(0, |r| r.get(0)))
            };
        let table = &self.work.table;
        let (only_a, only_b) = tokio::try_join!(
            alone(
                self.snapshot,
                &table.snapshot,
                of(Change::Deleted).collect()
            ),
            alone(self.live, &table.live, of(Change::Inserted).collect())
        )?;
        Ok(sums.0 ^ only_a == sums.1 ^ only_b)
    }

    /// Rows of a table by key, as a FROM item `t` with its condition. Keys that are packed need no join: the index takes
    /// them all at once.
    fn rows_of(&self, table: &Table, keys: &[&Key]) -> String {
        let from = table.from_sql();
        let column = self.work.key_columns(table).first().copied();
        if let (Some(_), Some(column)) = (self.packing, column) {
            let values = keys.iter().map(|k| k.0.first().map(String::as_str));
            return format!(
                "{from} t where t.{} = any ({}::{}[])",
                quote_ident(&column.name),
                quote_literal(&array_literal(values)),
                column.lookup_type,
            );
        }
        let locator = Locator::by_names(table, &self.work.table.key);
        let list = locator.list(keys.iter().copied());
        format!("{list} join {from} t on {}", locator.matches("t"))
    }
}
