//! The units that a run left out, tried again: `--only-quarantined`.
//!
//! Exactly those, as the journal names them: units that followed another one are among them. All other units are passed over,
//! whatever became of them.

use std::collections::HashSet;

use crate::bundle::Bundle;
use crate::ident::{RunId, UnitId};
use crate::journal::{Recorded, Store, Undos};
use crate::pg::Session;

use super::RestoreError;
use super::prepare::Prepared;

/// The units that `run` left out.
///
/// Errors: `NothingLeftOut` where it is no ended restore of this bundle here; `Unfinished` where another restore of it has
/// not ended.
pub(super) async fn left_out(
    session: &Session,
    bundle: &Bundle,
    prepared: &Prepared,
    run: &RunId,
) -> Result<HashSet<UnitId>, RestoreError> {
    let target = session.target().to_string();
    let refuse = |reason: String| {
        Err(RestoreError::NothingLeftOut {
            run: run.0.clone(),
            reason,
        })
    };
    let Some(last) = &prepared.last else {
        return refuse(format!("no restore of this bundle is known in {target}"));
    };
    let store = Store::new(session);
    match Undos::new(session).find(run).await? {
        None => return refuse(format!("the journal in {target} knows no such run")),
        Some(Recorded { kind, .. }) if kind != "restore" => {
            return refuse(format!("it is a run of kind {kind}, not a restore"));
        }
        Some(Recorded { bundle: other, .. }) if other != bundle.id => {
            return refuse("it restored another bundle".to_owned());
        }
        Some(_) => {}
    }
    // A retry that was stopped goes on; any other run goes on first, and gives what it left out another chance by itself.
    let goes_on = store.only_quarantined(&last.run).await?.as_ref() == Some(run);
    if last.state.unfinished() && !goes_on {
        return Err(RestoreError::Unfinished {
            run: last.run.0.clone(),
        });
    }
    Ok(store.left_out(run).await?)
}
