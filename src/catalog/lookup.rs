//! The one way in which rows are looked up by key: a list of keys joined to a table by the table's own `=`.

use crate::ident::{Key, array_literal, quote_ident, quote_literal};

use super::model::{Column, Table, TableKind};

/// What tells a table's rows apart: columns with their types, or the place where a row lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// As SQL without an alias.
    name: String,
    /// The type that a text value is cast to.
    type_name: String,
    /// Its own `=`.
    equals: String,
}

impl Locator {
    /// By columns.
    pub fn by_columns<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Self {
        Self {
            parts: columns
                .into_iter()
                .map(|c| Part {
                    name: quote_ident(&c.name),
                    type_name: c.type_name.clone(),
                    equals: c.equals.clone().unwrap_or_else(|| "=".to_owned()),
                })
                .collect(),
        }
    }

    /// By named columns of a table; columns that it lacks are passed over.
    pub fn by_names(table: &Table, names: &[String]) -> Self {
        Self::by_columns(names.iter().filter_map(|n| table.column(n)))
    }

    /// By place, in a table that nobody writes to: `ctid`, with the partition's oid where there are partitions.
    pub fn by_place(kind: TableKind) -> Self {
        let part = |name: &str, t: &str| Part {
            name: name.to_owned(),
            type_name: t.to_owned(),
            equals: "=".to_owned(),
        };
        let parts = match kind {
            TableKind::Partitioned => vec![part("tableoid", "oid"), part("ctid", "tid")],
            TableKind::Plain | TableKind::Foreign => vec![part("ctid", "tid")],
        };
        Self { parts }
    }

    /// By `key` where the table has one, else by place.
    pub fn of(table: &Table, key: &[String]) -> Self {
        if key.is_empty() {
            Self::by_place(table.kind)
        } else {
            Self::by_names(table, key)
        }
    }

    /// The parts over `alias`, as they are.
    pub fn columns(&self, alias: &str) -> Vec<String> {
        self.parts
            .iter()
            .map(|p| format!("{alias}.{}", p.name))
            .collect()
    }

    /// The parts over `alias`, as text.
    pub fn texts(&self, alias: &str) -> Vec<String> {
        self.parts
            .iter()
            .map(|p| format!("{alias}.{}::text", p.name))
            .collect()
    }

    /// `keys` as a FROM item `k`, with their position from 1 as `k.n`.
    pub fn list<'a>(&self, keys: impl Iterator<Item = &'a Key> + Clone) -> String {
        let arrays: Vec<String> = (0..self.parts.len())
            .map(|i| {
                let values = keys.clone().map(|k| k.0.get(i).map(String::as_str));
                format!("{}::text[]", quote_literal(&array_literal(values)))
            })
            .collect();
        let names: Vec<String> = (0..self.parts.len()).map(|i| format!("k{i}")).collect();
        format!(
            "unnest({}) with ordinality as k({}, n)",
            arrays.join(", "),
            names.join(", ")
        )
    }

    /// The condition that joins `alias` to the list `k`.
    pub fn matches(&self, alias: &str) -> String {
        let equal: Vec<String> = self
            .parts
            .iter()
            .enumerate()
            .map(|(i, p)| format!("{alias}.{} {} k.k{i}::{}", p.name, p.equals, p.type_name))
            .collect();
        equal.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_join_by_their_own_type() {
        let locator = Locator::by_place(TableKind::Plain);
        let keys = [Key(vec!["(0,1)".into()])];
        assert_eq!(
            locator.list(keys.iter()),
            "unnest('{\"(0,1)\"}'::text[]) with ordinality as k(k0, n)"
        );
        assert_eq!(locator.matches("t"), "t.ctid = k.k0::tid");
    }
}
