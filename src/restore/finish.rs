//! How a run ends: in which state, and what it is said to have created.

use crate::ident::UnitId;
use crate::journal::{self, RunEvent, RunState, Store};

use super::RestoreError;
use super::run::{Stopped, Worker};

impl Worker<'_> {
    /// How many large objects the run has created, and their bytes.
    pub(super) async fn created_objects(&self) -> Result<Option<(u64, u64)>, RestoreError> {
        if self.prepared.targets.objects.is_none() {
            return Ok(None);
        }
        let created = journal::CreatedObjects::new(&self.session);
        Ok(Some(created.created(&self.run).await?))
    }

    /// `relinking` was stopped too, or some references `remain` that should have been filled.
    pub(super) async fn finish(
        &self,
        stopped: Stopped,
        relinking: Stopped,
        remain: bool,
    ) -> Result<RunState, RestoreError> {
        let chosen = self.prepared.only.is_some();
        let unseen = (stopped || chosen) && !self.everything_seen()?;
        let unfilled = !self.prepared.history.postponed.is_empty();
        let event = if relinking || (stopped && !self.chosen_seen()?) {
            RunEvent::Interrupt
        } else {
            RunEvent::Finish {
                left_out: unseen || remain || unfilled || !self.quarantined.is_empty(),
            }
        };
        Ok(Store::new(&self.session).record(&self.run, event).await?)
    }

    /// Whether nothing is left although we stopped: the limit was reached with the last unit.
    fn everything_seen(&self) -> Result<bool, RestoreError> {
        self.all_seen(|_| true)
    }

    /// The same, of the units that are tried.
    fn chosen_seen(&self) -> Result<bool, RestoreError> {
        self.all_seen(|unit| self.prepared.chosen(unit))
    }

    fn all_seen(&self, of: impl Fn(UnitId) -> bool) -> Result<bool, RestoreError> {
        let history = &self.prepared.history;
        let known = |u: UnitId| {
            history.done.contains(&u) || history.earlier.contains(&u) || self.out.contains(&u)
        };
        // A unit of which nothing may come was read and passed over.
        let passed = |u: UnitId| self.prepared.chosen(u) && u <= self.last_read;
        let known = |u: UnitId| known(u) || (!self.excluded.is_empty() && passed(u));
        for unit in self.bundle.units()? {
            let unit = unit?.unit;
            if of(unit) && !known(unit) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
