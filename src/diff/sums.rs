//! Sums of a range: what tells that nothing in it differs, without a row travelling.

use crate::catalog::{Locator, Table};
use crate::ident::Key;
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
        let hash = self.hash(self.work.options.depth);
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

    /// Whether the rows that both sides have are the same, given the sums of all rows and the rows that one side alone
    /// has. Live moves between the questions: then the sums do not fit, and everything is compared.
    pub(super) async fn survivors_agree(
        &self,
        sums: (i64, i64),
        found: &[(Change, Key)],
    ) -> Result<bool, DiffError> {
        let hash = self.hash(Depth::Rows);
        let of = |change: Change| found.iter().filter(move |f| f.0 == change).map(|f| &f.1);
        let alone =
            async |session: &Session, table: &Table, keys: Vec<&Key>| -> Result<i64, PgError> {
                if keys.is_empty() {
                    return Ok(0);
                }
                let locator = Locator::by_names(table, &self.work.table.key);
                let sql = format!(
                    "select coalesce(bit_xor({hash}), 0) from {} join {} t on {}",
                    locator.list(keys.into_iter()),
                    table.from_sql(),
                    locator.matches("t"),
                );
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
}
