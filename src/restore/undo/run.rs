//! An undo from its first look to its last count: what is to be refused is refused before the journal knows of it, then
//! batch after batch of the restore, the last one first.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::bundle::Bundle;
use crate::catalog::Relation;
use crate::event::{Event, Sink};
use crate::ident::{RunId, UnitId};
use crate::journal::{
    self, CreatedObjects, NewRun, Relinks, RestoredBatch, RunEvent, RunLock, RunState, Store, Undos,
};
use crate::pg::{Access, Conninfo, PgError, Session};
use crate::restore::relinks::Unlinking;
use crate::restore::retry::patience;
use crate::restore::run::time_limit;
use crate::restore::{Interrupt, Said, Settings, Triggers};

use super::deferred::Deferred;
use super::find::{Asked, Found, find};
use super::objects::{Columns, ObjectTotals};
use super::piece::of_batch;
use super::postponed::{self, Filled};
use super::scope::Scope;
use super::standing;
use super::triggers::DeleteTriggers;
use super::{UndoError, UndoTally, UnlinkTotals};

/// Rows of the first piece; the number then follows the time that pieces take.
const FIRST_PIECE: usize = 500;

/// Settings of an undo.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Undoing {
    /// How long a piece is meant to take.
    pub target_batch: Duration,
    /// How long a unit that cannot fit in a piece may take alone.
    pub max_unit_time: Duration,
    /// What was said about triggers on DELETE, and about those on UPDATE where references are emptied.
    pub triggers: Option<Triggers>,
    /// Triggers that may fire although triggers are suppressed: `schema.table.trigger`, as shown.
    pub accepted_triggers: Vec<String>,
    /// References that no foreign key guards, besides those that the bundle names.
    pub declared: Vec<Relation>,
}

impl Undoing {
    /// What was said about triggers.
    pub(super) fn said(&self) -> Said<'_> {
        Said {
            how: self.triggers,
            accepted: &self.accepted_triggers,
        }
    }
}

impl Default for Undoing {
    fn default() -> Self {
        let restore = Settings::default();
        Self {
            target_batch: restore.target_batch,
            max_unit_time: restore.max_unit_time,
            triggers: None,
            accepted_triggers: Vec::new(),
            declared: Vec::new(),
        }
    }
}

/// What an undo did.
#[derive(Debug)]
pub struct Undone {
    /// Its id.
    pub run: RunId,
    /// How it ended.
    pub state: RunState,
    /// Rows by state and table.
    pub tally: UndoTally,
    /// Rows that the restore had inserted.
    pub inserted: u64,
    /// References that the restore had filled, by what became of them.
    pub unlinks: UnlinkTotals,
    /// Large objects that the restore had created, by what became of them.
    pub large_objects: ObjectTotals,
}

/// Takes a restore back, or goes on with an undo of it that was stopped.
///
/// `new` describes the run if it is a new one. Errors before anything is deleted are as [`UndoError`] says; later ones are
/// [`UndoError::Partly`].
pub async fn undo(
    conninfo: &Conninfo,
    bundle: &Bundle,
    restore: &RunId,
    settings: &Undoing,
    new: NewRun,
    interrupt: &Interrupt,
    sink: Sink<'_>,
) -> Result<Undone, UndoError> {
    let session = Session::open(conninfo, Access::Writing, "undo").await?;
    let asked = Asked::Run(restore.clone());
    // Everything that can be refused is refused before anything is written.
    let found = find(&session, &asked).await?;
    let standing = standing::find(&session, bundle, &found, settings).await?;
    standing.refuse(&session).await?;
    journal::ensure_undos(&session).await?;
    let unfinished = found.unfinished.is_some() || found.restore.state.unfinished();
    RunLock::take(&session, unfinished).await?;
    // What the last run did is only certain once nobody else can be at work.
    let found = find(&session, &asked).await?;
    let standing = standing::find(&session, bundle, &found, settings).await?;
    standing.refuse(&session).await?;
    let limit = time_limit(&session).await?;
    let run = begin(&session, &found, settings, new).await?;
    let inserted = Undos::new(&session).inserted(&found.restore.run).await?;
    let inserted = inserted.values().sum();
    sink(Event::RunStarted {
        run: run.to_string(),
        rows: inserted,
    });
    let (done, last_batch) = Undos::new(&session).progress(&run).await?;
    let mut work = Worker {
        conninfo,
        session,
        scope: standing.scope,
        triggers: standing.triggers,
        unlinking: standing.unlinking,
        objects: standing.objects,
        filled: postponed::by_unit(standing.filled),
        settings,
        limit,
        run: run.clone(),
        found,
        done,
        last_batch,
        interrupt,
        sink,
        piece_rows: FIRST_PIECE,
        deferred: Deferred::default(),
        reconnects: 0,
    };
    let ended = work.until_done().await;
    let (state, tally, unlinks, large_objects) = ended.map_err(|e| UndoError::Partly {
        run: run.to_string(),
        cause: e.to_string(),
    })?;
    sink(Event::RunFinished {
        run: run.to_string(),
        state: state.to_string(),
    });
    Ok(Undone {
        run,
        state,
        tally,
        inserted,
        unlinks,
        large_objects,
    })
}

async fn begin(
    session: &Session,
    found: &Found,
    settings: &Undoing,
    new: NewRun,
) -> Result<RunId, UndoError> {
    let store = Store::new(session);
    if let Some(undo) = &found.unfinished {
        store.record(undo, RunEvent::Resume).await?;
        store.restate(undo, &json!(settings)).await?;
        return Ok(undo.clone());
    }
    // A restore that goes on under the same id would bring units back in the run that is being taken back.
    if found.restore.state.unfinished() {
        let restore = &found.restore.run;
        store.record(restore, RunEvent::Resume).await?;
        store
            .record(restore, RunEvent::Finish { left_out: true })
            .await?;
    }
    let mut recorded = json!(settings);
    recorded["undoes"] = json!(found.restore.run);
    let new = NewRun {
        kind: "undo".into(),
        bundle: found.bundle.clone(),
        settings: recorded,
        ..new
    };
    store.begin(&new).await?;
    Ok(new.run)
}

pub(super) struct Worker<'a> {
    pub(super) conninfo: &'a Conninfo,
    pub(super) session: Session,
    pub(super) scope: Scope,
    pub(super) triggers: DeleteTriggers,
    pub(super) unlinking: Unlinking,
    /// Circles whose units have not had their turn.
    pub(super) filled: Filled,
    pub(super) objects: Option<Columns>,
    pub(super) settings: &'a Undoing,
    pub(super) limit: Duration,
    pub(super) run: RunId,
    pub(super) found: Found,
    /// Units dealt with before this process began.
    done: HashSet<UnitId>,
    pub(super) last_batch: i64,
    pub(super) interrupt: &'a Interrupt,
    pub(super) sink: Sink<'a>,
    pub(super) piece_rows: usize,
    pub(super) deferred: Deferred,
    pub(super) reconnects: u32,
}

/// How it ended: its state, rows, references and large objects.
type Ended = (RunState, UndoTally, UnlinkTotals, ObjectTotals);

impl Worker<'_> {
    /// The bundle that was restored.
    pub(super) fn bundle_id(&self) -> &str {
        &self.found.bundle
    }

    /// The restore that is taken back.
    pub(super) fn restore_id(&self) -> &str {
        &self.found.restore.run.0
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        patience(self.settings.max_unit_time.max(self.limit))
    }

    async fn until_done(&mut self) -> Result<Ended, UndoError> {
        self.session.give_up_after(Some(self.patience()));
        let stopped = self.unlink().await? || self.all().await? || self.remove_objects().await?;
        let mut tally = so_far(&self.session, &self.scope, &self.found, Some(&self.run)).await?;
        for table in &self.scope.tables {
            tally.of(&table.name);
        }
        let unlinks = Relinks::new(&self.session).totals_undone(&self.run).await?;
        let remain = ["kept", "kept_changed"]
            .iter()
            .any(|s| unlinks.contains_key(*s));
        let objects = CreatedObjects::new(&self.session);
        let objects = objects.totals_undone(&self.run).await?;
        let objects_remain = objects.keys().any(|state| state.starts_with("kept"));
        let event = match stopped {
            true => RunEvent::Interrupt,
            false => RunEvent::Finish {
                left_out: remain || tally.total().kept() > 0 || objects_remain,
            },
        };
        let state = Store::new(&self.session).record(&self.run, event).await?;
        Ok((state, tally, unlinks, objects))
    }

    /// Works off every batch, the last one first; true when it stopped before the end.
    async fn all(&mut self) -> Result<bool, UndoError> {
        let mut before = i64::MAX;
        while let Some(batch) = self.batch_before(before).await? {
            before = batch.batch;
            if self.open_circles(&batch).await? {
                return Ok(true);
            }
            let Some(whole) = self.piece(batch).await? else {
                continue;
            };
            for piece in whole.cut(self.piece_rows) {
                if self.interrupt.asked() {
                    return Ok(true);
                }
                self.try_deferred().await?;
                self.work_off(piece).await?;
            }
        }
        self.wait_for_deferred().await
    }

    /// Until nothing waits any more; true when it was stopped before.
    pub(super) async fn wait_for_deferred(&mut self) -> Result<bool, UndoError> {
        while !self.deferred.is_empty() {
            if self.interrupt.asked() {
                return Ok(true);
            }
            self.deferred.pause().await;
            self.try_deferred().await?;
        }
        Ok(false)
    }

    async fn batch_before(&mut self, before: i64) -> Result<Option<RestoredBatch>, UndoError> {
        loop {
            let (restore, previous) = (&self.found.restore.run, self.found.ended.last());
            let asked = Undos::new(&self.session)
                .batch_before(restore, before, previous)
                .await;
            match asked {
                Ok(batch) => return Ok(batch),
                Err(journal::JournalError::Pg(error)) => self.reconnect(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn piece(
        &mut self,
        batch: RestoredBatch,
    ) -> Result<Option<super::piece::Piece>, UndoError> {
        loop {
            let piece: Result<_, PgError> =
                of_batch(&self.session, &self.scope, batch.clone(), &self.done).await;
            match piece {
                Ok(piece) => return Ok(piece),
                Err(error) => self.reconnect(error).await?,
            }
        }
    }
}

/// What an undo has done so far, and what earlier ones of the same restore did: their rows are gone already.
pub(super) async fn so_far(
    session: &Session,
    scope: &Scope,
    found: &Found,
    undo: Option<&RunId>,
) -> Result<UndoTally, UndoError> {
    let undos = Undos::new(session);
    let mut tally = UndoTally::default();
    let mut add = |table: &str, of: &dyn Fn(&mut super::UndoStates)| {
        if let Some(place) = scope.place(table) {
            of(tally.of(&scope.tables[place].name));
        }
    };
    for earlier in &found.ended {
        for (table, rows) in undos.totals(earlier).await? {
            add(&table, &|states| states.already_gone += rows.removed);
        }
    }
    if let Some(undo) = undo {
        for (table, rows) in undos.totals(undo).await? {
            add(&table, &|states| states.add(&rows));
        }
    }
    Ok(tally)
}
