//! What becomes of the triggers of the tables written to: nothing is written until a person has said whether they fire.
//!
//! They are suppressed for the rows of those tables alone that have some, by `session_replication_role = replica` around
//! these rows: everywhere else the server goes on checking by itself. What it then skips, [`super::suppressed`] asks.

use serde::Serialize;

use crate::catalog::TableKind;
use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};

use super::firing::{AS_THE_ROLE, Firing, Way, as_ourselves, described, full_name};
use super::{RestoreError, Settings, TargetTable, Targets};

/// What a person said about triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// They fire.
    Fire,
    /// They are kept from firing.
    Suppress,
}

/// The triggers of one table, as a run treats them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treated {
    /// The table.
    pub table: TableName,
    /// They fire: name, function, when.
    pub fire: Vec<String>,
    /// They are kept from firing.
    pub suppressed: Vec<String>,
    /// They would fire although others are suppressed, and nobody has accepted that: as `--accept-trigger` takes them.
    pub unaccepted: Vec<String>,
    /// They fire when the rows are deleted again: an undo is refused until somebody has said whether they shall.
    pub on_delete: Vec<String>,
    /// Why nothing is written to the table as things are, and the way out.
    pub obstacle: Option<String>,
    /// Its rows go in as a replica's do.
    pub(super) as_replica: bool,
    /// One that fires can be put off to the commit.
    pub(super) put_off: bool,
}

/// The triggers of all tables, as the manifest numbers them.
#[derive(Debug, Clone, Default)]
pub(super) struct Treatment {
    pub(super) tables: Vec<Treated>,
}

impl Treatment {
    /// What the settings make of each trigger. Tables whose rows go in by one statement are treated alike.
    ///
    /// `elsewhere` names triggers of other tables written to.
    ///
    /// Errors: `NoTrigger` for one accepted that no table has.
    pub(super) fn of(
        targets: &Targets,
        settings: &Settings,
        elsewhere: &[String],
    ) -> Result<Self, RestoreError> {
        let known = |name: &String| {
            let of = |t: &TargetTable| {
                t.live
                    .triggers
                    .iter()
                    .any(|g| full_name(&t.name, g) == *name)
            };
            targets.tables.iter().any(of) || elsewhere.contains(name)
        };
        if let Some(name) = settings.accepted_triggers.iter().find(|n| !known(n)) {
            return Err(RestoreError::NoTrigger { name: name.clone() });
        }
        let mut as_replica = vec![false; targets.tables.len()];
        if settings.triggers == Some(Triggers::Suppress) {
            let ordinary = |t: &usize| {
                let mut triggers = targets.tables[*t].live.triggers.iter();
                triggers.any(|g| g.on_insert && g.enabled == "O")
            };
            for group in &targets.groups {
                let any = group.iter().any(ordinary);
                group.iter().for_each(|t| as_replica[*t] = any);
            }
        }
        let tables = targets.tables.iter().zip(as_replica);
        Ok(Self {
            tables: tables.map(|(t, r)| treated(t, r, settings)).collect(),
        })
    }

    /// Whether any table's rows go in as a replica's do.
    pub(super) fn suppresses(&self) -> bool {
        self.tables.iter().any(|t| t.as_replica)
    }

    /// Whether some trigger fires.
    pub(super) fn fires(&self) -> bool {
        self.tables.iter().any(|t| !t.fire.is_empty())
    }

    /// Refuses a role that may not suppress triggers, where some are, of these tables or `elsewhere`. Leaves nothing behind.
    pub(super) async fn allowed(
        &self,
        session: &Session,
        elsewhere: bool,
    ) -> Result<(), RestoreError> {
        match self.suppresses() || elsewhere {
            true => may_suppress(session).await,
            false => Ok(()),
        }
    }

    /// Before the rows of tables that go in together.
    pub(super) async fn before(&self, session: &Session, group: &[usize]) -> Result<(), PgError> {
        self.way(group).before(session).await
    }

    /// After them.
    pub(super) async fn after(&self, session: &Session, group: &[usize]) -> Result<(), PgError> {
        self.way(group).after(session).await
    }

    /// Lets triggers fire now that were put off to the commit: what they do to our rows is then read back.
    pub(super) async fn settle(&self, session: &Session) -> Result<(), PgError> {
        if !self.tables.iter().any(|t| t.put_off) {
            return Ok(());
        }
        let sql = format!(
            "{AS_THE_ROLE} set constraints all immediate; {}",
            as_ourselves()
        );
        let doing = "firing triggers that were put off to the commit";
        session.batch(doing, &sql).await
    }

    /// Triggers put off to the commit are, until all rows of the batch are there.
    fn way(&self, group: &[usize]) -> Way {
        let any = |of: fn(&Treated) -> bool| group.iter().any(|t| of(&self.tables[*t]));
        Way {
            as_replica: any(|t| t.as_replica),
            fire: any(|t| !t.fire.is_empty()),
            put_off: false,
        }
    }
}

/// Refuses a role that may not suppress triggers. Leaves nothing behind.
pub(super) async fn may_suppress(session: &Session) -> Result<(), RestoreError> {
    let try_it = "begin; set local session_replication_role = replica; rollback";
    // Asked by doing it: some managed servers allow it without saying so in their catalogs.
    let tried = session.batch("suppressing triggers", try_it).await;
    let Err(error) = tried else { return Ok(()) };
    session.batch("rolling back", "rollback").await?;
    if error.sqlstate() != Some("42501") {
        return Err(error.into());
    }
    let role = &session.target().role;
    let way_out = match session.server_version() >= 150_000 {
        true => format!(
            "a superuser gives it: GRANT SET ON PARAMETER session_replication_role TO {}",
            quote_ident(role)
        ),
        false => "before PostgreSQL 15 only a superuser has it".to_owned(),
    };
    Err(RestoreError::NoRightToSuppress {
        role: role.clone(),
        way_out,
    })
}

fn treated(table: &TargetTable, as_replica: bool, settings: &Settings) -> Treated {
    let triggers = &table.live.triggers;
    let on_insert = triggers.iter().filter(|t| t.on_insert);
    let firing = Firing::of(&table.name, on_insert, as_replica, settings.said());
    let on_delete = triggers.iter().filter(|t| t.on_delete);
    Treated {
        table: table.name.clone(),
        obstacle: obstacle(table, &firing, settings.triggers),
        on_delete: on_delete.map(described).collect(),
        fire: firing.fire,
        suppressed: firing.suppressed,
        unaccepted: firing.unaccepted,
        as_replica,
        put_off: firing.put_off,
    }
}

fn obstacle(table: &TargetTable, of: &Firing, said: Option<Triggers>) -> Option<String> {
    let firing = of.fire.join(", ");
    if of.fire.is_empty() {
        return None;
    }
    if said.is_none() {
        return Some(format!(
            "triggers would fire on its rows ({firing}), and nobody has said whether they shall: --triggers fire lets them, \
             and what they do is not taken back by an undo; --triggers suppress keeps them from it"
        ));
    }
    if !of.unaccepted.is_empty() {
        return Some(format!(
            "triggers fire on its rows although triggers are suppressed ({firing}), being ENABLE ALWAYS or ENABLE REPLICA; \
             if they may, accept each by name: {}",
            of.accepting()
        ));
    }
    let untold = !table.keyed() && table.live.kind == TableKind::Partitioned;
    untold.then(|| {
        format!(
            "triggers would fire on its rows ({firing}), and it is partitioned and has no key: nobody could tell what they \
             did to a row; disable them for the restore if the application can bear it"
        )
    })
}
