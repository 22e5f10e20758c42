//! What the configuration declares must be there: an entry that names nothing would be passed over, and with it what it is
//! there to protect.

use crate::catalog::Schema;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::ident::TableName;

/// A side: what it is called, and its tables.
type Side<'a> = (&'a str, &'a Schema);

/// Refuses `[[identity]]` entries with tables or columns that a side has not. `by_now` says what a table is called since.
pub(super) fn identities(
    context: &Context,
    side: Side<'_>,
    by_now: impl Fn(&TableName) -> String,
) -> Result<(), Failure> {
    for rule in &context.config.identities {
        let columns: Vec<&String> = rule.columns.iter().collect();
        there("identity", side, &by_now, (&rule.table, columns))?;
    }
    Ok(())
}

/// The same for `[[relation]]`.
pub(super) fn relations(
    context: &Context,
    side: Side<'_>,
    by_now: impl Fn(&TableName) -> String,
) -> Result<(), Failure> {
    for relation in &context.config.relations {
        let when = relation.when.iter().map(|(column, _)| column);
        let of_child: Vec<&String> = relation.child_columns.iter().chain(when).collect();
        let of_parent: Vec<&String> = relation.parent_columns.iter().collect();
        there("relation", side, &by_now, (&relation.child, of_child))?;
        there("relation", side, &by_now, (&relation.parent, of_parent))?;
    }
    Ok(())
}

fn there(
    entry: &str,
    (side, schema): Side<'_>,
    by_now: &impl Fn(&TableName) -> String,
    (table, columns): (&TableName, Vec<&String>),
) -> Result<(), Failure> {
    let Some(found) = schema.tables.get(table) else {
        return Err(Failure::usage(format!(
            "[[{entry}]]: {side} has no table {table}{}",
            by_now(table)
        )));
    };
    match columns.into_iter().find(|c| found.column(c).is_none()) {
        None => Ok(()),
        Some(missing) => Err(Failure::usage(format!(
            "[[{entry}]]: {side}'s {table} has no column {missing}"
        ))),
    }
}
