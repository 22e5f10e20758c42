//! What becomes of the UPDATE triggers of the tables whose references are filled: as `--triggers` says, like those of the rows.

use crate::catalog::Table;
use crate::pg::{PgError, Session};
use crate::restore::triggers::{AS_THE_ROLE, as_ourselves, described, full_name};
use crate::restore::{Triggers, accepting};

/// The UPDATE triggers of one table, as they are treated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::restore) struct ChildTriggers {
    /// They fire: name, function, when.
    pub(in crate::restore) fire: Vec<String>,
    /// They are kept from firing.
    pub(in crate::restore) suppressed: Vec<String>,
    /// All of them, as `--accept-trigger` takes them.
    pub(in crate::restore) named: Vec<String>,
    /// Why nothing is written as things are, and the way out.
    pub(in crate::restore) obstacle: Option<String>,
    /// Rows are written to as a replica does.
    pub(in crate::restore) as_replica: bool,
    /// One that fires can be put off to the commit.
    put_off: bool,
}

impl ChildTriggers {
    /// What was said makes of them. `None` where nobody has said anything.
    pub(in crate::restore) fn of(
        table: &Table,
        said: Option<Triggers>,
        accepted: &[String],
    ) -> Self {
        let on_update = || table.triggers.iter().filter(|t| t.on_update);
        let suppress = said == Some(Triggers::Suppress);
        let mut all = Self {
            as_replica: suppress && on_update().any(|t| t.enabled == "O"),
            ..Self::default()
        };
        let mut unaccepted = Vec::new();
        for trigger in on_update() {
            let name = full_name(&table.name, trigger);
            all.named.push(name.clone());
            let fires = match trigger.enabled.as_str() {
                "O" => !all.as_replica,
                "R" => all.as_replica,
                _ => true,
            };
            if fires {
                all.put_off |= trigger.deferrable;
                all.fire.push(described(trigger));
                if suppress && !accepted.contains(&name) {
                    unaccepted.push(accepting(&name));
                }
            } else if trigger.enabled == "O" {
                all.suppressed.push(described(trigger));
            }
        }
        let firing = all.fire.join(", ");
        all.obstacle = if !all.fire.is_empty() && said.is_none() {
            Some(format!(
                "triggers would fire when its references are filled ({firing}), and nobody has said whether they shall: \
                 --triggers fire or suppress; --relinks none leaves the references NULL"
            ))
        } else if !unaccepted.is_empty() {
            Some(format!(
                "triggers fire when its references are filled although triggers are suppressed ({firing}), being ENABLE ALWAYS or \
                 ENABLE REPLICA; if they may, accept each by name: {}",
                unaccepted.join(" ")
            ))
        } else {
            None
        };
        all
    }

    /// Before rows are written to.
    pub(in crate::restore) async fn before(&self, session: &Session) -> Result<(), PgError> {
        let mut sql = String::new();
        if self.as_replica {
            sql.push_str("set local session_replication_role = replica;");
        }
        if !self.fire.is_empty() {
            sql.push_str(AS_THE_ROLE);
        }
        set(session, &sql).await
    }

    /// After that. Triggers put off to the commit fire now: what they do is then read back.
    pub(in crate::restore) async fn after(&self, session: &Session) -> Result<(), PgError> {
        let mut sql = String::new();
        if self.put_off {
            sql.push_str("set constraints all immediate;");
        }
        if !self.fire.is_empty() {
            sql.push_str(&as_ourselves());
        }
        if self.as_replica {
            sql.push_str("set local session_replication_role = origin;");
        }
        set(session, &sql).await
    }
}

async fn set(session: &Session, sql: &str) -> Result<(), PgError> {
    match sql.is_empty() {
        true => Ok(()),
        false => session.batch("setting how triggers fire", sql).await,
    }
}
