//! The records that marks are about, as live has them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::{Locator, Schema, Table};
use crate::ident::{Key, TableName};
use crate::pg::Session;

use super::{FlagError, Mark};

/// The columns of each mark's record, as an object; none where live has no such record.
pub(super) async fn read(
    session: &Session,
    schema: &Schema,
    marks: &[Mark],
) -> Result<Vec<Option<Value>>, FlagError> {
    let mut by_table: BTreeMap<&TableName, Vec<usize>> = BTreeMap::new();
    for (i, mark) in marks.iter().enumerate() {
        by_table.entry(&mark.table).or_default().push(i);
    }
    let mut found = vec![None; marks.len()];
    for (name, places) in by_table {
        let Some(table) = schema.tables.get(name) else {
            continue;
        };
        let keys: Vec<Option<Key>> = places
            .iter()
            .map(|i| key_of(table, &marks[*i].key))
            .collect();
        let known: Vec<(usize, &Key)> = places
            .iter()
            .zip(&keys)
            .filter_map(|(i, k)| Some((*i, k.as_ref()?)))
            .collect();
        let locator = Locator::by_names(table, &table.key);
        let list = locator.list(known.iter().map(|(_, k)| *k));
        let sql = format!(
            "select k.n, to_jsonb(t)::text from {list} join {} t on {}",
            table.from_sql(),
            locator.matches("t")
        );
        for row in session
            .ask("reading records whose files are lost", &sql, &[])
            .await?
        {
            let (n, text): (i64, &str) = (row.get(0), row.get(1));
            let place = usize::try_from(n - 1).ok().and_then(|n| known.get(n));
            if let Some((place, _)) = place {
                found[*place] = serde_json::from_str(text).ok();
            }
        }
    }
    Ok(found)
}

/// The key as the table has it. Where all of live was asked, a key of several columns is the text of an array.
fn key_of(table: &Table, key: &Key) -> Option<Key> {
    let columns = table.key.len();
    match key.0.as_slice() {
        parts if parts.len() == columns && columns > 0 => Some(key.clone()),
        [one] if columns > 1 => elements(one).filter(|e| e.len() == columns).map(Key),
        _ => None,
    }
}

/// The elements of an array's text, of one dimension and without NULL.
fn elements(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut all, mut one, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => one.push(chars.next()?),
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut one)),
            other => one.push(other),
        }
    }
    all.push(one);
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn arrays_are_read() {
        let read = |text| elements(text).unwrap();
        assert_eq!(read("{1,2}"), ["1", "2"]);
        assert_eq!(read(r#"{"a,b","c\"d",e}"#), ["a,b", "c\"d", "e"]);
        assert_eq!(elements("1"), None);
    }
}
