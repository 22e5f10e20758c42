//! What planning and executing start from: live's schema, the bundle's tables in it, and what the journal knows.

use std::collections::HashSet;

use crate::bundle::Bundle;
use crate::catalog::{Schema, introspect};
use crate::ident::UnitId;
use crate::journal::{self, History, Run, Store};
use crate::pg::Session;

use super::conflict::find_probes;
use super::{
    Fill, OnConflict, Replacements, RestoreError, Settings, Targets, again, checks, fill, kept,
};

/// A bundle, seen against live.
pub(super) struct Prepared {
    pub(super) live: Schema,
    pub(super) targets: Targets,
    /// The last restore of this bundle here.
    pub(super) last: Option<Run>,
    pub(super) history: History,
    /// The only units that are tried, where not all are.
    pub(super) only: Option<HashSet<UnitId>>,
}

/// Looks at live. Reads only.
pub(super) async fn prepare(
    session: &Session,
    bundle: &Bundle,
    fills: &[Fill],
) -> Result<Prepared, RestoreError> {
    session.look_up_by_key().await?;
    let live = introspect(session).await?;
    checks::server(session, &live).await?;
    let mut targets = Targets::find(bundle, &live, fills)?;
    for recast in &bundle.recasts {
        targets.tables[recast.table].retyped.push(recast.into());
    }
    checks::tables(session, &targets).await?;
    fill::values(session, fills, &targets).await?;
    find_probes(session, &mut targets).await?;
    let mut prepared = Prepared {
        live,
        targets,
        last: None,
        history: History::default(),
        only: None,
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

    /// Learns which units are tried, where not all are.
    pub(super) async fn choose(
        &mut self,
        session: &Session,
        bundle: &Bundle,
        settings: &Settings,
    ) -> Result<(), RestoreError> {
        self.targets
            .identify_by(&settings.identities, bundle, &self.live)?;
        if settings.on_conflict == OnConflict::Remap {
            checks::stand_ins(session, &self.targets).await?;
        }
        if let Some(run) = &settings.only_quarantined {
            self.only = Some(again::left_out(session, bundle, self, run).await?);
        }
        Ok(())
    }

    /// Whether a unit is tried.
    pub(super) fn chosen(&self, unit: UnitId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&unit))
    }

    /// Rows that did not go in as they are, of units that have come back.
    pub(super) async fn replacements(
        &self,
        session: &Session,
        bundle: &Bundle,
        settings: &Settings,
    ) -> Result<Replacements, RestoreError> {
        let mut replacements = Replacements::new(bundle, &self.live, settings);
        let resolved = &self.history.resolved;
        replacements.learn(session, &self.targets, resolved).await?;
        Ok(replacements)
    }
}
