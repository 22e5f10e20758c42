//! The document that every command but `diff` prints: counts by state, in total and by table. Wire format, version 1.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ident::{RunId, TableName};

/// Counts by state, in the order in which they are shown.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// A command's outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) command: &'static str,
    pub(crate) run: Option<RunId>,
    pub(crate) totals: Counts,
    pub(crate) tables: Vec<(TableName, Counts)>,
    /// What stands beside the totals.
    pub(crate) beside: Vec<(&'static str, Value)>,
}

impl Outcome {
    /// The document.
    pub(crate) fn json(&self) -> Value {
        let counts = |counts: &Counts| -> Map<String, Value> {
            counts
                .iter()
                .map(|(state, n)| ((*state).to_owned(), json!(n)))
                .collect()
        };
        let tables: Vec<Value> = self
            .tables
            .iter()
            .map(|(table, by_state)| {
                let mut entry = Map::new();
                entry.insert("table".into(), json!(table));
                entry.extend(counts(by_state));
                Value::Object(entry)
            })
            .collect();
        let mut document = Map::new();
        document.insert("schema_version".into(), json!(1));
        document.insert("command".into(), json!(self.command));
        document.insert("run".into(), json!(self.run));
        document.insert("totals".into(), Value::Object(counts(&self.totals)));
        document.insert("tables".into(), Value::Array(tables));
        for (name, value) in &self.beside {
            document.insert((*name).to_owned(), value.clone());
        }
        Value::Object(document)
    }

    /// A table for people: a row a table, a column for every state that occurs.
    pub(crate) fn text(&self) -> String {
        let states: Vec<&str> = self
            .totals
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(state, _)| *state)
            .collect();
        let number = |counts: &Counts, state: &str| {
            grouped(
                counts
                    .iter()
                    .find(|(s, _)| *s == state)
                    .map_or(0, |(_, n)| *n),
            )
        };
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (table, counts) in &self.tables {
            let mut row = vec![table.to_string()];
            row.extend(states.iter().map(|s| number(counts, s)));
            rows.push(row);
        }
        let mut total = vec!["total".to_owned()];
        total.extend(states.iter().map(|s| number(&self.totals, s)));
        rows.push(total);
        let mut head = vec!["table".to_owned()];
        head.extend(states.iter().map(|s| s.replace('_', " ")));
        columns(&head, &rows)
    }
}

/// A table without borders: the first column to the left, numbers to the right.
pub(crate) fn columns(head: &[String], rows: &[Vec<String>]) -> String {
    use comfy_table::{CellAlignment, Table};
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(head.to_vec());
    table.add_rows(rows.iter().cloned());
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .to_string()
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A number with its thousands apart.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number and what it counts: `1 row`, `2,000 rows`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    let end = match (n, one.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {one}{end}", grouped(n))
}

/// A reason beside the row it is about, which it need not name again.
pub(crate) fn without<'a>(row: &str, reason: &'a str) -> &'a str {
    reason
        .strip_prefix(row)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!(counted(1, "batch"), "1 batch");
        assert_eq!(counted(2, "batch"), "2 batches");
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1_234_567, "unit"), "1,234,567 units");
    }

    #[test]
    fn a_table_shows_the_states_that_occur() {
        let name = |t: &str| t.parse::<TableName>().unwrap();
        let outcome = Outcome {
            command: "restore",
            run: None,
            totals: vec![
                ("inserted", 1_000),
                ("gone_since", 0),
                ("already_present", 2),
            ],
            tables: vec![
                (name("a"), vec![("inserted", 1_000)]),
                (name("b"), vec![("already_present", 2)]),
            ],
            beside: vec![("relinked", json!(0))],
        };
        let text = "table     inserted  already present\npublic.a     1,000                0\n\
                    public.b         0                2\ntotal        1,000                2";
        assert_eq!(outcome.text(), text);
        assert_eq!(outcome.json()["totals"]["gone_since"], 0);
        assert_eq!(outcome.json()["relinked"], 0);
    }
}
