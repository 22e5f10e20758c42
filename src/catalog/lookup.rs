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
    /// Column as SQL, without its alias.
    name: String,
    /// The type that a text value is cast to.
    type_name: String,
    /// The type's own `=`.
    equals: String,
    /// Texts that are no label are asked for all the same; an error would help nobody.
    is_enum: bool,
    /// Compared as text.
    by_text: bool,
}

impl Part {
    fn of(column: &Column) -> Self {
        Self {
            name: quote_ident(&column.name),
            type_name: column.lookup_type.clone(),
            equals: column.equals(),
            is_enum: column.is_enum,
            by_text: false,
        }
    }

    fn place(name: &str, type_name: &str) -> Self {
        Self {
            name: name.into(),
            type_name: type_name.into(),
            equals: "=".into(),
            is_enum: false,
            by_text: false,
        }
    }

    /// Makes room for values of another type: integers compare across their widths, any text is a text; what is left
    /// compares by its text.
    fn widen(&mut self, from: &Column, to: &Column) {
        let is =
            |c: &Column, types: &[&str]| c.builtin.as_deref().is_some_and(|b| types.contains(&b));
        let integers = ["int2", "int4", "int8"];
        if is(from, &integers) && is(to, &integers) {
            self.type_name = "int8".into();
        } else if !is(to, &["text", "varchar", "bpchar"]) && !to.is_enum {
            self.by_text = true;
        }
    }

    /// Equality of the column of `alias` and `value`, a text.
    fn equal(&self, alias: &str, value: &str) -> String {
        let t = &self.type_name;
        let column = format!("{alias}.{}", self.name);
        if self.by_text {
            return format!("{column}::text collate \"C\" = {value} collate \"C\"");
        }
        if self.is_enum {
            // A domain over an enum has no `=` of its own. CASE keeps the cast from values that it would refuse.
            return format!(
                "{column}::{t} = case when {value} = any (enum_range(null::{t})::text[]) then {value}::{t} end"
            );
        }
        format!("{column} {} {value}::{t}", self.equals)
    }
}

impl Locator {
    /// By columns.
    pub fn by_columns<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Self {
        Self {
            parts: columns.into_iter().map(Part::of).collect(),
        }
    }

    /// By named columns of a table; columns that it lacks are passed over.
    pub fn by_names(table: &Table, names: &[String]) -> Self {
        Self::by_columns(names.iter().filter_map(|n| table.column(n)))
    }

    /// By columns of `to`, for values that come from `from`, where they may have another type: a value that the type of
    /// `to` cannot hold is not found there, and never an error.
    pub fn across(from: &Table, to: &Table, names: &[String]) -> Self {
        let parts = names.iter().filter_map(|name| {
            let (from, to) = (from.column(name)?, to.column(name)?);
            let mut part = Part::of(to);
            if from.lookup_type != to.lookup_type {
                part.widen(from, to);
            }
            Some(part)
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// By place, in a table that nobody writes to: `ctid`, with the partition's oid where there are partitions.
    pub fn by_place(kind: TableKind) -> Self {
        let parts = match kind {
            TableKind::Partitioned => {
                vec![Part::place("tableoid", "oid"), Part::place("ctid", "tid")]
            }
            TableKind::Plain | TableKind::Foreign => vec![Part::place("ctid", "tid")],
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
            .map(|(i, part)| part.equal(alias, &format!("k.k{i}")))
            .collect();
        equal.join(" and ")
    }
}

/// Values, as text, as a FROM item that has columns of a table by name, type and collation, and their position from 1 as
/// `reinstate_n`: so that lists can be joined with each other as tables would be. Columns that the table lacks are passed over.
pub fn typed_list<'a>(
    table: &Table,
    columns: &[String],
    alias: &str,
    values: impl Iterator<Item = &'a Key> + Clone,
) -> String {
    let columns: Vec<&Column> = columns.iter().filter_map(|c| table.column(c)).collect();
    let cast = |(i, column): (usize, &&Column)| {
        let t = &column.lookup_type;
        match column.is_enum {
            // A text that is none of its labels equals nothing.
            true => format!(
                "case when k.k{i} = any (enum_range(null::{t})::text[]) then k.k{i}::{t} end"
            ),
            false => format!("k.k{i}::{t}"),
        }
    };
    let casts: Vec<String> = columns.iter().enumerate().map(cast).collect();
    let names: Vec<String> = columns.iter().map(|c| quote_ident(&c.name)).collect();
    // The table's own columns, of no row, lend the list their collations.
    format!(
        "(select null::int8 as reinstate_n, {names} from {} where false
          union all
          select k.n, {} from {}) {alias}",
        table.from_alone(),
        casts.join(", "),
        Locator::by_columns(columns.iter().copied()).list(values),
        names = names.join(", "),
    )
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
