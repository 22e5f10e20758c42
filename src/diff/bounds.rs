//! Cuts a table's key into half-open ranges of about equal numbers of rows, the first and the last open-ended.

use crate::catalog::{Column, Table};
use crate::ident::{Key, quote_ident};
use crate::pg::{PgError, Session};

/// A half-open range of keys; `None`: open-ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) from: Option<Key>,
    pub(super) to: Option<Key>,
}

impl KeyRange {
    /// Everything.
    pub(super) const ALL: Self = Self {
        from: None,
        to: None,
    };

    /// Cuts a range at `cuts`, which lie inside it, in order.
    pub(super) fn cut(self, cuts: Vec<Key>) -> Vec<Self> {
        let mut from = self.from;
        let mut ranges = Vec::with_capacity(cuts.len() + 1);
        for cut in cuts {
            ranges.push(Self {
                from: from.take(),
                to: Some(cut.clone()),
            });
            from = Some(cut);
        }
        ranges.push(Self { from, to: self.to });
        ranges
    }

    /// The range as a condition on alias `t`, its bounds as text parameters `$1…`.
    pub(super) fn condition(&self, key: &[&Column]) -> (String, Vec<&str>) {
        let columns: Vec<String> = key
            .iter()
            .map(|c| format!("t.{}", quote_ident(&c.name)))
            .collect();
        let mut params: Vec<&str> = Vec::new();
        let mut conditions = Vec::new();
        for (operator, bound) in [(">=", &self.from), ("<", &self.to)] {
            let Some(bound) = bound else { continue };
            let values: Vec<String> = key
                .iter()
                .zip(&bound.0)
                .map(|(column, value)| {
                    params.push(value);
                    format!("${}::{}", params.len(), column.type_name)
                })
                .collect();
            conditions.push(format!(
                "({}) {operator} ({})",
                columns.join(", "),
                values.join(", ")
            ));
        }
        let condition = if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join(" and ")
        };
        (condition, params)
    }
}

/// Picks the cuts that divide a sorted sample into `parts` of about equal size; duplicates fall together.
fn quantiles(sample: &[Key], parts: u64) -> Vec<Key> {
    let n = sample.len() as u64;
    let mut cuts: Vec<Key> = (1..parts)
        .filter_map(|i| sample.get(usize::try_from(i * n / parts).ok()?))
        .cloned()
        .collect();
    cuts.dedup();
    cuts
}

/// Ranges of about `chunk_rows` rows each, from a sample of the table's pages: no statistics are needed, which a
/// freshly restored dump does not have.
pub(super) async fn ranges(
    session: &Session,
    table: &Table,
    key: &[&Column],
    rows: u64,
    chunk_rows: u64,
) -> Result<Vec<KeyRange>, PgError> {
    let parts = rows.div_ceil(chunk_rows.max(1));
    if parts < 2 || table.pages < 2 {
        return Ok(vec![KeyRange::ALL]);
    }
    // Pages fall by chance: eight for each part keep the parts within about a third of their size.
    let percent = (parts.max(16) as f64 * 8.0 * 100.0 / table.pages as f64).min(100.0);
    let columns: Vec<String> = key
        .iter()
        .map(|c| format!("t.{}", quote_ident(&c.name)))
        .collect();
    let texts: Vec<String> = columns.iter().map(|c| format!("{c}::text")).collect();
    let sql = format!(
        "select {} from {} t tablesample system ({percent}) repeatable (1) order by {}",
        texts.join(", "),
        table.from_sql(),
        columns.join(", ")
    );
    let rows = session
        .ask(&format!("sampling the keys of {}", table.name), &sql, &[])
        .await?;
    let sample: Vec<Key> = rows
        .iter()
        .map(|row| Key((0..key.len()).map(|i| row.get(i)).collect()))
        .collect();
    Ok(KeyRange::ALL.cut(quantiles(&sample, parts)))
}

/// Cuts one range that turned out too large, by walking the index.
pub(super) async fn split(
    session: &Session,
    table: &Table,
    key: &[&Column],
    range: KeyRange,
    chunk_rows: u64,
) -> Result<Vec<KeyRange>, PgError> {
    let (condition, params) = range.condition(key);
    let columns: Vec<String> = key
        .iter()
        .map(|c| format!("t.{}", quote_ident(&c.name)))
        .collect();
    let names: Vec<String> = (0..key.len()).map(|i| format!("k{i}")).collect();
    let aliased: Vec<String> = columns
        .iter()
        .zip(&names)
        .map(|(c, n)| format!("{c}::text as {n}"))
        .collect();
    let sql = format!(
        "select {} from (select {}, row_number() over (order by {}) as n from {} t where {condition}) s
          where n % {chunk_rows} = 1 and n > 1 order by n",
        names.join(", "),
        aliased.join(", "),
        columns.join(", "),
        table.from_sql(),
    );
    let rows = session
        .ask(
            &format!("cutting the keys of {}", table.name),
            &sql,
            &params,
        )
        .await?;
    let cuts: Vec<Key> = rows
        .iter()
        .map(|row| Key((0..key.len()).map(|i| row.get(i)).collect()))
        .collect();
    Ok(range.cut(cuts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u32) -> Key {
        Key(vec![format!("{n:010}")])
    }

    fn holds(range: &KeyRange, k: &Key) -> bool {
        range.from.as_ref().is_none_or(|f| k >= f) && range.to.as_ref().is_none_or(|t| k < t)
    }

    proptest! {
        /// Every key, also below the first and above the last sampled one, lies in exactly one range.
        #[test]
        fn ranges_partition_the_keys(mut sample in prop::collection::vec(0u32..10_000, 0..200),
                                     parts in 1u64..30, probe in 0u32..11_000) {
            sample.sort_unstable();
            let keys: Vec<Key> = sample.iter().map(|n| key(*n)).collect();
            let ranges = KeyRange::ALL.cut(quantiles(&keys, parts));
            prop_assert!(ranges.len() as u64 <= parts);
            prop_assert_eq!(ranges.iter().filter(|r| holds(r, &key(probe))).count(), 1);
        }
    }
}
