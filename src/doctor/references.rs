//! How tables refer to each other: foreign keys whose children the application deletes itself, and columns that look
//! like references which no foreign key states. What is missed here is missed by the closure, silently.

use crate::catalog::{Column, OnDelete, Relation, Schema, Table, TableKind};
use crate::ident::{TableName, shown};

use super::finding::listed;
use super::{Findings, Level, Side};

pub(super) fn look(side: Side, schema: &Schema, declared: &[Relation], findings: &mut Findings) {
    foreign_keys(side, schema, findings);
    for table in schema.tables.values() {
        if table.extension.is_some() || table.kind == TableKind::Foreign {
            continue;
        }
        for column in &table.columns {
            if !stated(schema, declared, &table.name, &column.name) {
                undeclared(side, schema, table, column, findings);
            }
        }
    }
}

fn foreign_keys(side: Side, schema: &Schema, findings: &mut Findings) {
    let with = |action: OnDelete| -> (Vec<String>, Vec<TableName>) {
        schema
            .foreign_keys
            .iter()
            .filter(|k| k.on_delete == action)
            .map(|k| {
                let shown = format!("{} → {}", place(&k.child, &k.child_columns), k.parent);
                (shown, k.child.clone())
            })
            .unzip()
    };
    for (action, code, what, advice) in [
        (
            OnDelete::Refuse,
            "no_on_delete",
            "foreign keys without ON DELETE, whose children the application deleted itself",
            "the children are found along these keys",
        ),
        (
            OnDelete::SetNull,
            "set_null",
            "foreign keys ON DELETE SET NULL, whose children are still there and point at nothing",
            "the references are not filled again by this version",
        ),
    ] {
        let (names, mut tables) = with(action);
        if names.is_empty() {
            continue;
        }
        tables.dedup();
        let text = format!("{what}: {}", listed(&names));
        findings
            .add(Level::Note, side, code, text)
            .advice(advice)
            .tables = tables;
    }
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

fn undeclared(
    side: Side,
    schema: &Schema,
    table: &Table,
    column: &Column,
    findings: &mut Findings,
) {
    let Some(stem) = stem(&column.name) else {
        return;
    };
    let here = place(&table.name, std::slice::from_ref(&column.name));
    let kind = [format!("{stem}_type"), format!("{stem}Type")];
    if let Some(kind) = table.columns.iter().find(|c| kind.contains(&c.name)) {
        let text = format!("{here} looks polymorphic, with {} beside it", kind.name);
        let advice = format!(
            "for every kind of owner, in reinstate.toml:\n[[relation]]\nfrom = '{here}'\nto = 'owners(id)'\n\
             when = {{ {} = 'Owner' }}",
            toml_key(&kind.name)
        );
        findings
            .add(Level::Warning, side, "polymorphic", text)
            .advice(advice)
            .tables = vec![table.name.clone()];
        return;
    }
    if let Some(parent) = parent(schema, table, column, &stem) {
        let to = place(&parent.name, &parent.key);
        let text = format!(
            "{here} looks like a reference to {} that no foreign key states",
            parent.name
        );
        findings
            .add(Level::Warning, side, "undeclared", text)
            .advice(format!(
                "if it is one, in reinstate.toml:\n[[relation]]\nfrom = '{here}'\nto = '{to}'"
            ))
            .tables = vec![table.name.clone(), parent.name.clone()];
    }
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

/// The table that a column so named would refer to: of the same schema if there is one, with a sole key column of the
/// same type.
fn parent<'a>(schema: &'a Schema, table: &Table, column: &Column, stem: &str) -> Option<&'a Table> {
    let stem = stem.to_lowercase();
    let mut names = vec![format!("{stem}s"), format!("{stem}es"), stem.clone()];
    names.extend(stem.strip_suffix('y').map(|s| format!("{s}ies")));
    let fits = |candidate: &&Table| {
        let key = match candidate.key.as_slice() {
            [one] => candidate.column(one),
            _ => None,
        };
        candidate.name != table.name
            && names.contains(&candidate.name.name.to_lowercase())
            && candidate.kind != TableKind::Foreign
            && key.is_some_and(|key| comparable(column, key))
    };
    let mut candidates: Vec<&Table> = schema.tables.values().filter(fits).collect();
    candidates.sort_by_key(|c| c.name.schema != table.name.schema);
    candidates.first().copied()
}

/// Whether values of the two columns can be equal: integers of any width, text of any kind, otherwise the same type.
fn comparable(a: &Column, b: &Column) -> bool {
    let family = |c: &Column| match c.builtin.as_deref() {
        Some("int2" | "int4" | "int8") => "integer".to_owned(),
        Some("text" | "varchar" | "bpchar") => "text".to_owned(),
        Some(other) => other.to_owned(),
        None => c.type_name.clone(),
    };
    family(a) == family(b)
}

/// `schema.table(column, …)`, as the configuration takes it.
fn place(table: &TableName, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|c| shown(c)).collect();
    format!("{table}({})", columns.join(", "))
}

/// A key as TOML writes it.
fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("'{name}'")
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
}
