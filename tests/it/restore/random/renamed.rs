//! A backup from before a migration that gave tables and columns the names that live has: the same rows under other names.

use std::fmt::Write as _;

use crate::support::Dice;

use super::schema::{Table, quote};

/// What gives the backup its old names back, and the entries of the configuration that say so. Now and then a table had the name that
/// another has by now.
pub(super) fn rename(dice: &mut Dice, tables: &[Table]) -> (String, String) {
    let (mut sql, mut entries) = (String::from("create schema \"Old\";\n"), String::new());
    let text = |name: &str| serde_json::json!(name);
    let old: Vec<Option<String>> = tables
        .iter()
        .map(|t| dice.chance(60).then(|| format!("was {}", t.name)))
        .collect();
    // Handed on: the table takes the name of one that was called otherwise itself.
    let mut handed: Vec<bool> = vec![false; tables.len()];
    for (i, table) in tables.iter().enumerate() {
        let mut columns: Vec<(String, &str)> = Vec::new();
        for column in &table.columns {
            if dice.chance(40) {
                columns.push((format!("was {}", column.name), &column.name));
            }
        }
        for (before, now) in &columns {
            let _ = writeln!(
                sql,
                "alter table {} rename column {} to {};",
                table.sql(),
                quote(now),
                quote(before)
            );
        }
        let mut before = table.sql();
        if let Some(name) = &old[i] {
            let schema = match dice.chance(30) {
                true => "Old",
                false => table.schema,
            };
            let _ = writeln!(sql, "alter table {before} rename to {};", quote(name));
            let renamed = format!("{}.{}", quote(table.schema), quote(name));
            before = format!("{}.{}", quote(schema), quote(name));
            if schema != table.schema {
                let _ = writeln!(sql, "alter table {renamed} set schema {};", quote(schema));
            }
            let free = (0..i).find(|j| old[*j].is_some() && !handed[*j]);
            if let (Some(j), true) = (free, dice.chance(40)) {
                handed[j] = true;
                let taken = &tables[j];
                if schema != taken.schema {
                    let to = quote(taken.schema);
                    let _ = writeln!(sql, "alter table {before} set schema {to};");
                }
                let moved = format!("{}.{}", quote(taken.schema), quote(name));
                let _ = writeln!(sql, "alter table {moved} rename to {};", quote(&taken.name));
                before = taken.sql();
            }
            let (from, to) = (text(&before), text(&table.sql()));
            let _ = writeln!(entries, "[[rename]]\ntable = {from}\nto = {to}");
        }
        for (column, now) in columns {
            let (of, column, now) = (text(&before), text(&column), text(now));
            let _ = writeln!(
                entries,
                "[[rename]]\ntable = {of}\ncolumn = {column}\nto = {now}"
            );
        }
    }
    (sql, entries)
}
