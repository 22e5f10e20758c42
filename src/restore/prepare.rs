//! What planning and executing start from: live's schema, the bundle's tables in it, and what the journal knows.

use crate::bundle::Bundle;
use crate::catalog::{Schema, introspect};
use crate::journal::{self, History, Run, Store};
use crate::pg::Session;

use super::{RestoreError, Targets, checks, kept};

/// A bundle, seen against live.
pub(super) struct Prepared {
    pub(super) live: Schema,
    pub(super) targets: Targets,
    /// The last restore of this bundle here.
    pub(super) last: Option<Run>,
    pub(super) history: History,
}

/// Looks at live. Reads only.
pub(super) async fn prepare(session: &Session, bundle: &Bundle) -> Result<Prepared, RestoreError> {
    let live = introspect(session).await?;
    checks::server(session, &live).await?;
    let targets = Targets::find(bundle, &live)?;
    checks::tables(session, &targets).await?;
    let mut prepared = Prepared {
        live,
        targets,
        last: None,
        history: History::default(),
    };
    if journal::exists(session).await? {
        prepared.read_journal(session, bundle).await?;
    } else {
        journal::refuse_publication(session).await?;
    }
    Ok(prepared)
}

impl Prepared {
    /// Learns from the journal, which must exist, what earlier runs of this bundle did.
    pub(super) async fn read_journal(
        &mut self,
        session: &Session,
        bundle: &Bundle,
    ) -> Result<(), RestoreError> {
        let store = Store::new(session);
        self.last = store.last_run(&bundle.id).await?;
        let unfinished = self.last.as_ref().filter(|r| r.state.unfinished());
        self.history = store
            .history(&bundle.id, unfinished.map(|r| &r.run))
            .await?;
        kept::note(session, &mut self.targets, &self.history.kept).await?;
        Ok(())
    }
}
