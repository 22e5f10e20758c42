//! Whether the row that another database holds under a key is the same row: edited perhaps, or another one created again
//! under that key.

use crate::catalog::{Column, Table};

/// What two rows of one key and different content are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// A column that says when the row was created tells.
    ByCreation,
    /// Keys of this table are handed out once: the row is the same, edited.
    SameByKey,
    /// Nothing tells.
    Nothing,
}

/// Names that applications give to a column that says when a row was created.
const CREATION: &[&str] = &[
    "created_at",
    "created_on",
    "created",
    "creation_date",
    "creation_time",
    "create_time",
    "create_date",
    "createdat",
    "date_created",
    "datecreated",
    "inserted_at",
    "date_joined",
    "created_date",
    "created_time",
    "insert_time",
];

/// Whether a column seems to say when its row was created: by its type and its name.
pub(super) fn says_when_created(column: &Column) -> bool {
    let time = matches!(
        column.builtin.as_deref(),
        Some("timestamp" | "timestamptz" | "date")
    );
    let name = column.name.to_lowercase();
    let named = |c: &str| name == c || name.replace('_', "") == c;
    time && CREATION.iter().any(|c| named(c))
}

/// Sets of columns that tell a row from another one under the same key, which is the same one while one set is as it was: the time
/// of creation, where the table has one; else each unique key besides its primary one. Of columns that `may` be compared.
pub fn identity_sets(table: &Table, may: impl Fn(&String) -> bool) -> Vec<Vec<String>> {
    let created = table.columns.iter().filter(|c| says_when_created(c));
    let created: Vec<String> = created.map(|c| c.name.clone()).filter(&may).collect();
    if !created.is_empty() {
        return vec![created];
    }
    let others = table.uniques.iter().filter(|u| !u.special && !u.primary);
    let others = others.map(|u| u.columns.clone());
    others.filter(|u| u.iter().all(&may)).collect()
}

/// The column that says to the moment when a row was created, if the table seems to have one. A date does not tell two rows
/// of one day apart.
pub(super) fn creation_column(table: &Table) -> Option<&Column> {
    let exact = |c: &&Column| c.builtin.as_deref() != Some("date");
    let mut columns = table.columns.iter().filter(exact);
    columns.find(|c| says_when_created(c))
}

/// How to tell rows of `table` apart; `key` are its key's columns.
pub(super) fn telling(table: &Table, key: &[String]) -> Telling {
    if creation_column(table).is_some() {
        return Telling::ByCreation;
    }
    match key {
        [one] => match table.column(one) {
            Some(column) if handed_out(column) => Telling::SameByKey,
            _ => Telling::Nothing,
        },
        _ => Telling::Nothing,
    }
}

/// Whether values of a key column come from a sequence or at random: nobody gets one twice unless by hand.
fn handed_out(column: &Column) -> bool {
    let integer = matches!(column.builtin.as_deref(), Some("int2" | "int4" | "int8"));
    let uuid = column.builtin.as_deref() == Some("uuid");
    uuid || (integer && column.drawn)
}
