//! What the server does not check where triggers are suppressed: foreign keys, and unique and exclusion constraints that
//! are deferrable. It never makes up for it, so all of them are asked for the rows of a batch, before the commit.
//!
//! What another session writes at the same time must not slip through. Of a foreign key the parents are locked, as the
//! server would lock them. Of the other constraints: who writes after our rows are in the index meets them there; who wrote
//! before is waited for ([`super::writers`]), and seen then. What is asked of each row is in [`guard`].
//!
//! Source: PostgreSQL manual, `session_replication_role`, "SET CONSTRAINTS", and the catalog `pg_constraint`.

mod guard;

use std::time::Duration;

use crate::catalog::TableKind;
use crate::ident::RunId;
use crate::pg::{PgError, Session};

use super::inserted::Inserted;
use super::look::Looked;
use super::triggers::Treatment;
use super::{Batch, Conflict, RestoreError, TargetTable, Targets, writers};
use guard::{Guard, read};

/// What is asked in the server's place, by table as the manifest numbers them.
#[derive(Default)]
pub(super) struct Guards {
    tables: Vec<Vec<Guard>>,
}

impl Guards {
    /// Reads what guards the tables of which triggers are suppressed. Reads only.
    ///
    /// Errors: `Table` for a constraint that cannot be asked, and for a right that asking takes.
    pub(super) async fn find(
        session: &Session,
        targets: &Targets,
        treatment: &Treatment,
    ) -> Result<Self, RestoreError> {
        let mut tables = Vec::with_capacity(targets.tables.len());
        for (target, treated) in targets.tables.iter().zip(&treatment.tables) {
            let mut guards = Vec::new();
            if treated.as_replica {
                guards = read(session, target).await?;
            }
            let places = target.keyed() || target.live.kind == TableKind::Plain;
            if !guards.is_empty() && !places {
                return Err(RestoreError::Table {
                    table: target.name.clone(),
                    reason: format!(
                        "it is partitioned and has no key, so that {} could not be verified for its rows while triggers are \
                         suppressed; let them fire (--triggers fire), or disable them for the restore",
                        guards[0].name
                    ),
                });
            }
            tables.push(guards);
        }
        Ok(Self { tables })
    }

    /// What the rows of a batch violate; the transaction that inserted them is under way.
    pub(super) async fn violations(
        &self,
        session: &Session,
        targets: &Targets,
        (run, number): (&RunId, i64),
        (batch, looked): (&Batch, &Looked),
        patience: Duration,
    ) -> Result<Vec<Conflict>, PgError> {
        let mut conflicts = Vec::new();
        for (place, guards) in self.tables.iter().enumerate() {
            if guards.is_empty() {
                continue;
            }
            let target = &targets.tables[place];
            let found = Inserted::find(session, target, (run, number), (batch, looked), place);
            let Some(inserted) = found.await? else {
                continue;
            };
            for guard in guards {
                if guard.waits() {
                    writers::ended(session, &guard.relation, patience).await?;
                }
                conflicts.extend(violated(session, target, guard, &inserted).await?);
            }
        }
        Ok(conflicts)
    }
}

async fn violated(
    session: &Session,
    target: &TargetTable,
    guard: &Guard,
    inserted: &Inserted<'_>,
) -> Result<Vec<Conflict>, PgError> {
    let list = inserted.locator.list(inserted.keys.iter());
    let sql = guard.question(&list, &inserted.locator);
    let doing = format!("verifying {} of {}", guard.name, target.name);
    let mut conflicts = Vec::new();
    for row in session.ask(&doing, &sql, &[]).await? {
        let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
        let Some(row) = inserted.rows.get(n) else {
            continue;
        };
        let unit = row.unit;
        let row = match target.keyed() {
            true => format!("{} {}", target.name, row.key),
            false => format!("a row of {}", target.name),
        };
        conflicts.push(Conflict {
            unit,
            table: target.name.clone(),
            reason: format!(
                "{row} {}, which the server does not check while triggers are suppressed",
                guard.violated()
            ),
            missing_parent: guard.sqlstate() == "23503",
            sqlstate: guard.sqlstate(),
            row: None,
            sides: None,
        });
    }
    Ok(conflicts)
}
