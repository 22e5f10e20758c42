//! A run from its first look to its last count: what is to be refused is refused before the journal knows of it, then
//! batch after batch until every unit is restored, left out, or pending because the run was stopped.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::event::{Event, Sink};
use crate::ident::{RunId, TableName, UnitId};
use crate::journal::{self, NewRun, QuarantinedUnit, RunEvent, RunLock, RunState, Store};
use crate::pg::{Access, Conninfo, PgError, Session};

use super::excluded::{Excluded, dropped};
use super::insert::Inserter;
use super::prepare::{Prepared, prepare};
use super::relinks::Links;
use super::retry::patience;
use super::split::{Splitting, Unfilled};
use super::suppressed::Guards;
use super::triggers::{Treated, Treatment};
use super::waiting::{Turn, Waiting};
use super::{
    Met, OnConflict, RelinkOutcome, Relinking, Replacements, RestoreError, SequenceMove, Settings,
    Tally, checks, sequences,
};

/// Rows of the first batch; the number then follows the time that batches take.
const FIRST_BATCH: usize = 500;

/// Asks a run to stop after the batch at hand.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a run did.
#[derive(Debug)]
pub struct Execution {
    /// Its id.
    pub run: RunId,
    /// How it ended.
    pub state: RunState,
    /// Rows by state and table.
    pub tally: Tally,
    /// Units left out.
    pub quarantined: Vec<QuarantinedUnit>,
    /// The triggers of the tables written to, as they were treated.
    pub triggers: Vec<Treated>,
    /// Rows that triggers changed as they came in, by table.
    pub changed: BTreeMap<TableName, u64>,
    /// Sequences that were moved forward, and those that should have been.
    pub sequences: Vec<SequenceMove>,
    /// Conflicts met, and what became of them.
    pub met: Vec<Met>,
    /// References that the deletion set to NULL, and what became of them.
    pub relinks: RelinkOutcome,
    /// Large objects that the run created, and their bytes; none where the bundle has none.
    pub large_objects: Option<(u64, u64)>,
    /// References within units in parts that are still NULL, though all parts are there.
    pub unfilled: Vec<Unfilled>,
}

/// Carries a restore out, or goes on with one that was stopped.
///
/// `new` describes the run if it is a new one; a bundle whose last run is unfinished goes on under that run's id.
/// Errors before anything is written are as [`RestoreError`] says; later ones are [`RestoreError::Partly`].
pub async fn execute(
    conninfo: &Conninfo,
    bundle: &Bundle,
    settings: &Settings,
    new: NewRun,
    interrupt: &Interrupt,
    sink: Sink<'_>,
) -> Result<Execution, RestoreError> {
    let session = Session::open(conninfo, Access::Writing, "restore").await?;
    // Everything that can be refused is refused before the journal is created.
    let mut prepared = prepare(&session, bundle, &settings.fills).await?;
    let links = Links::find(&session, bundle, &prepared.live, settings).await?;
    let treatment = Treatment::of(&prepared.targets, settings, &links.trigger_names())?;
    checks::obstacles(&prepared.targets, &treatment, &links, settings.relinks)?;
    let relinks = settings.relinks != Relinking::None;
    treatment
        .allowed(&session, relinks && links.suppresses())
        .await?;
    let guards = Guards::find(&session, &prepared.targets, &treatment).await?;
    let dropped = dropped(&session, bundle, &settings.exclusions).await?;
    if !dropped.is_empty() {
        return Err(RestoreError::Dropped(dropped));
    }
    let (targets, live) = (&prepared.targets, &prepared.live);
    let excluded = Excluded::ask(&session, bundle, targets, live, settings.rules()).await?;
    prepared.choose(&session, bundle, settings).await?;
    let unfinished = prepared.last.as_ref().is_some_and(|r| r.state.unfinished());
    match settings.on_conflict {
        OnConflict::Quarantine => journal::ensure(&session).await?,
        OnConflict::Remap | OnConflict::Skip => journal::ensure_resolved(&session).await?,
    }
    RunLock::take(&session, unfinished).await?;
    // What the last run did is only certain once nobody else can be at work.
    prepared.read_journal(&session, bundle).await?;
    prepared.choose(&session, bundle, settings).await?;
    let replacements = prepared.replacements(&session, bundle, settings).await?;
    let limit = time_limit(&session).await?;
    let (numbering, moves) = sequences::reckon(&session, bundle, &prepared, &excluded).await?;
    if moves.iter().any(|m| m.to.is_some()) {
        journal::ensure_sequences(&session).await?;
    }
    if relinks && links.any() {
        journal::ensure_relinks(&session).await?;
    }
    let splitting = Splitting::of(bundle, &prepared.targets, &prepared.live, settings);
    if prepared.targets.objects.is_some() {
        journal::ensure_large_objects(&session).await?;
    }
    let known = (&prepared.targets, &prepared.history);
    splitting.rights(&session, bundle, known).await?;
    if splitting.splits_any(bundle)? {
        journal::ensure_parts(&session).await?;
    }
    let run = begin(&session, &prepared, new).await?;
    let rows = bundle.manifest.totals.rows;
    sink(Event::RunStarted {
        run: run.to_string(),
        rows,
    });
    let partly = |cause: String| RestoreError::Partly {
        run: run.to_string(),
        cause,
    };
    // Before the first row: what comes back can be met by the next number drawn as soon as it is there.
    let moved = sequences::advance(&session, &run, &numbering, moves, sink)
        .await
        .map_err(|e| partly(e.to_string()))?;
    let mut work = Worker {
        asked: excluded.clone(),
        excluded,
        replacements,
        met: Vec::new(),
        last_read: 0,
        conninfo,
        session,
        bundle,
        settings,
        limit,
        prepared,
        treatment,
        guards,
        splitting,
        changed: BTreeMap::new(),
        run: run.clone(),
        interrupt,
        sink,
        out: HashSet::new(),
        quarantined: Vec::new(),
        batch_rows: FIRST_BATCH,
        waiting: Waiting::default(),
        barred: None,
        units_done: 0,
        reconnects: 0,
    };
    let ended = work.all().await;
    let stopped = ended.map_err(|e| partly(e.to_string()))?;
    let relinked = work.relink(&links).await;
    let (relinks, cut_short) = relinked.map_err(|e| partly(e.to_string()))?;
    let state = work
        .finish(stopped, cut_short, relinks.unfinished())
        .await
        .map_err(|e| partly(e.to_string()))?;
    sink(Event::RunFinished {
        run: run.to_string(),
        state: state.to_string(),
    });
    let tally = work
        .tally(stopped)
        .await
        .map_err(|e| partly(e.to_string()))?;
    let large_objects = work.created_objects().await;
    let large_objects = large_objects.map_err(|e| partly(e.to_string()))?;
    Ok(Execution {
        large_objects,
        unfilled: Unfilled::of(&work.prepared.history),
        run,
        state,
        tally,
        quarantined: work.quarantined,
        triggers: work.treatment.tables,
        changed: work.changed,
        sequences: moved,
        met: work.met,
        relinks,
    })
}

async fn begin(session: &Session, prepared: &Prepared, new: NewRun) -> Result<RunId, RestoreError> {
    let store = Store::new(session);
    if let Some(last) = prepared.last.as_ref().filter(|r| r.state.unfinished()) {
        store.record(&last.run, RunEvent::Resume).await?;
        store.clear_quarantine(&last.run).await?;
        store.restate(&last.run, &restated(&new.settings)).await?;
        return Ok(last.run.clone());
    }
    store.begin(&new).await?;
    Ok(new.run)
}

/// The settings with which a run can go on that are other than those it began with.
fn restated(settings: &Value) -> Value {
    let names = [
        "exclusions",
        "renames",
        "fills",
        "triggers",
        "accepted_triggers",
        "on_conflict",
        "only_quarantined",
        "relinks",
    ];
    let named = |name: &&str| Some(((*name).to_owned(), settings.get(*name)?.clone()));
    Value::Object(names.iter().filter_map(named).collect())
}

/// A transaction of ours must end before the server would look for a deadlock, in which the application could lose.
pub(super) async fn time_limit(session: &Session) -> Result<Duration, PgError> {
    let sql = "select setting::int8 from pg_settings where name = 'deadlock_timeout'";
    let milliseconds: i64 = session
        .query_one("reading deadlock_timeout", sql, &[])
        .await?
        .get(0);
    let half = u64::try_from(milliseconds / 2).unwrap_or(500).max(1);
    Ok(Duration::from_millis(half.min(500)))
}

/// Work ended before the last unit.
pub(super) type Stopped = bool;

pub(super) struct Worker<'a> {
    /// What must not come back, as it was asked, and as the units read so far add to it.
    pub(super) asked: Excluded,
    pub(super) excluded: Excluded,
    /// Rows that did not go in as they are.
    pub(super) replacements: Replacements,
    /// Conflicts met.
    pub(super) met: Vec<Met>,
    /// The last unit read, whatever became of it.
    pub(super) last_read: UnitId,
    pub(super) conninfo: &'a Conninfo,
    pub(super) session: Session,
    pub(super) bundle: &'a Bundle,
    pub(super) settings: &'a Settings,
    pub(super) limit: Duration,
    pub(super) prepared: Prepared,
    pub(super) treatment: Treatment,
    guards: Guards,
    pub(super) splitting: Splitting,
    /// Rows that triggers changed as they came in.
    pub(super) changed: BTreeMap<TableName, u64>,
    pub(super) run: RunId,
    pub(super) interrupt: &'a Interrupt,
    pub(super) sink: Sink<'a>,
    /// Units left out, here or because they depend on one.
    pub(super) out: HashSet<UnitId>,
    pub(super) quarantined: Vec<QuarantinedUnit>,
    pub(super) batch_rows: usize,
    /// Units whose rows somebody else holds, and those that depend on them.
    pub(super) waiting: Waiting,
    /// Since when a table is locked, and when it is tried again.
    pub(super) barred: Option<Turn>,
    pub(super) units_done: u64,
    pub(super) reconnects: u32,
}

impl Worker<'_> {
    /// Works off every unit; true when it stopped before the end.
    async fn all(&mut self) -> Result<Stopped, RestoreError> {
        let longest = self.settings.max_unit_time.max(self.limit);
        self.session.give_up_after(Some(patience(longest)));
        self.inserter().stage().await?;
        let mut rows = self.bundle.read()?;
        loop {
            if self.stop() {
                return Ok(true);
            }
            self.try_waiting().await?;
            let next = self.next(&mut rows)?;
            self.units_done += next.units;
            if let Some(batch) = next.batch {
                self.work_off(batch).await?;
            }
            if let Some(unit) = next.unfilled {
                self.fill_unit(unit).await?;
            }
            if let Some(unit) = next.large
                && self.split(unit).await?
            {
                return Ok(true);
            }
            if next.end {
                break;
            }
        }
        while !self.waiting.is_empty() {
            if self.interrupt.asked() {
                return Ok(true);
            }
            self.waiting.pause().await;
            self.try_waiting().await?;
        }
        Ok(false)
    }

    fn stop(&self) -> bool {
        self.interrupt.asked()
            || self
                .settings
                .max_units
                .is_some_and(|max| self.units_done >= max)
    }

    pub(super) fn inserter(&self) -> Inserter<'_> {
        self.inserter_on(&self.session)
    }

    pub(super) fn inserter_on<'s>(&'s self, session: &'s Session) -> Inserter<'s> {
        Inserter {
            session,
            targets: &self.prepared.targets,
            run: &self.run,
            treatment: &self.treatment,
            guards: &self.guards,
            splitting: &self.splitting,
            replacements: &self.replacements,
            usual: self.limit,
        }
    }
}
