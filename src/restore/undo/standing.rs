//! What an undo has before it, and what is in its way.

use std::collections::BTreeSet;

use crate::bundle::Bundle;
use crate::catalog::introspect;
use crate::ident::TableName;
use crate::journal::{Postponed, Undos};
use crate::pg::Session;
use crate::restore::RestoreError;
use crate::restore::relinks::{ChildTriggers, Unlinking};
use crate::restore::triggers::may_suppress;

use super::find::Found;
use super::objects::Columns;
use super::postponed::{self, filled};
use super::run::Undoing;
use super::scope::Scope;
use super::triggers::{DeleteTriggers, to_a_period};
use super::{UndoError, checks};

/// What an undo has before it.
pub(super) struct Standing {
    pub(super) scope: Scope,
    pub(super) triggers: DeleteTriggers,
    pub(super) unlinking: Unlinking,
    /// What can point at large objects, where the bundle has any.
    pub(super) objects: Option<Columns>,
    /// References within circles that were filled once all parts of a unit were there.
    pub(super) filled: Vec<Postponed>,
    /// Tables whose triggers are in the way as things are, and the way out.
    pub(super) obstacles: Vec<(TableName, String)>,
    /// A trigger is to be kept from firing.
    suppresses: bool,
}

impl Standing {
    /// Refuses where triggers are in the way, and a role that may not suppress them where that was asked for. Reads only.
    pub(super) async fn refuse(&self, session: &Session) -> Result<(), UndoError> {
        if !self.obstacles.is_empty() {
            return Err(UndoError::Tables(self.obstacles.clone()));
        }
        if self.suppresses {
            may_suppress(session).await?;
        }
        Ok(())
    }
}

/// Looks at all of it. Reads only.
///
/// Errors: `Tables` for those of which nothing can be taken back, whatever is said about triggers.
pub(super) async fn find(
    session: &Session,
    bundle: &Bundle,
    found: &Found,
    settings: &Undoing,
) -> Result<Standing, UndoError> {
    session.look_up_by_key().await?;
    if bundle.id != found.bundle {
        let short = |id: &str| id.chars().take(8).collect();
        return Err(UndoError::OtherBundle {
            run: found.restore.run.to_string(),
            wanted: short(&found.bundle),
            found: short(&bundle.id),
        });
    }
    let live = introspect(session).await?;
    crate::restore::checks::server(session, &live).await?;
    let restore = &found.restore.run;
    let written = Undos::new(session).inserted(restore).await?;
    let written: BTreeSet<String> = written.into_keys().collect();
    let scope = Scope::new(bundle, &settings.declared, &live, &written)?;
    checks::tables(session, &scope).await?;
    let said = settings.said();
    let undo = found.unfinished.as_ref();
    let unlinking = Unlinking::find(session, bundle, &live, (restore, undo), said).await?;
    let filled = filled(session, &bundle.id, restore).await?;
    let triggers = DeleteTriggers::of(&scope, said);
    let emptied = postponed::triggers(&scope, &filled, said);
    let update = emptied.values().flat_map(|t| &t.named);
    let known: BTreeSet<&String> = triggers
        .named()
        .chain(update)
        .chain(unlinking.triggers())
        .collect();
    if let Some(name) = said.accepted.iter().find(|name| !known.contains(name)) {
        return Err(RestoreError::NoTrigger { name: name.clone() }.into());
    }
    let mut obstacles = triggers.obstacles(said);
    obstacles.extend(unlinking.obstacles());
    let of_emptying =
        |(table, t): (&TableName, &ChildTriggers)| Some((table.clone(), t.obstacle_to_emptying()?));
    obstacles.extend(emptied.iter().filter_map(of_emptying));
    if triggers.as_replica {
        obstacles.extend(to_a_period(session, &scope).await?);
    }
    Ok(Standing {
        objects: Columns::of(bundle, &live, &session.target().role)?,
        suppresses: triggers.as_replica
            || unlinking.suppresses()
            || emptied.values().any(|t| t.as_replica),
        scope,
        triggers,
        unlinking,
        filled,
        obstacles,
    })
}
