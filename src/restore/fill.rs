//! Values that the configuration gives for columns that live has and the backup had not. They are written with every row that goes
//! in, and never compared: a row that is there already is the same whatever such a column holds.

use crate::bundle::{Bundle, ManifestTable};
use crate::catalog::{Schema, Table};
use crate::ident::{TableName, quote_ident, quote_literal, shown};
use crate::pg::Session;

use super::{RestoreError, Targets};

/// An entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fill {
    /// The table, as live has it.
    pub table: TableName,
    /// The column, unquoted.
    pub column: String,
    /// The value, as its type reads it.
    pub value: String,
}

impl Fill {
    fn wrong(&self, reason: impl Into<String>) -> RestoreError {
        RestoreError::Fill {
            table: self.table.clone(),
            column: shown(&self.column),
            reason: reason.into(),
        }
    }

    /// As SQL, to be read by the column's type.
    pub(super) fn literal(&self) -> String {
        quote_literal(&self.value)
    }
}

/// A column that live has and the bundle has not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Added {
    /// The column.
    pub column: String,
    /// Where its value comes from: `fill`, `sequence`, `default`, `generated` or `null`.
    pub from: &'static str,
    /// The value of a `fill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Added {
    /// For people.
    pub fn describe(&self) -> String {
        let from = match self.from {
            "fill" => "[[fill]]",
            "null" => "NULL",
            "generated" => "computed",
            "sequence" => "from its sequence",
            _ => "its default",
        };
        format!("{} ({from})", shown(&self.column))
    }
}

/// Those of a table.
pub(super) fn added(table: &ManifestTable, live: &Table, fills: &[Fill]) -> Vec<Added> {
    // What the server computed on both sides is not new; what it computed in the backup alone is not in the bundle.
    let new = live.columns.iter().filter(|c| {
        let before = table.columns.iter().find(|b| b.name == c.name);
        before.is_none_or(|b| b.generated && !c.generated && !table.key.contains(&b.name))
    });
    new.map(|column| {
        let fill = fills.iter().find(|f| f.column == column.name);
        let from = match fill {
            Some(_) => "fill",
            None if column.generated => "generated",
            None if column.drawn => "sequence",
            None if column.has_default => "default",
            None => "null",
        };
        Added {
            column: column.name.clone(),
            from,
            value: fill.map(|f| f.value.clone()),
        }
    })
    .collect()
}

/// Refuses entries for columns that cannot take a value from them.
///
/// Errors: `Fill`, naming the first one.
pub(super) fn check(fills: &[Fill], bundle: &Bundle, live: &Schema) -> Result<(), RestoreError> {
    for (i, fill) in fills.iter().enumerate() {
        let Some(table) = live.tables.get(&fill.table) else {
            return Err(fill.wrong("live has no such table"));
        };
        let Some(column) = table.column(&fill.column) else {
            return Err(fill.wrong("live has no such column of it"));
        };
        if column.generated {
            return Err(
                fill.wrong("the server computes it (GENERATED ALWAYS AS); take the entry out")
            );
        }
        let same = |other: &Fill| other.table == fill.table && other.column == fill.column;
        if fills[..i].iter().any(same) {
            return Err(fill.wrong("another entry gives it a value too; take one of them out"));
        }
        let mut tables = bundle.manifest.tables.iter();
        let own = tables.find(|t| t.table == fill.table);
        if own.is_some_and(|t| t.stored_columns().any(|c| c.name == fill.column)) {
            return Err(fill.wrong(
                "the bundle has it: the rows come back with the values of the backup; take the entry out",
            ));
        }
    }
    Ok(())
}

/// Types whose length a cast would cut a value to, where writing it is refused.
const CUT: &[&str] = &[
    "text",
    "character varying",
    "character",
    "bpchar",
    "bit",
    "bit varying",
];

/// Has the server read each value as its column will.
///
/// Errors: `Fill` for one that it does not take.
pub(super) async fn values(
    session: &Session,
    fills: &[Fill],
    targets: &Targets,
) -> Result<(), RestoreError> {
    for fill in fills {
        let target = targets.tables.iter().find(|t| t.name == fill.table);
        let Some(column) = target.and_then(|t| t.live.column(&fill.column)) else {
            continue;
        };
        let literal = fill.literal();
        let sql = format!("select ({literal}::{})::text", column.type_name);
        let doing = format!("reading the value of {}", quote_ident(&fill.column));
        let type_name = &column.type_name;
        let row = match session.ask(&doing, &sql, &[]).await {
            Ok(rows) => rows,
            Err(e) if e.sqlstate().is_some() => {
                return Err(fill.wrong(format!("{type_name} does not take {literal}: {e}")));
            }
            Err(e) => return Err(e.into()),
        };
        let read: Option<String> = row.first().and_then(|r| r.get(0));
        let whole = |text: &str| text.trim_end_matches(' ') == fill.value.trim_end_matches(' ');
        if CUT.contains(&column.lookup_type.as_str()) && !read.is_some_and(|t| whole(&t)) {
            return Err(fill.wrong(format!("{type_name} has no room for {literal}")));
        }
    }
    Ok(())
}
