//! Columns that look like references which no foreign key and no declared relation states. What is missed here is missed
//! by the closure, silently. Pure; [`super::measure`] asks the rows.

use crate::catalog::{Column, Relation, Schema, Table, TableKind};
use crate::ident::TableName;

/// Values sampled below which a rate says nothing.
const FEW: u64 = 10;

/// A column that looks like a reference.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// Its table.
    pub child: TableName,
    /// Its name.
    pub column: String,
    /// What it seems to point at.
    pub points: Points,
}

/// What a column seems to point at.
#[derive(Debug, Clone)]
pub enum Points {
    /// One table.
    At(Target),
    /// A table for each value of the column beside it.
    ByClass {
        /// That column.
        column: String,
        /// Its values, as far as they were met; the most frequent first.
        classes: Vec<Class>,
    },
}

/// A table that is pointed at.
#[derive(Debug, Clone)]
pub struct Target {
    /// The table.
    pub parent: TableName,
    /// Its sole key column.
    pub key: String,
    /// How often a value is found there; `None` where that was not measured.
    pub rate: Option<Rate>,
}

/// One kind of owner of a polymorphic reference.
#[derive(Debug, Clone)]
pub struct Class {
    /// The value of the column beside.
    pub value: String,
    /// The table that it seems to stand for.
    pub target: Option<Target>,
}

/// How many of the values sampled exist in the table pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Values that are not NULL.
    pub sampled: u64,
    /// Those that exist.
    pub matched: u64,
}

impl Rate {
    /// Whether it can hardly be chance: some values, and nearly all of them match.
    pub fn convincing(self) -> bool {
        self.sampled >= FEW && self.matched * 100 >= self.sampled * 95
    }

    /// Whether it is hardly a reference: some values, and most of them do not match.
    pub fn refuted(self) -> bool {
        self.sampled >= FEW && self.matched * 2 < self.sampled
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sampled {
            0 => f.write_str("no value to sample"),
            n => write!(f, "{} of {n} values sampled match", self.matched),
        }
    }
}

/// The columns of a schema that look like references.
pub(super) fn suspects(schema: &Schema, declared: &[Relation]) -> Vec<Suspect> {
    let mut found = Vec::new();
    for table in schema.tables.values() {
        if table.extension.is_some() || table.kind == TableKind::Foreign {
            continue;
        }
        for column in &table.columns {
            if stated(schema, declared, &table.name, &column.name) {
                continue;
            }
            if let Some(points) = points(schema, table, column) {
                found.push(Suspect {
                    child: table.name.clone(),
                    column: column.name.clone(),
                    points,
                });
            }
        }
    }
    found
}

/// Whether a foreign key or a declared relation uses the column.
fn stated(schema: &Schema, declared: &[Relation], table: &TableName, column: &String) -> bool {
    let key = |child: &TableName, columns: &[String]| child == table && columns.contains(column);
    schema
        .foreign_keys
        .iter()
        .any(|k| key(&k.child, &k.child_columns))
        || declared.iter().any(|r| key(&r.child, &r.child_columns))
}

fn points(schema: &Schema, table: &Table, column: &Column) -> Option<Points> {
    let stem = stem(&column.name)?;
    let kind = [format!("{stem}_type"), format!("{stem}Type")];
    if let Some(kind) = table.columns.iter().find(|c| kind.contains(&c.name)) {
        return Some(Points::ByClass {
            column: kind.name.clone(),
            classes: Vec::new(),
        });
    }
    let fits = |parent: &Table, key: &Column| parent.name != table.name && comparable(column, key);
    parent(schema, table, &plurals(&stem.to_lowercase()), fits).map(Points::At)
}

/// `dossier` of `dossier_id` and `dossierId`.
fn stem(column: &str) -> Option<String> {
    let stem = column.strip_suffix("_id").or_else(|| {
        column
            .strip_suffix("Id")
            .filter(|s| s.ends_with(char::is_lowercase))
    })?;
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// What a table of such things may be called.
fn plurals(stem: &str) -> Vec<String> {
    let mut names = vec![format!("{stem}s"), format!("{stem}es"), stem.to_owned()];
    names.extend(stem.strip_suffix('y').map(|s| format!("{s}ies")));
    names
}

/// The table that a class stands for, as Rails names tables: `Dossier` dossiers, `Champs::TextChamp` champs_text_champs,
/// text_champs, or champs, where the class is one of several kept in one table.
pub(super) fn table_of_class(schema: &Schema, child: &Table, class: &str) -> Option<Target> {
    let parts: Vec<String> = class.split("::").map(snake).collect();
    let mut names = plurals(&parts.join("_"));
    if let [first, .., last] = parts.as_slice() {
        names.extend(plurals(last));
        names.extend(plurals(first));
    }
    parent(schema, child, &names, |_, _| true)
}

/// `TextChamp` as `text_champ`.
fn snake(word: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in word.chars() {
        if c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = c;
    }
    out
}

/// The table of one of these names (the first that there is), with a sole key column that fits; of the same schema if
/// there is one.
fn parent(
    schema: &Schema,
    child: &Table,
    names: &[String],
    fits: impl Fn(&Table, &Column) -> bool,
) -> Option<Target> {
    let place = |t: &Table| names.iter().position(|n| *n == t.name.name.to_lowercase());
    let mut candidates: Vec<(usize, bool, Target)> = Vec::new();
    for table in schema.tables.values() {
        let ([key], Some(place)) = (table.key.as_slice(), place(table)) else {
            continue;
        };
        let usable = table.kind != TableKind::Foreign && table.extension.is_none();
        if usable && table.column(key).is_some_and(|c| fits(table, c)) {
            let target = Target {
                parent: table.name.clone(),
                key: key.clone(),
                rate: None,
            };
            candidates.push((place, table.name.schema != child.name.schema, target));
        }
    }
    candidates.sort_by_key(|(place, elsewhere, _)| (*elsewhere, *place));
    candidates.into_iter().next().map(|(_, _, target)| target)
}

/// Whether values of the two columns can be equal: integers of any width, text of any kind, otherwise the same type.
pub(super) fn comparable(a: &Column, b: &Column) -> bool {
    family(a) == family(b)
}

/// What a column's values can be compared with.
pub(super) fn family(column: &Column) -> &str {
    match column.builtin.as_deref() {
        Some("int2" | "int4" | "int8") => "integer",
        Some("text" | "varchar" | "bpchar") => "text",
        Some(other) => other,
        None => &column.type_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_like_references_are_told_from_others() {
        assert_eq!(stem("dossier_id").as_deref(), Some("dossier"));
        assert_eq!(stem("ownerId").as_deref(), Some("owner"));
        for other in [
            "id",
            "_id",
            "dossier_ids",
            "paid",
            "valid",
            "ID",
            "Id",
            "android",
        ] {
            assert_eq!(stem(other), None, "{other}");
        }
    }

    #[test]
    fn classes_are_written_as_tables_are() {
        assert_eq!(snake("TextChamp"), "text_champ");
        assert_eq!(snake("Dossier"), "dossier");
        assert_eq!(snake("APIToken"), "apitoken");
        assert_eq!(snake("plain_name"), "plain_name");
        assert!(plurals("company").contains(&"companies".to_owned()));
    }

    #[test]
    fn few_values_convince_nobody() {
        let rate = |sampled, matched| Rate { sampled, matched };
        assert!(rate(1000, 960).convincing() && !rate(1000, 940).convincing());
        assert!(!rate(9, 9).convincing());
        assert!(rate(100, 49).refuted() && !rate(100, 50).refuted() && !rate(5, 0).refuted());
        assert_eq!(rate(0, 0).to_string(), "no value to sample");
    }
}
