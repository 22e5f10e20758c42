//! The tables of one side: which cannot be read, compared by key, or written to without more ado.

use std::collections::BTreeSet;

use crate::catalog::{Schema, Table, TableKind};
use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};

use super::{Findings, Level, Side};

pub(super) async fn look(
    session: &Session,
    side: Side,
    schema: &Schema,
    findings: &mut Findings,
) -> Result<(), PgError> {
    // What belongs to an extension or to another database is never compared.
    let ours: Vec<&Table> = schema
        .tables
        .values()
        .filter(|t| t.kind != TableKind::Foreign && t.extension.is_none())
        .collect();
    let level = if ours.is_empty() {
        Level::Problem
    } else {
        Level::Good
    };
    findings.add(
        level,
        side,
        "tables",
        match ours.len() {
            1 => "1 table".to_owned(),
            n => format!("{n} tables"),
        },
    );
    let named = |chosen: &dyn Fn(&Table) -> bool| -> Vec<TableName> {
        ours.iter()
            .filter(|t| chosen(t))
            .map(|t| t.name.clone())
            .collect()
    };
    let role = quote_ident(&session.target().role);
    findings.about_tables(
        Level::Problem,
        side,
        "not_readable",
        "this role may not read",
        named(&|t| !t.readable),
        &format!("GRANT pg_read_all_data TO {role}, or less (docs/RIGHTS.md); or leave them out with --exclude-table"),
    );
    let hidden = row_security(session, side, &ours, findings).await;
    findings.about_tables(
        Level::Note,
        side,
        "no_key",
        "without a key",
        named(&|t| t.key.is_empty()),
        "compared as bags of rows: content, and how often it occurs",
    );
    findings.about_tables(
        Level::Warning,
        side,
        "unlogged",
        "unlogged",
        named(&|t| t.unlogged),
        "they are empty in every physical backup",
    );
    if side == Side::Live {
        triggers(&ours, findings);
        deferrable(schema, &ours, findings);
    }
    let foreign = schema
        .tables
        .values()
        .filter(|t| t.kind == TableKind::Foreign);
    findings.about_tables(
        Level::Note,
        side,
        "foreign",
        "foreign tables",
        foreign.map(|t| t.name.clone()).collect(),
        "their rows live in another database; they are skipped",
    );
    hidden
}

/// Sessions ask for an error where a policy would hide rows: that is good, but then nothing can be compared.
async fn row_security(
    session: &Session,
    side: Side,
    tables: &[&Table],
    findings: &mut Findings,
) -> Result<(), PgError> {
    let sql = "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.relrowsecurity and row_security_active(c.oid)";
    let rows = session
        .query("looking at row-level security", sql, &[])
        .await?;
    let active: BTreeSet<TableName> = rows
        .iter()
        .map(|r| TableName::new(r.get::<_, String>(0), r.get::<_, String>(1)))
        .collect();
    let (obeyed, passed): (Vec<TableName>, Vec<TableName>) = tables
        .iter()
        .filter(|t| t.row_security)
        .map(|t| t.name.clone())
        .partition(|name| active.contains(name));
    let role = quote_ident(&session.target().role);
    findings.about_tables(
        Level::Problem,
        side,
        "row_security",
        "row-level security may hide rows from this role",
        obeyed,
        &format!("ALTER ROLE {role} BYPASSRLS, or use the tables' owner"),
    );
    findings.about_tables(
        Level::Note,
        side,
        "row_security",
        "row-level security, which this role passes",
        passed,
        "a restored row obeys the policies for everybody else, as it did before",
    );
    Ok(())
}

fn triggers(tables: &[&Table], findings: &mut Findings) {
    let firing: Vec<&&Table> = tables
        .iter()
        .filter(|t| t.triggers.iter().any(|g| g.on_insert))
        .collect();
    if firing.is_empty() {
        return;
    }
    let names: Vec<String> = firing
        .iter()
        .map(|t| {
            let own: Vec<&str> = t
                .triggers
                .iter()
                .filter(|g| g.on_insert)
                .map(|g| g.name.as_str())
                .collect();
            format!("{} ({})", t.name, own.join(", "))
        })
        .collect();
    let text = format!(
        "triggers fire when rows are inserted: {}",
        super::finding::listed(&names)
    );
    let finding = findings
        .add(Level::Warning, Side::Live, "triggers", text)
        .advice("restore asks what to do about them: --triggers fire lets them fire, --triggers suppress keeps them from it");
    finding.tables = firing.iter().map(|t| t.name.clone()).collect();
}

/// What is checked at commit is refused at commit: a whole batch is then tried again in halves.
fn deferrable(schema: &Schema, tables: &[&Table], findings: &mut Findings) {
    let keys = schema
        .foreign_keys
        .iter()
        .filter(|k| k.deferrable)
        .map(|k| (k.child.clone(), k.name.clone()));
    let uniques = tables.iter().flat_map(|t| {
        let deferrable = t.uniques.iter().filter(|u| u.deferrable);
        deferrable.map(|u| (t.name.clone(), u.name.clone()))
    });
    let (mut concerned, names): (Vec<TableName>, Vec<String>) = keys
        .chain(uniques)
        .map(|(table, name)| (table.clone(), format!("{table} ({name})")))
        .unzip();
    if names.is_empty() {
        return;
    }
    concerned.sort();
    concerned.dedup();
    let text = format!("deferrable constraints: {}", super::finding::listed(&names));
    findings
        .add(Level::Note, Side::Live, "deferrable", text)
        .advice("they may be checked at commit only, where a batch with a conflict is taken back whole and tried in halves")
        .tables = concerned;
}
