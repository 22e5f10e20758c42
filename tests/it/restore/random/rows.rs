//! Random rows for a random schema, valid by construction: the server checks them when it adds the constraints.

use std::fmt::Write as _;

use crate::support::Dice;

use super::schema::{Source, Table};

/// A row's values as text; `None` is NULL.
pub(super) type Row = Vec<Option<String>>;

/// The rows of each table.
pub(super) fn fill(dice: &mut Dice, tables: &[Table]) -> Vec<Vec<Row>> {
    let counts = counts(dice, tables);
    let mut rows: Vec<Vec<Row>> = Vec::new();
    for (table, count) in tables.iter().zip(&counts) {
        rows.push((0..*count).map(|n| row(dice, table, n as u64)).collect());
    }
    for (t, table) in tables.iter().enumerate() {
        for reference in &table.references {
            // Where the key itself refers, row n refers to row n.
            if reference
                .columns
                .iter()
                .any(|c| table.columns[*c].source != Source::Parent)
            {
                continue;
            }
            let nullable = table.columns[reference.columns[0]].nullable;
            // Few parents have many children, many have none.
            let parents = 1 + dice.index(counts[reference.parent]);
            for n in 0..counts[t] {
                let none = nullable && dice.chance(25);
                let parent = dice.index(parents);
                for (c, p) in reference.columns.iter().zip(&reference.parent_columns) {
                    let value = rows[reference.parent][parent][*p].clone();
                    rows[t][n][*c] = value.filter(|_| !none);
                }
            }
        }
    }
    rows
}

fn counts(dice: &mut Dice, tables: &[Table]) -> Vec<usize> {
    let mut counts: Vec<usize> = Vec::new();
    for table in tables {
        let most = *dice.pick(&[4, 15, 50]);
        let mut count = 1 + dice.index(most);
        for reference in &table.references {
            if reference
                .columns
                .iter()
                .any(|c| table.columns[*c].source != Source::Parent)
            {
                count = count.min(counts[reference.parent]);
            }
        }
        counts.push(count);
    }
    counts
}

fn row(dice: &mut Dice, table: &Table, n: u64) -> Row {
    let values = table.columns.iter().map(|column| {
        let value = match column.source {
            Source::Key { repeats } => (column.kind.value)(if repeats { n % 4 } else { n }),
            // Another order than the key's.
            Source::Distinct => (column.kind.value)(1000 - n),
            Source::Few(few) => (column.kind.value)(dice.below(few)),
            Source::Parent | Source::Generated => return None,
        };
        let null = column.nullable && dice.chance(25);
        (!null).then_some(value)
    });
    values.collect()
}

/// A value as SQL.
pub(super) fn literal(value: Option<&String>) -> String {
    value.map_or_else(
        || "null".to_owned(),
        |v| format!("'{}'", v.replace('\'', "''")),
    )
}

/// INSERT statements for all rows.
pub(super) fn insert(tables: &[Table], rows: &[Vec<Row>]) -> String {
    let mut sql = String::new();
    for (table, rows) in tables.iter().zip(rows) {
        let lists: Vec<String> = rows.iter().map(|row| tuple(table, row)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "{} values\n{};", insert_into(table), lists.join(",\n"));
    }
    sql
}

/// INSERT up to the values.
pub(super) fn insert_into(table: &Table) -> String {
    let list = table.list(&table.written());
    format!(
        "insert into {} ({list}) overriding system value",
        table.sql()
    )
}

/// The values of a row that are written.
pub(super) fn tuple(table: &Table, row: &Row) -> String {
    let values: Vec<String> = table
        .written()
        .iter()
        .map(|c| literal(row[*c].as_ref()))
        .collect();
    format!("({})", values.join(", "))
}
