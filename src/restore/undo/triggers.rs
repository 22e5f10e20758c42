//! What becomes of the triggers on DELETE: nothing is taken back under them until a person has said whether they fire.
//!
//! Rows of all tables are deleted by one statement, so all are treated alike: where triggers of one are suppressed, the statement runs
//! under `session_replication_role = replica`. The server then checks no foreign key of what refers to the rows. Nothing is missed: the
//! rows are locked before one looks for what refers to them, and those who refer without asking for that lock (a subscription's
//! worker) are looked for once more after the deletion.

use crate::catalog::Trigger;
use crate::ident::TableName;
use crate::pg::{PgError, Session};
use crate::restore::firing::{Firing, Said, Way};

use super::scope::Scope;

/// The triggers on DELETE of all tables that a restore wrote to.
#[derive(Debug, Clone, Default)]
pub(super) struct DeleteTriggers {
    tables: Vec<(TableName, Firing)>,
    /// Rows are deleted as a replica does.
    pub(super) as_replica: bool,
}

/// The triggers of one table, as an undo treats them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TreatedOnDelete {
    /// The table.
    pub table: TableName,
    /// They fire: name, function, when.
    pub fire: Vec<String>,
    /// They are kept from firing.
    pub suppressed: Vec<String>,
}

impl DeleteTriggers {
    /// What was said makes of them.
    pub(super) fn of(scope: &Scope, said: Said<'_>) -> Self {
        let on_delete = |t: &&Trigger| t.on_delete;
        let mut all = scope.tables.iter().flat_map(|t| &t.live.triggers);
        let as_replica = said.suppress() && all.any(|t| t.on_delete && t.enabled == "O");
        let each = scope.tables.iter().map(|table| {
            let triggers = table.live.triggers.iter().filter(on_delete);
            let firing = Firing::of(&table.name, triggers, as_replica, said);
            (table.name.clone(), firing)
        });
        Self {
            tables: each.collect(),
            as_replica,
        }
    }

    /// All of them, as `--accept-trigger` takes them.
    pub(super) fn named(&self) -> impl Iterator<Item = &String> {
        self.tables.iter().flat_map(|(_, of)| &of.named)
    }

    /// Tables of which nothing is deleted as things are, why, and the way out.
    pub(super) fn obstacles(&self, said: Said<'_>) -> Vec<(TableName, String)> {
        let reason = |of: &Firing| {
            let firing = of.fire.join(", ");
            if !of.fire.is_empty() && said.how.is_none() {
                return Some(format!(
                    "triggers would fire on every row deleted ({firing}), and nobody has said whether they shall: \
                     --triggers fire lets them; --triggers suppress keeps them from it"
                ));
            }
            (!of.unaccepted.is_empty()).then(|| {
                format!(
                    "triggers fire on every row deleted although triggers are suppressed ({firing}), being ENABLE ALWAYS or \
                     ENABLE REPLICA; if they may, accept each by name: {}",
                    of.accepting()
                )
            })
        };
        let tables = self.tables.iter();
        tables
            .filter_map(|(table, of)| Some((table.clone(), reason(of)?)))
            .collect()
    }

    /// What a person is told of them: tables that have some.
    pub(super) fn treated(&self) -> Vec<TreatedOnDelete> {
        let tables = self.tables.iter();
        tables
            .filter(|(_, of)| !(of.fire.is_empty() && of.suppressed.is_empty()))
            .map(|(table, of)| TreatedOnDelete {
                table: table.clone(),
                fire: of.fire.clone(),
                suppressed: of.suppressed.clone(),
            })
            .collect()
    }

    /// Whether one fires.
    pub(super) fn fire(&self) -> bool {
        self.tables.iter().any(|(_, of)| !of.fire.is_empty())
    }

    /// Before rows are deleted.
    pub(super) async fn before(&self, session: &Session) -> Result<(), PgError> {
        self.way().before(session).await
    }

    /// After that; what triggers do is done.
    pub(super) async fn after(&self, session: &Session) -> Result<(), PgError> {
        self.way().after(session).await
    }

    fn way(&self) -> Way {
        Way {
            as_replica: self.as_replica,
            fire: self.fire(),
            put_off: self.tables.iter().any(|(_, of)| of.put_off),
        }
    }
}

/// References to a period, which cannot be looked for where the server does not check them (18 and later).
pub(super) async fn to_a_period(
    session: &Session,
    scope: &Scope,
) -> Result<Vec<(TableName, String)>, PgError> {
    if session.server_version() < 180_000 {
        return Ok(Vec::new());
    }
    let sql = "select c.conname::text from pg_constraint c
                where c.contype = 'f' and c.conperiod and c.confrelid = $1::regclass order by 1";
    let mut found = Vec::new();
    for table in &scope.tables {
        let name = table.name.sql();
        let rows = session
            .ask("looking for references to a period", sql, &[&name])
            .await?;
        if let Some(row) = rows.first() {
            let reason = format!(
                "{} refers to a period of it, which nobody would check while triggers are suppressed; let them fire \
                 (--triggers fire)",
                row.get::<_, String>(0)
            );
            found.push((table.name.clone(), reason));
        }
    }
    Ok(found)
}
