//! What must hold before a row is deleted: refused here, naming every table at once and the way out, or not at all.

use std::collections::BTreeMap;

use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};

use crate::restore::checks::without_rules;

use super::UndoError;
use super::scope::{Scope, UndoTable};

/// Refuses tables from which rows cannot be deleted safely, and referencing tables that cannot be read. Reads only.
pub(super) async fn tables(session: &Session, scope: &Scope) -> Result<(), UndoError> {
    let mut found = Vec::new();
    for table in &scope.tables {
        let reasons = [rules(session, table).await?, rights(session, table).await?];
        found.extend(
            reasons
                .into_iter()
                .flatten()
                .map(|r| (table.name.clone(), r)),
        );
    }
    found.extend(readers(session, scope).await?);
    match found.is_empty() {
        true => Ok(()),
        false => Err(UndoError::Tables(found)),
    }
}

/// Rules on DELETE. On a partitioned table, those of its partitions count too.
async fn rules(session: &Session, table: &UndoTable) -> Result<Option<String>, PgError> {
    let sql = "with here as (select $1::regclass::oid as oid
                             union select relid::oid from pg_partition_tree($1::regclass))
               select r.rulename::text from pg_rewrite r join here on r.ev_class = here.oid
                where r.ev_type = '4' and r.ev_enabled <> 'D' order by 1";
    let name = table.name.sql();
    let rows = session
        .ask("looking at rules on DELETE", sql, &[&name])
        .await?;
    let named: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    Ok((!named.is_empty()).then(|| {
        format!(
            "rules rewrite what is deleted from it ({}); {}",
            named.join(", "),
            without_rules(&table.name, &named)
        )
    }))
}

/// Rows are locked FOR UPDATE, which takes UPDATE on a column, and deleted.
async fn rights(session: &Session, table: &UndoTable) -> Result<Option<String>, PgError> {
    let sql = "select has_table_privilege($1::regclass, 'SELECT'), has_table_privilege($1::regclass, 'DELETE'),
                      has_any_column_privilege($1::regclass, 'UPDATE'), row_security_active($1::regclass)";
    let name = table.name.sql();
    let rows = session.ask("looking at rights", sql, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let role = &session.target().role;
    let has = |i: usize| row.get::<_, bool>(i);
    if !(has(0) && has(1) && has(2)) {
        let column = table.live.columns.first().map(|c| quote_ident(&c.name));
        let column = column.unwrap_or_default();
        return Ok(Some(format!(
            "role {role} lacks {} on it: GRANT SELECT, DELETE, UPDATE ({column}) ON {name} TO {role} (docs/RIGHTS.md)",
            match (has(0), has(1)) {
                (false, _) => "SELECT",
                (_, false) => "DELETE",
                _ => "UPDATE on one column",
            }
        )));
    }
    Ok(has(3).then(|| {
        format!("row-level security limits what role {role} sees; use a role with BYPASSRLS")
    }))
}

/// What refers to the rows must be seen, all of it.
async fn readers(session: &Session, scope: &Scope) -> Result<BTreeMap<TableName, String>, PgError> {
    let role = &session.target().role;
    let mut found = BTreeMap::new();
    for reference in &scope.references {
        let child = &reference.child_table;
        let parent = &scope.tables[reference.parent].name;
        let name = child.name.sql();
        if !child.readable {
            found.insert(
                parent.clone(),
                format!(
                    "{} refers to it, and role {role} may not read that: GRANT SELECT ON {name} TO {role} (docs/RIGHTS.md)",
                    child.name
                ),
            );
            continue;
        }
        if !child.row_security {
            continue;
        }
        let sql = "select row_security_active($1::regclass)";
        let rows = session
            .ask("looking at row-level security", sql, &[&name])
            .await?;
        if rows.first().is_some_and(|r| r.get(0)) {
            found.insert(
                parent.clone(),
                format!(
                    "{} refers to it, and row-level security limits what role {role} sees there; use a role with BYPASSRLS",
                    child.name
                ),
            );
        }
    }
    Ok(found)
}
