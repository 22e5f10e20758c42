//! `[[audit]]` and `[[exclude]]`: lists of rows that a query or a file gives; `[[identity]]`: what tells rows apart;
//! `[[rename]]`: what has another name since the backup; `[[fill]]`: values for columns that it did not have.

use std::path::PathBuf;

use jiff::SignedDuration;
use toml::{Table, Value};

use super::{known, text_of};
use crate::catalog::{IdentityRule, Rename};
use crate::evidence::Exclusion;
use crate::evidence::audit::AuditLog;
use crate::evidence::listing::Origin;
use crate::ident::TableName;
use crate::restore::Fill;

const AUDIT: &[&str] = &["table", "live_sql", "snapshot_sql", "file", "slack"];
const IDENTITY: &[&str] = &["table", "columns"];
const RENAME: &[&str] = &["table", "column", "to"];
const FILL: &[&str] = &["table", "column", "value"];
const EXCLUDE: &[&str] = &["table", "reason", "live_sql", "snapshot_sql", "file"];

/// How long after its start a transaction is taken to have been committed, where nothing else is said.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn audit(table: &Table) -> Result<AuditLog, String> {
    known(table, AUDIT, "audit.")?;
    let slack = match text_of(table, "slack")? {
        None => SLACK,
        Some(text) => text
            .parse::<SignedDuration>()
            .ok()
            .filter(|d| !d.is_negative())
            .ok_or_else(|| {
                format!("`slack = \"{text}\"` is no length of time, such as 10s or 5m")
            })?,
    };
    Ok(AuditLog {
        table: table_of(table)?,
        log: origin(table)?,
        slack,
    })
}

pub(super) fn exclusion(table: &Table) -> Result<Exclusion, String> {
    known(table, EXCLUDE, "exclude.")?;
    let reason = text_of(table, "reason")?.filter(|r| !r.trim().is_empty());
    Ok(Exclusion {
        table: table_of(table)?,
        reason: reason.ok_or("`reason` is missing: it is what the bundle and the report say")?,
        rows: origin(table)?,
    })
}

/// How rows of a table are told from others under the same key.
pub(super) fn identity(table: &Table) -> Result<IdentityRule, String> {
    known(table, IDENTITY, "identity.")?;
    let columns = match table.get("columns") {
        Some(Value::Array(columns)) => columns
            .iter()
            .map(|c| c.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    Ok(IdentityRule {
        table: table_of(table)?,
        columns: columns
            .ok_or("`columns` is a list of names; an empty one says that nothing tells")?,
    })
}

/// A table, or with `column` a column, that has the name `to` in live.
pub(super) fn rename(table: &Table) -> Result<Rename, String> {
    known(table, RENAME, "rename.")?;
    let named = table_of(table)?;
    let to = text_of(table, "to")?.ok_or("`to` is missing: the name in live")?;
    let same = || "`to` is the name that it has already: take the entry out".to_owned();
    match text_of(table, "column")? {
        None => {
            let to: TableName = to
                .parse()
                .map_err(|e: crate::ident::NameError| e.to_string())?;
            if to == named {
                return Err(same());
            }
            Ok(Rename::Table { from: named, to })
        }
        // As in `[[identity]]`, a column is written as it is.
        Some(from) if from == to => Err(same()),
        Some(from) if from.is_empty() || to.is_empty() => {
            Err("a column's name is empty".to_owned())
        }
        Some(from) => Ok(Rename::Column {
            table: named,
            from,
            to,
        }),
    }
}

/// A value for a column that the backup did not have.
pub(super) fn fill(table: &Table) -> Result<Fill, String> {
    known(table, FILL, "fill.")?;
    let value = match table.get("value") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Integer(n)) => n.to_string(),
        Some(Value::Boolean(b)) => b.to_string(),
        Some(_) => return Err("`value` is text, as the column's type reads it".to_owned()),
        None => {
            return Err(
                "`value` is missing; a column that may be NULL is without an entry".to_owned(),
            );
        }
    };
    Ok(Fill {
        table: table_of(table)?,
        column: text_of(table, "column")?.ok_or("`column` is missing")?,
        value,
    })
}

fn table_of(table: &Table) -> Result<TableName, String> {
    let text = text_of(table, "table")?.ok_or("`table` is missing")?;
    text.parse()
        .map_err(|e: crate::ident::NameError| e.to_string())
}

/// Exactly one of the three.
fn origin(table: &Table) -> Result<Origin, String> {
    let live = text_of(table, "live_sql")?.map(Origin::Live);
    let snapshot = text_of(table, "snapshot_sql")?.map(Origin::Snapshot);
    let file = text_of(table, "file")?.map(|f| Origin::File(PathBuf::from(f)));
    let mut given = [live, snapshot, file].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err("one of `live_sql`, `snapshot_sql` and `file` is needed".into()),
        _ => Err("only one of `live_sql`, `snapshot_sql` and `file` can be given".into()),
    }
}
