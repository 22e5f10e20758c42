//! What may have been renamed, as far as names and types show it: for a person to confirm, never taken as true.

use super::Rename;
use crate::catalog::model::{Schema, Table};

/// Tables that one side alone has, where exactly one of each has the very same columns; and columns, where a table of both has exactly one
/// on each side that the other lacks, of the same type.
pub fn guess_renames(snapshot: &Schema, live: &Schema) -> Vec<Rename> {
    let mut guesses: Vec<Rename> = Vec::new();
    let gone: Vec<&Table> = only_in(snapshot, live).collect();
    let new: Vec<&Table> = only_in(live, snapshot).collect();
    for table in &gone {
        let alike = |other: &&&Table| columns(other) == columns(table);
        let (mut to, mut from) = (new.iter().filter(alike), gone.iter().filter(alike));
        if let (Some(to), None, Some(_), None) = (to.next(), to.next(), from.next(), from.next()) {
            guesses.push(Rename::Table {
                from: table.name.clone(),
                to: to.name.clone(),
            });
        }
    }
    for (name, table) in &snapshot.tables {
        let Some(other) = live.tables.get(name) else {
            continue;
        };
        let lacks = |a: &Table, b: &Table| -> Vec<(String, String)> {
            let missing = a.columns.iter().filter(|c| b.column(&c.name).is_none());
            missing
                .map(|c| (c.name.clone(), c.type_name.clone()))
                .collect()
        };
        if let ([(from, was)], [(to, is)]) = (&*lacks(table, other), &*lacks(other, table))
            && was == is
        {
            guesses.push(Rename::Column {
                table: name.clone(),
                from: from.clone(),
                to: to.clone(),
            });
        }
    }
    guesses
}

fn only_in<'a>(schema: &'a Schema, other: &'a Schema) -> impl Iterator<Item = &'a Table> {
    let tables = schema.tables.values();
    tables.filter(|t| !other.tables.contains_key(&t.name) && t.extension.is_none())
}

fn columns(table: &Table) -> Vec<(&str, &str)> {
    let columns = table.columns.iter();
    let mut columns: Vec<_> = columns
        .map(|c| (c.name.as_str(), c.type_name.as_str()))
        .collect();
    columns.sort_unstable();
    columns
}
