//! Lists of rows that people give: queries on either side, and CSV files that name rows by key.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::EvidenceError;
use crate::catalog::{Table, typed_list};
use crate::diff::Candidates;
use crate::ident::{Key, quote_ident};
use crate::pg::copy::CopyLines;
pub use crate::pg::trimmed;
use crate::pg::{PgError, Session};

/// Where a list of rows is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A query on live.
    Live(String),
    /// A query on the snapshot.
    Snapshot(String),
    /// A CSV file whose header names the columns.
    File(PathBuf),
}

/// The key's columns of `alias` as `table` itself writes them.
pub fn key_texts(alias: &str, table: &Table, key: &[String]) -> Vec<String> {
    key.iter()
        .filter_map(|name| table.column(name))
        .map(|c| {
            let by = &c.lookup_type;
            format!("{alias}.{}::text::{by}::text", quote_ident(&c.name))
        })
        .collect()
}

/// What is wrong with the columns of a query that must return `needed`, if anything.
pub fn lacking(columns: &[Column], needed: &[&str]) -> Option<String> {
    let missing = needed
        .iter()
        .find(|n| !columns.iter().any(|c| c.name == **n))?;
    let has: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    Some(format!(
        "its SQL returns {}, but no column `{missing}`: it must return {}",
        has.join(", "),
        needed.join(", ")
    ))
}

/// Rows that one question holds.
pub const ROWS_A_QUESTION: usize = 5_000;

/// A column of a query's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type, as `format_type` writes it.
    pub type_name: String,
}

impl Column {
    /// The columns of a query, which is not run for that beyond its first row.
    pub async fn of_query(session: &Session, doing: &str, sql: &str) -> Result<Vec<Self>, PgError> {
        // The header of a CSV names the columns, also where there are no rows.
        let sql = trimmed(sql);
        let header =
            format!("copy (select * from (\n{sql}\n) a limit 0) to stdout (format csv, header)");
        let mut lines = CopyLines::start(session, doing, &header).await?;
        let mut text = Vec::new();
        while let Some(line) = lines.next().await? {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_slice());
        let names: Vec<String> = reader
            .records()
            .next()
            .and_then(Result::ok)
            .map(|r| r.iter().map(str::to_owned).collect())
            .unwrap_or_default();
        let mut columns = Vec::with_capacity(names.len());
        let types: Vec<String> = names
            .iter()
            .map(|n| format!("pg_typeof(a.{})::text", quote_ident(n)))
            .collect();
        if types.is_empty() {
            return Ok(columns);
        }
        let types = format!(
            "select array[{}] from (values (1)) v left join (select * from (\n{sql}\n) q limit 0) a on true",
            types.join(", ")
        );
        let row = session.ask(doing, &types, &[]).await?;
        let types: Vec<String> = row.first().map(|r| r.get(0)).unwrap_or_default();
        for (name, type_name) in names.into_iter().zip(types) {
            columns.push(Self { name, type_name });
        }
        Ok(columns)
    }
}

/// A file that names rows.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys, in key order.
    pub keys: Vec<Key>,
    /// The other columns of each, as they were asked for: required ones, then optional ones. An empty field is none.
    pub others: Vec<Vec<Option<String>>>,
    /// The line of the file on which each begins.
    pub lines: Vec<u64>,
}

/// Reads a CSV file whose header names the key's columns and others.
///
/// Errors: in words, naming the file, the line and the column.
pub fn read_file(
    path: &Path,
    key: &[String],
    required: &[&str],
    optional: &[&str],
) -> Result<Listing, String> {
    let shown = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| format!("{shown}: {e}"))?;
    let header = reader
        .headers()
        .map_err(|e| format!("{shown}: {e}"))?
        .clone();
    let place = |name: &str| header.iter().position(|h| h == name);
    let needed = |name: &str| {
        place(name).ok_or_else(|| {
            format!(
                "{shown}: its first line must name the columns, and there is no `{name}` among them ({})",
                header.iter().collect::<Vec<_>>().join(", ")
            )
        })
    };
    let keys: Vec<usize> = key.iter().map(|k| needed(k)).collect::<Result<_, _>>()?;
    let mut others: Vec<Option<usize>> = Vec::new();
    for name in required {
        others.push(Some(needed(name)?));
    }
    others.extend(optional.iter().map(|n| place(n)));
    let mut listing = Listing::default();
    for record in reader.records() {
        let record = record.map_err(|e| format!("{shown}: {e}"))?;
        let field = |at: usize| record.get(at).unwrap_or_default().to_owned();
        listing
            .keys
            .push(Key(keys.iter().map(|k| field(*k)).collect()));
        let other = |at: &Option<usize>| at.map(field).filter(|f| !f.is_empty());
        listing.others.push(others.iter().map(other).collect());
        let line = record.position().map_or(0, csv::Position::line);
        listing.lines.push(line);
    }
    Ok(listing)
}

/// Finds keys, as people write them, among a table's candidates: by the snapshot's own `=`. Gives positions in `keys` with
/// their nodes.
pub async fn resolve(
    snapshot: &Session,
    candidates: &Candidates,
    table: usize,
    keys: &[Key],
) -> Result<Vec<(usize, u32)>, PgError> {
    let located = locate(snapshot, candidates, table, keys).await?;
    let node = |(n, key): (usize, Key)| Some((n, candidates.find_key(table, &key)?));
    Ok(located.into_iter().filter_map(node).collect())
}

/// The same among all of the snapshot's rows: positions in `keys` with the keys as the snapshot writes them.
pub async fn locate(
    snapshot: &Session,
    candidates: &Candidates,
    table: usize,
    keys: &[Key],
) -> Result<Vec<(usize, Key)>, PgError> {
    let locator = candidates.locator(table);
    let source = &candidates.tables[table].snapshot;
    let doing = format!("looking up keys of {}", source.name);
    let mut found = Vec::new();
    for (c, chunk) in keys.chunks(ROWS_A_QUESTION).enumerate() {
        let sql = format!(
            "select k.n, array[{}] from {} join {} t on {}",
            locator.texts("t").join(", "),
            locator.list(chunk.iter()),
            source.from_sql(),
            locator.matches("t"),
        );
        for row in snapshot.ask(&doing, &sql, &[]).await? {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
            found.push((c * ROWS_A_QUESTION + n, Key(row.get(1))));
        }
    }
    Ok(found)
}

/// Makes sure that the keys of a file are values of the table's types. One that is none is told with its line, by `wrong`.
pub async fn check_file(
    session: &Session,
    (table, key): (&Table, &[String]),
    (path, listing): (&Path, &Listing),
    wrong: &(dyn Fn(&str) -> EvidenceError + Sync),
) -> Result<(), EvidenceError> {
    let doing = format!("reading the keys of {}", table.name);
    let read: Vec<String> = key
        .iter()
        .map(|k| format!("count(k.{})", quote_ident(k)))
        .collect();
    let mut parts: Vec<(usize, usize)> = vec![(0, listing.keys.len())];
    while let Some((from, to)) = parts.pop() {
        if to - from > ROWS_A_QUESTION {
            let middle = from.midpoint(to);
            parts.extend([(middle, to), (from, middle)]);
            continue;
        }
        let keys = listing.keys[from..to].iter();
        let sql = format!(
            "select {} from {}",
            read.join(", "),
            typed_list(table, key, "k", keys)
        );
        match session.ask(&doing, &sql, &[]).await {
            Ok(_) => {}
            Err(PgError::Server(e)) if e.sqlstate.starts_with(NO_VALUE) && to - from == 1 => {
                return Err(wrong(&format!(
                    "{}, line {}: {} is no key of {}: {}",
                    path.display(),
                    listing.lines[from],
                    listing.keys[from],
                    table.name,
                    e.message
                )));
            }
            Err(PgError::Server(e)) if e.sqlstate.starts_with(NO_VALUE) => {
                let middle = from.midpoint(to);
                parts.extend([(middle, to), (from, middle)]);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// The class of SQLSTATE for data that cannot be read ("Data Exception").
const NO_VALUE: &str = "22";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_rows_by_its_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deletions.csv");
        std::fs::write(
            &path,
            "deleted_at, id ,note\n2020-01-21T16:40:00Z,7,x\n,8,\n",
        )
        .unwrap();
        let listing = read_file(&path, &["id".into()], &["deleted_at"], &["xid"]).unwrap();
        assert_eq!(listing.keys, [Key(vec!["7".into()]), Key(vec!["8".into()])]);
        assert_eq!(
            listing.others[0][0].as_deref(),
            Some("2020-01-21T16:40:00Z")
        );
        assert_eq!(listing.others[1], [None, None]);
        assert_eq!(listing.lines, [2, 3]);
        let missing = read_file(&path, &["nr".into()], &[], &[]).unwrap_err();
        assert!(missing.contains("no `nr` among them"), "{missing}");
    }
}
