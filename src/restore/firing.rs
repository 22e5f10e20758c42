//! Which triggers of a table fire on one kind of event, by what a person has said, and how a session lets them.

use crate::catalog::Trigger;
use crate::ident::{TableName, shell_word, shown};
use crate::pg::{BY_KEY, PgError, Session};

use super::Triggers;

/// What a person said about triggers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// Whether they fire; `None` where nobody has said anything.
    pub how: Option<Triggers>,
    /// Those that may fire although triggers are suppressed: `schema.table.trigger`, as shown.
    pub accepted: &'a [String],
}

impl Said<'_> {
    /// Whether they are to be kept from firing.
    pub(super) fn suppress(&self) -> bool {
        self.how == Some(Triggers::Suppress)
    }
}

/// The triggers of one table on one kind of event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Firing {
    /// They fire: name, function, when.
    pub(super) fire: Vec<String>,
    /// They are kept from firing.
    pub(super) suppressed: Vec<String>,
    /// All of them, as `--accept-trigger` takes them.
    pub(super) named: Vec<String>,
    /// They would fire although others are suppressed, and nobody has accepted that.
    pub(super) unaccepted: Vec<String>,
    /// One that fires can be put off to the commit.
    pub(super) put_off: bool,
}

impl Firing {
    /// What becomes of these triggers, of rows that are written as a replica does or not.
    pub(super) fn of<'a>(
        table: &TableName,
        triggers: impl Iterator<Item = &'a Trigger>,
        as_replica: bool,
        said: Said<'_>,
    ) -> Self {
        let mut all = Self::default();
        for trigger in triggers {
            let name = full_name(table, trigger);
            let fires = match trigger.enabled.as_str() {
                "O" => !as_replica,
                "R" => as_replica,
                _ => true,
            };
            if fires {
                all.put_off |= trigger.deferrable;
                all.fire.push(described(trigger));
                if said.suppress() && !said.accepted.contains(&name) {
                    all.unaccepted.push(name.clone());
                }
            } else if trigger.enabled == "O" {
                all.suppressed.push(described(trigger));
            }
            all.named.push(name);
        }
        all
    }

    /// The options that accept those that nobody has accepted, as a shell takes them.
    pub(super) fn accepting(&self) -> String {
        let each: Vec<String> = self.unaccepted.iter().map(|n| accepting(n)).collect();
        each.join(" ")
    }
}

/// The option that accepts a trigger, as a shell takes it.
pub fn accepting(name: &str) -> String {
    format!("--accept-trigger {}", shell_word(name))
}

/// How a person names a trigger.
pub(super) fn full_name(table: &TableName, trigger: &Trigger) -> String {
    format!("{}.{}", table, shown(&trigger.name))
}

/// What a person is told of a trigger: its name, its function, when it fires.
pub(super) fn described(trigger: &Trigger) -> String {
    let (name, function, fires) = (&trigger.name, &trigger.function, &trigger.fires);
    format!("{name} calling {function} {fires}")
}

/// How rows are about to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// As a replica does.
    pub(super) as_replica: bool,
    /// Triggers fire.
    pub(super) fire: bool,
    /// Some of them can be put off to the commit, and are not to be.
    pub(super) put_off: bool,
}

impl Way {
    /// Before the rows. Triggers of the application look for names where it does, not where we do.
    pub(super) async fn before(self, session: &Session) -> Result<(), PgError> {
        let mut sql = String::new();
        if self.as_replica {
            sql.push_str("set local session_replication_role = replica;");
        }
        if self.fire {
            sql.push_str(AS_THE_ROLE);
        }
        set(session, &sql).await
    }

    /// After them. Triggers put off to the commit fire now: what they do can then be looked at.
    pub(super) async fn after(self, session: &Session) -> Result<(), PgError> {
        let mut sql = String::new();
        if self.put_off {
            sql.push_str("set constraints all immediate;");
        }
        if self.fire {
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

/// What a trigger's function finds in a session of the role's own.
pub(super) const AS_THE_ROLE: &str =
    "set local search_path to default; set local timezone to default;
     set local random_page_cost to default;";

/// What every session of ours pins.
pub(super) fn as_ourselves() -> String {
    format!(
        "set local search_path = pg_catalog, pg_temp; set local timezone = 'UTC'; set local random_page_cost = {BY_KEY};"
    )
}
