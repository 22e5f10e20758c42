//! The statements that make a random schema.

use std::fmt::Write as _;

use super::kinds::TYPES;
use super::schema::{Action, Table, quote};

/// The tables without their constraints; `defaults` names a column's default, by table and column.
pub(super) fn create(tables: &[Table], default: &dyn Fn(usize, usize) -> String) -> String {
    let mut sql = TYPES.to_owned();
    for (i, table) in tables.iter().enumerate() {
        let columns = table.columns.iter().enumerate().map(|(c, column)| {
            let null = if column.nullable { "" } else { " not null" };
            format!(
                "{} {}{}{}{null}",
                quote(&column.name),
                column.kind.sql,
                default(i, c),
                column.rest
            )
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ = write!(sql, "create table {} ({columns})", table.sql());
        if table.partitioned {
            let by = table.key.first().copied().unwrap_or_default();
            let _ = writeln!(sql, " partition by {};", split(table, by));
            for n in 0..2 {
                let name = quote(&format!("{} part {n}", table.name));
                let _ = writeln!(
                    sql,
                    "create table {}.{name} partition of {} for values with (modulus 2, remainder {n});",
                    quote(table.schema),
                    table.sql()
                );
            }
        } else {
            sql.push_str(";\n");
        }
    }
    sql
}

fn split(table: &Table, by: usize) -> String {
    // Some types cannot be hashed; a partition by nothing of the row's is as good.
    match table.columns[by].kind.sql {
        "json" => format!("hash (({}::text))", table.list(&[by])),
        _ => format!("hash ({})", table.list(&[by])),
    }
}

/// Keys, unique constraints and foreign keys: after the data, so that the server checks what was invented.
pub(super) fn constrain(tables: &[Table]) -> String {
    let mut sql = String::new();
    for table in tables.iter().filter(|t| !t.key.is_empty()) {
        let (name, list) = (table.sql(), table.list(&table.key));
        let _ = match table.unique_index_key {
            true => writeln!(sql, "create unique index on {name} ({list});"),
            false => writeln!(sql, "alter table {name} add primary key ({list});"),
        };
    }
    for table in tables {
        for unique in &table.uniques {
            let _ = writeln!(sql, "{}", unique.replace("{t}", &table.sql()));
        }
    }
    for table in tables {
        for reference in &table.references {
            let (name, list) = (table.sql(), table.list(&reference.columns));
            if reference.index {
                let _ = writeln!(sql, "create index on {name} ({list});");
            }
            if let Action::ForeignKey(action) = reference.action {
                let parent = &tables[reference.parent];
                let _ = writeln!(
                    sql,
                    "alter table {name} add foreign key ({list}) references {} ({}) on delete {action}{};",
                    parent.sql(),
                    parent.list(&reference.parent_columns),
                    reference.deferrable
                );
            }
        }
    }
    sql
}

/// The references that no foreign key states, as the configuration has them. A JSON string is a TOML string as well.
pub(super) fn declared(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        for reference in table
            .references
            .iter()
            .filter(|r| r.action == Action::Declared)
        {
            let parent = &tables[reference.parent];
            let from = format!("{}({})", table.sql(), table.list(&reference.columns));
            let to = format!(
                "{}({})",
                parent.sql(),
                parent.list(&reference.parent_columns)
            );
            let _ = writeln!(
                text,
                "[[relation]]\nfrom = {}\nto = {}",
                serde_json::json!(from),
                serde_json::json!(to)
            );
        }
    }
    text
}
