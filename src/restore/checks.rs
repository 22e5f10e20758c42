//! What must hold before a row is written: refused here, by name and with the way out, or not at all.

use crate::catalog::Schema;
use crate::ident::{TableName, quote_ident};
use crate::pg::Session;

use super::relinks::Links;
use super::target::TargetRelation;
use super::triggers::Treatment;
use super::{Relinking, RestoreError, Retyped, Targets};

/// Refuses a server that takes no writes, or that somebody has told to take none. Reads only.
pub(super) async fn server(session: &Session, live: &Schema) -> Result<(), RestoreError> {
    let target = session.target();
    if live.in_recovery {
        return Err(RestoreError::Standby {
            target: target.to_string(),
        });
    }
    // What sessions begin with: ours has long been set otherwise.
    let sql =
        "select reset_val = 'on' from pg_settings where name = 'default_transaction_read_only'";
    let rows = session
        .ask("asking whether writing is wanted", sql, &[])
        .await?;
    if rows.first().is_some_and(|row| row.get(0)) {
        return Err(RestoreError::ReadOnly {
            target: target.to_string(),
            role: quote_ident(&target.role),
            database: quote_ident(&target.database),
        });
    }
    role(session).await
}

/// Refuses a role whose sessions work as a replica's do: the server would check no reference of what they write.
async fn role(session: &Session) -> Result<(), RestoreError> {
    let sql = "select current_setting('session_replication_role') = 'replica'";
    let rows = session.ask("asking what is checked", sql, &[]).await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    Err(RestoreError::AsReplica {
        target: session.target().to_string(),
        role: quote_ident(&session.target().role),
    })
}

/// Refuses tables that cannot be written to safely. Reads only.
pub(super) async fn tables(session: &Session, targets: &Targets) -> Result<(), RestoreError> {
    for target in &targets.tables {
        let refuse = |reason: String| {
            Err(RestoreError::Table {
                table: target.name.clone(),
                reason,
            })
        };
        let table = &target.live;
        let role = &session.target().role;
        if !table.insertable || !table.readable {
            let missing = if table.insertable { "SELECT" } else { "INSERT" };
            return refuse(format!(
                "role {role} lacks {missing} on it: GRANT SELECT, INSERT ON {} TO {role} (docs/RIGHTS.md)",
                table.name.sql()
            ));
        }
        let together = targets
            .groups
            .iter()
            .any(|g| g.len() > 1 && g.iter().any(|t| targets.tables[*t].name == target.name));
        if !table.insert_rules.is_empty() && (together || !target.keyed()) {
            let rules = &table.insert_rules;
            return refuse(format!(
                "rules rewrite what is inserted into it ({}); {}",
                rules.join(", "),
                without_rules(&table.name, rules)
            ));
        }
    }
    parents(session, targets).await?;
    staging(session, targets).await?;
    row_security(session, targets).await
}

/// The way out where rules of a table rewrite what a run does to it.
pub(super) fn without_rules(table: &TableName, rules: &[String]) -> String {
    let disable: Vec<String> = rules
        .iter()
        .map(|rule| {
            format!(
                "ALTER TABLE {} DISABLE RULE {}",
                table.sql(),
                quote_ident(rule)
            )
        })
        .collect();
    format!(
        "if the application can spare them for a while: {}",
        disable.join("; ")
    )
}

/// Refuses, naming every table at once, what a plan shows and no run may pass over.
pub(super) fn obstacles(
    targets: &Targets,
    treatment: &Treatment,
    links: &Links,
    relinks: Relinking,
) -> Result<(), RestoreError> {
    let mut found = Vec::new();
    for (table, triggers) in links.triggers() {
        let obstacle = triggers.obstacle.clone();
        let obstacle = obstacle.filter(|_| relinks != Relinking::None);
        found.extend(obstacle.map(|reason| (table, reason)));
    }
    for (target, treated) in targets.tables.iter().zip(&treatment.tables) {
        if let Some(reason) = &treated.obstacle {
            found.push((target.name.clone(), reason.clone()));
        }
        let retyped = target.retyped.iter().filter(|r| !r.restorable);
        let retyped: Vec<String> = retyped.map(Retyped::describe).collect();
        if !retyped.is_empty() {
            let reason = format!(
                "{}, and not every value has one form in both; give live its old type back for the restore, or put these \
                 rows back by hand (RESTORE.txt in the bundle)",
                retyped.join(", ")
            );
            found.push((target.name.clone(), reason));
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(RestoreError::Obstacles(found)),
    }
}

/// Parents are locked against deletion before a row points at them.
async fn parents(session: &Session, targets: &Targets) -> Result<(), RestoreError> {
    for parent in targets.relations.iter().flatten().filter(|p| p.needed) {
        lockable(session, parent).await?;
    }
    Ok(())
}

async fn lockable(session: &Session, parent: &TargetRelation) -> Result<(), RestoreError> {
    let role = &session.target().role;
    let sql = "select has_table_privilege($1::regclass, 'SELECT'),
                      has_any_column_privilege($1::regclass, 'UPDATE'), row_security_active($1::regclass)";
    let name = parent.parent.sql();
    let rows = session
        .ask("looking at rights on referenced tables", sql, &[&name])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let refuse = |reason: String| {
        Err(RestoreError::Table {
            table: parent.parent.clone(),
            reason,
        })
    };
    if !row.get::<_, bool>(0) || !row.get::<_, bool>(1) {
        let columns = parent
            .columns
            .iter()
            .map(|c| quote_ident(c))
            .collect::<Vec<_>>()
            .join(", ");
        return refuse(format!(
            "rows that the bundle's rows reference are locked there, which takes rights that role {role} lacks: \
             GRANT SELECT, UPDATE ({columns}) ON {name} TO {role} (docs/RIGHTS.md)"
        ));
    }
    if row.get(2) {
        return refuse(format!(
            "row-level security limits what role {role} sees of the rows referenced; use a role with BYPASSRLS"
        ));
    }
    Ok(())
}

/// Live rows that take the place of others are locked while rows are pointed to them.
pub(super) async fn stand_ins(session: &Session, targets: &Targets) -> Result<(), RestoreError> {
    let own = |parent: &TableName| targets.tables.iter().any(|t| t.name == *parent);
    for parent in targets.relations.iter().flatten() {
        if own(&parent.parent) && !parent.needed {
            lockable(session, parent).await?;
        }
    }
    Ok(())
}

/// Tables without a key, and tables that reference each other, are staged in temporary tables.
async fn staging(session: &Session, targets: &Targets) -> Result<(), RestoreError> {
    let Some(staged) = (0..targets.tables.len()).find(|t| targets.staged(*t)) else {
        return Ok(());
    };
    let sql = "select has_database_privilege(current_database(), 'TEMPORARY')";
    let rows = session
        .ask("looking at the right to stage rows", sql, &[])
        .await?;
    if rows.first().is_some_and(|r| r.get(0)) {
        return Ok(());
    }
    let (role, database) = (
        &session.target().role,
        quote_ident(&session.target().database),
    );
    Err(RestoreError::Table {
        table: targets.tables[staged].name.clone(),
        reason: format!(
            "its rows go through a temporary table, which role {role} may not create: \
             GRANT TEMPORARY ON DATABASE {database} TO {role}"
        ),
    })
}

/// A role under row-level security would see, and write, only some rows.
async fn row_security(session: &Session, targets: &Targets) -> Result<(), RestoreError> {
    for target in targets.tables.iter().filter(|t| t.live.row_security) {
        let sql = "select row_security_active($1::regclass)";
        let name = target.name.sql();
        let rows = session
            .ask("looking at row-level security", sql, &[&name])
            .await?;
        if rows.first().is_some_and(|r| r.get(0)) {
            return Err(RestoreError::Table {
                table: target.name.clone(),
                reason: format!(
                    "row-level security limits what role {} sees; use a role with BYPASSRLS",
                    session.target().role
                ),
            });
        }
    }
    Ok(())
}
