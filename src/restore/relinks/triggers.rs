//! What becomes of the UPDATE triggers of the tables whose references are filled: as `--triggers` says, like those of the rows.

use crate::catalog::Table;
use crate::pg::{PgError, Session};
use crate::restore::Said;
use crate::restore::firing::{Firing, Way};

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
    /// The options that accept those that fire although others are suppressed, where nobody has accepted that.
    accepting: String,
    /// Rows are written to as a replica does.
    pub(in crate::restore) as_replica: bool,
    /// One that fires can be put off to the commit.
    put_off: bool,
}

impl ChildTriggers {
    /// What was said makes of them. `None` where nobody has said anything.
    pub(in crate::restore) fn of(table: &Table, said: Said<'_>) -> Self {
        let triggers = || table.triggers.iter().filter(|t| t.on_update);
        let as_replica = said.suppress() && triggers().any(|t| t.enabled == "O");
        let of = Firing::of(&table.name, triggers(), as_replica, said);
        let firing = of.fire.join(", ");
        let obstacle = if !of.fire.is_empty() && said.how.is_none() {
            Some(format!(
                "triggers would fire when its references are filled ({firing}), and nobody has said whether they shall: \
                 --triggers fire or suppress; --relinks none leaves the references NULL"
            ))
        } else if !of.unaccepted.is_empty() {
            Some(format!(
                "triggers fire when its references are filled although triggers are suppressed ({firing}), being ENABLE ALWAYS or \
                 ENABLE REPLICA; if they may, accept each by name: {}",
                of.accepting()
            ))
        } else {
            None
        };
        Self {
            accepting: of.accepting(),
            fire: of.fire,
            suppressed: of.suppressed,
            named: of.named,
            obstacle,
            as_replica,
            put_off: of.put_off,
        }
    }

    /// Why nothing is emptied again as things are, and the way out.
    pub(in crate::restore) fn obstacle_to_emptying(&self) -> Option<String> {
        self.obstacle.as_ref()?;
        let firing = self.fire.join(", ");
        Some(match self.accepting.is_empty() {
            true => format!(
                "triggers on UPDATE would fire as its references are emptied again ({firing}), and nobody has said whether they \
                 shall: --triggers fire or suppress"
            ),
            false => format!(
                "triggers on UPDATE fire as its references are emptied again although triggers are suppressed ({firing}), being \
                 ENABLE ALWAYS or ENABLE REPLICA; if they may, accept each by name: {}",
                self.accepting
            ),
        })
    }

    /// Before rows are written to.
    pub(in crate::restore) async fn before(&self, session: &Session) -> Result<(), PgError> {
        self.way().before(session).await
    }

    /// After that. Triggers put off to the commit fire now: what they do is then read back.
    pub(in crate::restore) async fn after(&self, session: &Session) -> Result<(), PgError> {
        self.way().after(session).await
    }

    fn way(&self) -> Way {
        Way {
            as_replica: self.as_replica,
            fire: !self.fire.is_empty(),
            put_off: self.put_off,
        }
    }
}
