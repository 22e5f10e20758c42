//! What a schema suggests beyond references: audit tables, erasures on purpose, addresses, files. Always as comments: a
//! name is no proof.

use crate::catalog::{Column, Rename, Schema, Table, TableKind};
use crate::doctor::{Points, Rate, Suspect};
use crate::ident::{quote_ident, shown};

use super::text::{commented, key, one_line, quoted};

fn ours(schema: &Schema) -> impl Iterator<Item = &Table> {
    let ours = |t: &&Table| t.kind != TableKind::Foreign && t.extension.is_none();
    schema.tables.values().filter(ours)
}

fn has<'a>(table: &'a Table, names: &[&str]) -> Option<&'a Column> {
    names.iter().find_map(|n| table.column(n))
}

/// A table of deleted things beside the table of the things: `deleted_dossiers`, `dossiers`, `dossier_id`.
struct Tombstones<'a> {
    table: &'a Table,
    of: &'a Table,
    column: String,
    times: Vec<String>,
}

fn tombstones(schema: &Schema) -> Vec<Tombstones<'_>> {
    let mut found = Vec::new();
    for table in ours(schema) {
        let name = table.name.name.to_lowercase();
        let Some(things) = name
            .strip_prefix("deleted_")
            .or_else(|| name.strip_suffix("_deletions"))
        else {
            continue;
        };
        let of = ours(schema).find(|t| {
            let other = t.name.name.to_lowercase();
            t.name != table.name
                && t.key.len() == 1
                && (other == things || other == format!("{things}s"))
        });
        let Some(of) = of else { continue };
        let singular = of.name.name.trim_end_matches('s').to_lowercase();
        let column = [
            format!("{singular}_id"),
            format!("{}_id", of.name.name),
            "record_id".into(),
        ];
        let Some(column) = column.into_iter().find(|c| table.column(c).is_some()) else {
            continue;
        };
        found.push(Tombstones {
            table,
            of,
            column,
            times: times(table),
        });
    }
    found
}

/// Columns that may say when, the most likely first: `created_at` is when the row was written, whatever
/// `deleted_at` was meant to say.
fn times(table: &Table) -> Vec<String> {
    let is_time = |c: &&Column| matches!(c.builtin.as_deref(), Some("timestamptz" | "timestamp"));
    let mut names: Vec<String> = table
        .columns
        .iter()
        .filter(is_time)
        .map(|c| c.name.clone())
        .collect();
    let likely = ["created_at", "inserted_at", "logged_at", "deleted_at"];
    names.sort_by_key(|n| likely.iter().position(|l| l == n).unwrap_or(likely.len()));
    names
}

/// Entries for what may have been renamed since the backup; nothing where nothing looks so.
pub(super) fn renames(guesses: &[Rename]) -> String {
    if guesses.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n# What may have been renamed since the backup: one side alone has each of these names. Nothing follows from it until\n\
         # you say so (docs/DRIFT.md). Where it is so, all other entries use live's names.\n",
    );
    for guess in guesses {
        let (table, column, to, same) = match guess {
            Rename::Table { from, to } => (from, None, to.to_string(), "the same columns"),
            Rename::Column { table, from, to } => (table, Some(from), to.clone(), "the same type"),
        };
        let column = column.map(|c| format!("column = {}\n", quoted(c)));
        text += &format!("\n# {same}: was it renamed?\n");
        text += &commented(&format!(
            "[[rename]]\ntable = {}\n{}to = {}\n",
            quoted(&table.to_string()),
            column.unwrap_or_default(),
            quoted(&to)
        ));
    }
    text
}

/// Evidence from audit tables.
pub(super) fn audit(schema: &Schema) -> String {
    let mut text = String::from(
        "\n# When rows were deleted, as the application wrote it down. The column must be when the row was *destroyed*, not when\n\
         # it was hidden or marked: compare a few with what you know.\n",
    );
    let tombstones = tombstones(schema);
    for found in &tombstones {
        let Some(time) = found.times.first() else {
            continue;
        };
        let others = &found.times[1..];
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|c| shown(c)).collect();
            text += &format!(
                "# {} has other times too: {}\n",
                one_line(&found.table.name.to_string()),
                one_line(&others.join(", "))
            );
        }
        let sql = format!(
            "select {} as id, {} as deleted_at, xmin as xid from {}",
            shown(&found.column),
            shown(time),
            found.table.name
        );
        text += &commented(&format!(
            "[[audit]]\ntable = {}\nlive_sql = {}\nslack = \"10s\"",
            quoted(&found.of.name.to_string()),
            quoted(&sql)
        ));
    }
    for table in ours(schema) {
        let Some((id, kind, time)) = log_of_changes(table) else {
            continue;
        };
        let sql = format!(
            "select {} as id, {} as deleted_at, xmin as xid from {} where {} = 'Thing' and …",
            shown(&id),
            shown(&time),
            table.name,
            shown(&kind)
        );
        text += &commented(&format!(
            "[[audit]]                 # {} looks like a log of changes\ntable = \"things\"\nlive_sql = {}",
            one_line(&table.name.to_string()),
            quoted(&sql)
        ));
    }
    if tombstones.is_empty() {
        text += &commented(
            "[[audit]]\ntable = \"dossiers\"\nlive_sql = \"select dossier_id as id, created_at as deleted_at, xmin as xid from deleted_dossiers\"",
        );
    }
    text
}

/// The row's id, its kind and the time, of a table that looks like a log of changes of many tables.
fn log_of_changes(table: &Table) -> Option<(String, String, String)> {
    let name = table.name.name.to_lowercase();
    let named = name.contains("audit")
        || name == "versions"
        || name.ends_with("_versions")
        || name == "activities";
    let id = [
        "item_id",
        "auditable_id",
        "record_id",
        "trackable_id",
        "row_id",
        "object_id",
    ];
    let kind = [
        "item_type",
        "auditable_type",
        "record_type",
        "trackable_type",
        "table_name",
        "object_type",
    ];
    let time = times(table).into_iter().next()?;
    named
        .then(|| {
            Some((
                has(table, &id)?.name.clone(),
                has(table, &kind)?.name.clone(),
                time,
            ))
        })
        .flatten()
}

/// Rows that must stay deleted.
pub(super) fn exclude(schema: &Schema) -> String {
    let mut text = String::from(
        "\n# Rows that must NOT come back, and with them what hangs from them: erased at their owner's request, for example.\n",
    );
    let found = tombstones(schema);
    let (table, sql) = match found.first() {
        Some(t) => {
            let reason = has(t.table, &["reason", "deletion_reason", "cause"]);
            let condition = reason.map_or("…".to_owned(), |c| {
                format!("{} = 'user_request'", shown(&c.name))
            });
            let sql = format!(
                "select {} as id from {} where {condition}",
                shown(&t.column),
                t.table.name
            );
            (t.of.name.to_string(), sql)
        }
        None => (
            "dossiers".to_owned(),
            "select dossier_id as id from deleted_dossiers where reason = 'user_request'"
                .to_owned(),
        ),
    };
    text += &commented(&format!(
        "[[exclude]]\ntable = {}\nreason = \"erased at the owner's request\"\nlive_sql = {}",
        quoted(&table),
        quoted(&sql)
    ));
    text
}

/// Whom it concerns: the biggest table whose rows point at something with an address.
pub(super) fn contacts(schema: &Schema, suspects: &[Suspect]) -> String {
    let mut text = String::from(
        "\n# Whom it concerns; asked of the snapshot, since live may have lost the addresses too.\n",
    );
    let with_address = |name| {
        let parent: &Table = schema.tables.get(name)?;
        let address = has(parent, &["email", "email_address", "mail"])?;
        Some((parent, address.name.clone()))
    };
    let stated = schema.foreign_keys.iter().filter_map(|k| {
        match (k.child_columns.as_slice(), k.parent_columns.as_slice()) {
            ([from], [to]) => Some((&k.child, from, &k.parent, to)),
            _ => None,
        }
    });
    let suspected = suspects.iter().filter_map(|s| match &s.points {
        Points::At(t) if t.rate.is_some_and(Rate::convincing) => {
            Some((&s.child, &s.column, &t.parent, &t.key))
        }
        Points::At(_) | Points::ByClass { .. } => None,
    });
    let best = stated
        .chain(suspected)
        .filter_map(|(child, from, parent, to)| {
            let child = schema.tables.get(child).filter(|t| t.key.len() == 1)?;
            Some((child, from, with_address(parent)?, to))
        })
        .max_by_key(|(child, ..)| child.estimated_rows);
    let sql = match best {
        Some((child, from, (parent, address), to)) => format!(
            "select '{table}' as owner_table, o.{key}::text as owner_key, p.{address} as contact from {table} o join {parent} p \
             on p.{to} = o.{from}",
            table = child.name,
            key = shown(&child.key[0]),
            address = shown(&address),
            parent = parent.name,
            to = shown(to),
            from = shown(from),
        ),
        None => "select 'dossiers' as owner_table, d.id::text as owner_key, u.email as contact from dossiers d join users u \
                 on u.id = d.user_id"
            .to_owned(),
    };
    text += &commented(&format!("[[contacts]]\nsql = {}", quoted(&sql)));
    text
}

/// Rows that point at files.
pub(super) fn attachments(schema: &Schema, suspects: &[Suspect]) -> String {
    let mut text = String::from(
        "\n# Files that rows point at: blobs check looks for them, in [stores.NAME].\n",
    );
    let before = text.len();
    for table in ours(schema) {
        if table.name.name == "active_storage_attachments" {
            text += &active_storage(table, suspects);
        }
        let suffixed = table
            .columns
            .iter()
            .filter_map(|c| Some((c.name.strip_suffix("_file_name")?, &c.name)));
        for (attachment, column) in suffixed {
            text += &format!(
                "# {}.{} looks like Paperclip's name of {}\n",
                one_line(&table.name.to_string()),
                one_line(&quote_ident(column)),
                one_line(attachment)
            );
        }
    }
    if text.len() == before {
        text += "# None was recognised.\n";
    }
    text
}

fn active_storage(table: &Table, suspects: &[Suspect]) -> String {
    let classes: Vec<String> = suspects
        .iter()
        .filter(|s| s.child == table.name && s.column == "record_id")
        .filter_map(|s| match &s.points {
            Points::ByClass { classes, .. } => Some(classes),
            Points::At(_) => None,
        })
        .flatten()
        .filter_map(|c| {
            let parent = &c.target.as_ref()?.parent;
            Some(format!(
                "{} = {}",
                key(&c.value),
                quoted(&parent.to_string())
            ))
        })
        .collect();
    commented(&format!(
        "[[attachments]]\npreset = \"active_storage\"\nclasses = {{ {} }}",
        classes.join(", ")
    ))
}
