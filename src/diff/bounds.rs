//! Cuts a table's key into half-open ranges of about equal numbers of rows, the first and the last open-ended.

use crate::catalog::{Column, Table};
use crate::ident::{Key, quote_ident, quote_literal};
use crate::pg::{PgError, Row, Session};

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

    /// Whether it has no bound on one side.
    pub(super) fn is_open(&self) -> bool {
        self.from.is_none() || self.to.is_none()
    }

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

    /// The range as a condition on alias `t`.
    pub(super) fn condition(&self, key: &[&Column]) -> String {
        let columns = over("t", key).join(", ");
        let bound = |operator: &str, bound: &Key| {
            let values: Vec<String> = key
                .iter()
                .zip(&bound.0)
                .map(|(column, value)| format!("{}::{}", quote_literal(value), column.lookup_type))
                .collect();
            format!("({columns}) {operator} ({})", values.join(", "))
        };
        let from = self.from.as_ref().map(|b| bound(">=", b));
        let to = self.to.as_ref().map(|b| bound("<", b));
        match (from, to) {
            (Some(from), Some(to)) => format!("{from} and {to}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "true".to_owned(),
        }
    }
}

fn over(alias: &str, key: &[&Column]) -> Vec<String> {
    key.iter()
        .map(|c| format!("{alias}.{}", quote_ident(&c.name)))
        .collect()
}

/// The key's columns as text, named `k0`, `k1`, …, and those names.
fn texts(key: &[&Column]) -> (String, String) {
    let texts: Vec<String> = over("t", key)
        .iter()
        .enumerate()
        .map(|(i, c)| format!("{c}::text as k{i}"))
        .collect();
    let names: Vec<String> = (0..key.len()).map(|i| format!("k{i}")).collect();
    (texts.join(", "), names.join(", "))
}

fn keys(rows: &[Row], width: usize) -> Vec<Key> {
    rows.iter()
        .map(|row| Key((0..width).map(|i| row.get(i)).collect()))
        .collect()
}

/// More rows than this do not fit on a page.
const PAGE_ROWS: u64 = 292;
/// Pages of a sample: enough for the first, no more than the last, and between them one in two hundred, some four for
/// each range, so that few ranges are much larger than meant.
const SAMPLE_PAGES: (u64, u64) = (100, 50_000);
/// Bytes of a key beyond which ranges hold fewer rows.
const KEY_BYTES: u32 = 64;

/// Ranges of about `chunk_rows` rows each, from a sample of the table's pages: no statistics are needed, which a
/// freshly restored dump does not have. The server counts, sorts and picks; no more than the bounds travel.
pub(super) async fn ranges(
    session: &Session,
    table: &Table,
    key: &[&Column],
    chunk_rows: u64,
) -> Result<Vec<KeyRange>, PgError> {
    if table.all_pages.saturating_mul(PAGE_ROWS) <= chunk_rows {
        return Ok(vec![KeyRange::ALL]);
    }
    let (least, most) = SAMPLE_PAGES;
    let pages = (table.all_pages / 200).clamp(least, most);
    let percent = (pages as f64 * 100.0 / table.all_pages as f64).min(100.0);
    let columns = over("t", key);
    let numbered: Vec<String> = (0..key.len()).map(|i| format!("k{i}")).collect();
    let named = |(column, name): (&String, &String)| format!("{column} as {name}");
    let named: Vec<String> = columns.iter().zip(&numbered).map(named).collect();
    let texts: Vec<String> = numbered
        .iter()
        .map(|name| format!("{name}::text"))
        .collect();
    let bytes = columns.iter().map(|c| format!("pg_column_size({c})"));
    // Only what is picked is turned into text.
    let sql = format!(
        "select {} from (
            select {names}, n, c, ceil(c * (100 / {percent}::float8) * greatest(w / {KEY_BYTES}, 1) / {chunk_rows})::int8 as parts
              from (select {}, row_number() over (order by {}) as n, count(*) over () as c,
                           avg({}) over () as w
                      from {}) s) s
          where n > 1 and (n - 1) * parts / c > (n - 2) * parts / c order by n",
        texts.join(", "),
        named.join(", "),
        columns.join(", "),
        bytes.collect::<Vec<_>>().join(" + "),
        table.sample_sql("t", &format!("tablesample system ({percent}) repeatable (1)")),
        names = numbered.join(", "),
    );
    let rows = session
        .ask(&format!("sampling the keys of {}", table.name), &sql, &[])
        .await?;
    Ok(KeyRange::ALL.cut(keys(&rows, key.len())))
}

/// Pieces that one question cuts off a range.
const CUTS: u64 = 64;

/// Cuts one range that turned out too large, by walking the index. What one question does not reach stays in the last
/// piece, which may be too large again.
pub(super) async fn split(
    session: &Session,
    table: &Table,
    key: &[&Column],
    range: KeyRange,
    chunk_rows: u64,
) -> Result<Vec<KeyRange>, PgError> {
    let chunk_rows = chunk_rows.max(1);
    let columns = over("t", key).join(", ");
    let (texts, names) = texts(key);
    let sql = format!(
        "select {names} from (
            select {texts}, row_number() over (order by {columns}) as n
              from (select {columns} from {} t where {} order by {columns} limit {}) t) s
          where n > 1 and (n - 1) % {chunk_rows} = 0 order by n",
        table.from_sql(),
        range.condition(key),
        chunk_rows * CUTS + 1,
    );
    let rows = session
        .ask(&format!("cutting the keys of {}", table.name), &sql, &[])
        .await?;
    Ok(range.cut(keys(&rows, key.len())))
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
        /// Every key, also below the first and above the last cut, lies in exactly one range.
        #[test]
        fn ranges_partition_the_keys(cuts in prop::collection::btree_set(0u32..10_000, 0..200),
                                     again in prop::collection::btree_set(0u32..10_000, 0..20),
                                     probe in 0u32..11_000) {
            let mut ranges = KeyRange::ALL.cut(cuts.iter().map(|n| key(*n)).collect());
            prop_assert_eq!(ranges.len(), cuts.len() + 1);
            let last = ranges.pop().unwrap();
            let inside = again.iter().map(|n| key(*n)).filter(|k| holds(&last, k)).collect();
            ranges.extend(last.cut(inside));
            prop_assert_eq!(ranges.iter().filter(|r| holds(r, &key(probe))).count(), 1);
        }
    }
}
