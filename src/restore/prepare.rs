//! What planning and executing start from: live's schema, the bundle's tables in it, and what the journal knows.

use crate::bundle::Bundle;
use crate::catalog::introspect;
use crate::journal::{self, History, Run, Store};
use crate::pg::Session;

use super::{RestoreError, Targets, checks};

/// A bundle, seen against live.
pub(super) struct Prepared {
    pub(super) targets: Targets,
    /// The last restore of this bundle here.
    pub(super) last: Option<Run>,
    pub(super) history: History,
}

/// Looks at live. Reads only.
pub(super) async fn prepare(session: &Session, bundle: &Bundle) -> Result<Prepared, RestoreError> {
    let live = introspect(session).await?;
    let targets = Targets::find(bundle, &live)?;
    checks::check(session, &live, &targets).await?;
    let (mut last, mut history) = (None, History::default());
    if journal::exists(session).await? {
        let store = Store::new(session);
        last = store.last_run(&bundle.id).await?;
        let resumed = last
            .as_ref()
            .filter(|r| r.state.unfinished())
            .map(|r| &r.run);
        history = store.history(&bundle.id, resumed).await?;
    } else {
        journal::refuse_publication(session).await?;
    }
    Ok(Prepared {
        targets,
        last,
        history,
    })
}
