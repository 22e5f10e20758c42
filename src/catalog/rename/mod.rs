//! Tables and columns that were renamed between the backup and live, as the configuration states them. Nothing is guessed: the
//! same rows under another name are the operator's word.
//!
//! Once applied, a schema is spoken of in live's names everywhere; only [`Table::from_sql`] still knows what is read.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ident::{TableName, quote_ident, shown};

use super::model::{ForeignKey, Schema, Stored, Table, Unique};

mod check;
mod guess;
#[cfg(test)]
mod tests;

pub use guess::guess_renames;

/// An entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rename {
    /// A table that has another name, or another schema, since.
    Table {
        /// As the backup has it.
        from: TableName,
        /// As live has it.
        to: TableName,
    },
    /// A column that has another name since.
    Column {
        /// Its table, as the backup or as live has it.
        table: TableName,
        /// As the backup has it, unquoted.
        from: String,
        /// As live has it, unquoted.
        to: String,
    },
}

impl std::fmt::Display for Rename {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table { from, to } => write!(f, "[[rename]] of {from} to {to}"),
            Self::Column { table, from, to } => {
                write!(f, "[[rename]] of {table}, {} to {}", shown(from), shown(to))
            }
        }
    }
}

/// An entry that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {reason}")]
pub struct RenameError {
    /// The entry.
    pub entry: String,
    /// Why not, and the way out.
    pub reason: String,
}

/// Names of tables and columns, as far as renaming asks for them.
pub trait Names {
    /// The columns of a table; `None` where there is no such table.
    fn columns(&self, table: &TableName) -> Option<Vec<&str>>;

    /// Whether a table is there.
    fn has(&self, table: &TableName) -> bool {
        self.columns(table).is_some()
    }

    /// Whether a column is there.
    fn has_column(&self, table: &TableName, column: &str) -> bool {
        self.columns(table).is_some_and(|c| c.contains(&column))
    }
}

impl Names for Schema {
    fn columns(&self, table: &TableName) -> Option<Vec<&str>> {
        let columns = &self.tables.get(table)?.columns;
        Some(columns.iter().map(|c| c.name.as_str()).collect())
    }
}

/// What to add where a table is looked for by its old name, and has this one in live.
pub fn by_now(new: impl std::fmt::Display) -> String {
    format!("; it is {new} by now: all but [[rename]] and your own SQL uses live's names")
}

/// What the entries come to for one database or bundle: only those that it still needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames {
    /// Live's name by the old one.
    tables: BTreeMap<TableName, TableName>,
    /// By the table's old name: live's name of a column by the old one.
    columns: BTreeMap<TableName, BTreeMap<String, String>>,
}

impl Renames {
    /// Whether there is nothing to rename.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.columns.is_empty()
    }

    /// What `entries` come to where names of before are to be live's. An entry is passed over where the old name is not there, or
    /// the new one is, unless that one is renamed itself.
    pub fn of(entries: &[Rename], before: &impl Names) -> Self {
        let tables = entries.iter().filter_map(|entry| match entry {
            Rename::Table { from, to } => Some((from.clone(), to.clone())),
            Rename::Column { .. } => None,
        });
        let mut renames = Self {
            tables: settle(tables.collect(), |name| before.has(name)),
            columns: BTreeMap::new(),
        };
        let mut of_tables: BTreeMap<TableName, BTreeMap<String, String>> = BTreeMap::new();
        for entry in entries {
            if let Rename::Column { table, from, to } = entry {
                let of_table = of_tables.entry(renames.place(entries, table)).or_default();
                of_table.insert(from.clone(), to.clone());
            }
        }
        for (table, pairs) in of_tables {
            let settled = settle(pairs, |c| before.has_column(&table, c));
            if !settled.is_empty() {
                renames.columns.insert(table, settled);
            }
        }
        renames
    }

    /// As entries: each table and column that has another name now, tables by their old names.
    pub fn entries(&self) -> Vec<Rename> {
        let tables = self.tables().map(|(from, to)| Rename::Table {
            from: from.clone(),
            to: to.clone(),
        });
        let columns = self.columns().map(|(table, from, to)| Rename::Column {
            table: table.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
        });
        tables.chain(columns).collect()
    }

    /// What the database or bundle calls the table that an entry for a column means.
    fn place(&self, entries: &[Rename], table: &TableName) -> TableName {
        let old = old_name(entries, table);
        match self.tables.contains_key(old) {
            true => old.clone(),
            false => new_name(entries, old).clone(),
        }
    }

    /// Live's name of a table.
    pub fn table<'a>(&'a self, old: &'a TableName) -> &'a TableName {
        self.tables.get(old).unwrap_or(old)
    }

    /// What to add where a table is looked for by its old name.
    pub fn hint(&self, old: &TableName) -> String {
        self.tables.get(old).map(by_now).unwrap_or_default()
    }

    /// Live's name of a column of a table that is named as before.
    pub fn column<'a>(&'a self, old: &TableName, column: &'a str) -> &'a str {
        let of_table = self.columns.get(old);
        let new = of_table.and_then(|c| c.get(column));
        new.map_or(column, String::as_str)
    }

    /// Tables that have another name now: before, and in live.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &TableName)> {
        self.tables.iter()
    }

    /// Columns that have another name now: of which table (by its old name), before, and in live.
    pub fn columns(&self) -> impl Iterator<Item = (&TableName, &str, &str)> {
        self.columns.iter().flat_map(|(table, pairs)| {
            pairs
                .iter()
                .map(move |(from, to)| (table, from.as_str(), to.as_str()))
        })
    }

    /// Renames columns of one table in place.
    pub fn rename_all(&self, old: &TableName, columns: &mut [String]) {
        for column in columns {
            *column = self.column(old, column).to_owned();
        }
    }

    /// The schema in live's names.
    pub fn apply(&self, schema: Schema) -> Schema {
        if self.is_empty() {
            return schema;
        }
        let tables = schema.tables.into_values().map(|t| self.apply_to(t));
        Schema {
            tables: tables.map(|t| (t.name.clone(), t)).collect(),
            foreign_keys: schema
                .foreign_keys
                .into_iter()
                .map(|k| self.foreign_key(k))
                .collect(),
            ..schema
        }
    }

    fn apply_to(&self, mut table: Table) -> Table {
        let old = table.name.clone();
        if !self.tables.contains_key(&old) && !self.columns.contains_key(&old) {
            return table;
        }
        table.stored = Some(Stored {
            columns: table.columns.iter().map(|c| c.name.clone()).collect(),
            name: old.clone(),
        });
        table.name = self.table(&old).clone();
        for column in &mut table.columns {
            column.name = self.column(&old, &column.name).to_owned();
        }
        self.rename_all(&old, &mut table.key);
        for Unique { columns, .. } in &mut table.uniques {
            self.rename_all(&old, columns);
        }
        table
    }

    fn foreign_key(&self, mut key: ForeignKey) -> ForeignKey {
        self.rename_all(&key.child, &mut key.child_columns);
        self.rename_all(&key.parent, &mut key.parent_columns);
        key.child = self.table(&key.child).clone();
        key.parent = self.table(&key.parent).clone();
        key
    }
}

/// The pairs of an old and a new name that apply: the old one is there, and the new one is not, or goes to another name itself.
fn settle<N: Ord + Clone>(pairs: BTreeMap<N, N>, there: impl Fn(&N) -> bool) -> BTreeMap<N, N> {
    let mut applied: BTreeMap<N, N> = BTreeMap::new();
    loop {
        let before = applied.len();
        for (from, to) in &pairs {
            if there(from) && (!there(to) || applied.contains_key(to)) {
                applied.insert(from.clone(), to.clone());
            }
        }
        if applied.len() == before {
            return applied;
        }
    }
}

/// The old name of a table that an entry names by either: where it could be both, the entry means the one of before.
fn old_name<'a>(entries: &'a [Rename], table: &'a TableName) -> &'a TableName {
    let mut old = table;
    for entry in entries {
        if let Rename::Table { from, to } = entry {
            if from == table {
                return table;
            }
            if to == table {
                old = from;
            }
        }
    }
    old
}

fn new_name<'a>(entries: &'a [Rename], old: &'a TableName) -> &'a TableName {
    let new = entries.iter().find_map(|entry| match entry {
        Rename::Table { from, to } if from == old => Some(to),
        _ => None,
    });
    new.unwrap_or(old)
}

/// A table under its old names, as a FROM item that has live's. The server pulls such a subquery up: indexes and ranges of
/// places serve it as they serve the table.
pub(super) fn renamed_from(table: &Table, stored: &Stored, from: &str, sample: &str) -> String {
    let place = "r.ctid, r.xmin, r.tableoid".to_owned();
    let columns = stored
        .columns
        .iter()
        .zip(&table.columns)
        .map(|(old, new)| format!("r.{} as {}", quote_ident(old), quote_ident(&new.name)));
    let all: Vec<String> = std::iter::once(place).chain(columns).collect();
    format!("(select {} from {from} r {sample})", all.join(", "))
}
