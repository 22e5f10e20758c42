//! Which fields of a bundle's lines live's columns take, and what each needs to be written as live writes it.

use crate::bundle::ManifestTable;
use crate::catalog::{Schema, Table};

use super::Fill;
use super::retype::{Retyped, Rewrite, rewrite};

/// The fields of the bundle's lines, each with what makes it live's; without, where that cannot be done.
pub(super) struct Fields {
    stored: Vec<(String, Option<Rewrite>)>,
    pub(super) retyped: Vec<Retyped>,
}

impl Fields {
    pub(super) fn of(table: &ManifestTable, live: &Table) -> Self {
        let (mut stored, mut retyped) = (Vec::new(), Vec::new());
        for column in table.stored_columns() {
            let found = live.column(&column.name);
            let how = match found {
                Some(found) => rewrite(&column.type_name, found),
                None => Some(Rewrite::AsWritten),
            };
            if let Some(found) = found.filter(|f| f.type_name != column.type_name) {
                retyped.push(Retyped {
                    column: column.name.clone(),
                    from: column.type_name.clone(),
                    to: found.type_name.clone(),
                    restorable: how.is_some(),
                });
            }
            stored.push((column.name.clone(), how));
        }
        Self { stored, retyped }
    }

    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.stored.iter().position(|(name, _)| name == column)
    }

    /// The fields of these columns, if all can be had.
    pub(super) fn all(&self, columns: &[String]) -> Option<Vec<(usize, Rewrite)>> {
        let field = |column: &String| {
            let place = self.place(column)?;
            Some((place, self.stored[place].1?))
        };
        columns.iter().map(field).collect()
    }

    /// Columns that live takes values for. Those that it cannot take as they are stand among them: they are refused
    /// before anything is written.
    pub(super) fn writable(&self, live: &Table) -> Vec<String> {
        let writable = |column: &str| live.column(column).is_some_and(|c| !c.generated);
        let names = self.stored.iter().map(|(name, _)| name);
        names.filter(|n| writable(n)).cloned().collect()
    }

    /// Why live cannot take the rows, where it has columns that must have a value and nothing gives one.
    pub(super) fn lacking(&self, live: &Table, fills: &[Fill]) -> Option<String> {
        let columns = live.columns.iter();
        let wanting = columns
            .filter(|c| {
                c.not_null && !c.has_default && !c.generated && self.place(&c.name).is_none()
            })
            .filter(|c| !fills.iter().any(|f| f.column == c.name));
        let names: Vec<&str> = wanting.map(|c| c.name.as_str()).collect();
        if names.is_empty() {
            return None;
        }
        let renamed = match self.dropped(live).as_slice() {
            [] => String::new(),
            gone => format!(
                ". The backup's {} is not in live: where that was renamed, say so ([[rename]])",
                gone.join(", ")
            ),
        };
        Some(format!(
            "live has NOT NULL columns without a default that the backup did not have: {}; give them a default, or say what \
             restored rows hold there ([[fill]] in reinstate.toml: table, column, value){renamed}",
            names.join(", ")
        ))
    }

    pub(super) fn dropped(&self, live: &Table) -> Vec<String> {
        let names = self.stored.iter().map(|(name, _)| name);
        names
            .filter(|n| live.column(n).is_none())
            .cloned()
            .collect()
    }

    /// Where lines cannot be taken as they are.
    pub(super) fn taken(&self, columns: &[String]) -> Option<Vec<(usize, Rewrite)>> {
        let fields: Vec<(usize, Rewrite)> = columns
            .iter()
            .filter_map(|c| self.place(c))
            .map(|place| (place, self.stored[place].1.unwrap_or(Rewrite::AsWritten)))
            .collect();
        let plain = |(_, how): &(String, Option<Rewrite>)| *how == Some(Rewrite::AsWritten);
        let as_stored = fields.len() == self.stored.len() && self.stored.iter().all(plain);
        (!as_stored).then_some(fields)
    }
}

/// Columns that live computes and the backup did not.
pub(super) fn computed(table: &ManifestTable, live: &Table) -> Vec<String> {
    let computed = |name: &str| live.column(name).is_some_and(|c| c.generated);
    let columns = table.inserted_columns().filter(|c| computed(&c.name));
    columns.map(|c| c.name.clone()).collect()
}

/// Where a table may have gone that live lacks: one with the very same columns.
pub(super) fn or_renamed(table: &ManifestTable, live: &Schema) -> String {
    let columns = |names: &mut Vec<&str>| names.sort_unstable();
    let mut wanted: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    columns(&mut wanted);
    let alike = live.tables.values().filter(|t| {
        let mut has: Vec<&str> = t.columns.iter().map(|c| c.name.as_str()).collect();
        columns(&mut has);
        has == wanted
    });
    let alike: Vec<String> = alike.map(|t| t.name.to_string()).collect();
    match alike.as_slice() {
        [] => ". If it was renamed, say so: [[rename]] in reinstate.toml".to_owned(),
        likely => format!(
            ". If it was renamed (live's {} has the same columns), say so: [[rename]] in reinstate.toml",
            likely.join(" and ")
        ),
    }
}
