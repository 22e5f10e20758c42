//! Works off a bundle: batches forward, halves where the server refuses, and every unit ends restored, left out, or
//! pending because the run was stopped.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bundle::{Bundle, BundleRows};
use crate::event::{Event, Sink};
use crate::ident::{RunId, UnitId};
use crate::journal::{self, NewRun, QuarantinedUnit, RunEvent, RunLock, RunState, Store};
use crate::pg::{Access, Conninfo, PgError, Session};

use super::insert::{Attempt, Inserter};
use super::prepare::{Prepared, prepare};
use super::{Batch, RestoreError, Settings, Tally, Targets};

/// Rows of the first batch; the number then follows the time that batches take.
const FIRST_BATCH: usize = 500;
/// Bounds of a batch, in rows.
const BATCH_ROWS: (usize, usize) = (20, 5_000);
/// How often a unit whose rows somebody else holds is tried again before it is left out.
const LOCK_ATTEMPTS: u32 = 40;
/// How often a connection is opened anew without a batch committed in between.
const CONNECTIONS: u32 = 5;

/// Asks a run to stop after the batch at hand.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> bool {
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
    let unfinished = prepare(&session, bundle)
        .await?
        .last
        .is_some_and(|r| r.state.unfinished());
    journal::ensure(&session).await?;
    RunLock::take(&session, unfinished).await?;
    // What the last run did is only certain once nobody else can be at work.
    let prepared = prepare(&session, bundle).await?;
    let run = begin(&session, &prepared, new).await?;
    let rows = bundle.manifest.totals.rows;
    sink(Event::RunStarted {
        run: run.to_string(),
        rows,
    });
    let limit = time_limit(&session).await?;
    let mut work = Worker {
        conninfo,
        session,
        bundle,
        settings,
        limit,
        prepared,
        run: run.clone(),
        interrupt,
        sink,
        out: HashSet::new(),
        quarantined: Vec::new(),
        batch_rows: FIRST_BATCH,
        deferred: VecDeque::new(),
        units_done: 0,
        reconnects: 0,
    };
    let ended = work.all().await;
    let partly = |cause: String| RestoreError::Partly {
        run: run.to_string(),
        cause,
    };
    let stopped = ended.map_err(|e| partly(e.to_string()))?;
    let state = work
        .finish(stopped)
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
    Ok(Execution {
        run,
        state,
        tally,
        quarantined: work.quarantined,
    })
}

async fn begin(session: &Session, prepared: &Prepared, new: NewRun) -> Result<RunId, RestoreError> {
    let store = Store::new(session);
    if let Some(last) = prepared.last.as_ref().filter(|r| r.state.unfinished()) {
        store.record(&last.run, RunEvent::Resume).await?;
        store.clear_quarantine(&last.run).await?;
        return Ok(last.run.clone());
    }
    store.begin(&new).await?;
    Ok(new.run)
}

/// A transaction of ours must end before the server would look for a deadlock, in which the application could lose.
async fn time_limit(session: &Session) -> Result<Duration, PgError> {
    let sql = "select setting::int8 from pg_settings where name = 'deadlock_timeout'";
    let milliseconds: i64 = session
        .query_one("reading deadlock_timeout", sql, &[])
        .await?
        .get(0);
    let half = u64::try_from(milliseconds / 2).unwrap_or(500).max(1);
    Ok(Duration::from_millis(half.min(500)))
}

/// Why work ended before the last unit.
type Stopped = bool;

struct Worker<'a> {
    conninfo: &'a Conninfo,
    session: Session,
    bundle: &'a Bundle,
    settings: &'a Settings,
    limit: Duration,
    prepared: Prepared,
    run: RunId,
    interrupt: &'a Interrupt,
    sink: Sink<'a>,
    /// Units left out, here or because they depend on one.
    out: HashSet<UnitId>,
    quarantined: Vec<QuarantinedUnit>,
    batch_rows: usize,
    /// Units whose rows somebody else holds, and how often they were tried.
    deferred: VecDeque<(Batch, u32)>,
    units_done: u64,
    reconnects: u32,
}

impl Worker<'_> {
    /// Works off every unit; true when it stopped before the end.
    async fn all(&mut self) -> Result<Stopped, RestoreError> {
        self.inserter().stage().await?;
        let mut rows = self.bundle.read()?;
        loop {
            if self.stop() {
                return Ok(true);
            }
            let Some(batch) = self.next_batch(&mut rows)? else {
                break;
            };
            self.units_done += batch.units.len() as u64;
            self.work_off(batch).await?;
        }
        while let Some((batch, attempts)) = self.deferred.pop_front() {
            if self.stop() {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.attempt_alone(batch, attempts).await?;
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

    fn inserter(&self) -> Inserter<'_> {
        Inserter {
            session: &self.session,
            targets: &self.prepared.targets,
            run: &self.run,
        }
    }

    /// The next units that nobody has restored yet, about as many rows as a batch takes.
    fn next_batch(&mut self, rows: &mut BundleRows) -> Result<Option<Batch>, RestoreError> {
        let mut units = Vec::new();
        let mut size = 0;
        let room = self
            .settings
            .max_units
            .map_or(u64::MAX, |max| max - self.units_done);
        while size < self.batch_rows && (units.len() as u64) < room {
            let Some(unit) = rows.next_unit()? else { break };
            let history = &self.prepared.history;
            if history.done.contains(&unit.0.unit) || history.earlier.contains(&unit.0.unit) {
                continue;
            }
            size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
            units.push(unit);
        }
        Ok((!units.is_empty()).then(|| Batch::new(units, &self.prepared.targets)))
    }

    /// Tries a batch, then its halves, until each unit is restored, left out or deferred. In bundle order.
    async fn work_off(&mut self, batch: Batch) -> Result<(), RestoreError> {
        let mut queue = VecDeque::from([batch]);
        while let Some(batch) = queue.pop_front() {
            let batch = self.without_orphans(batch).await?;
            if batch.is_empty() {
                continue;
            }
            if batch.units.len() == 1 {
                self.attempt_alone(batch, 0).await?;
                continue;
            }
            let limit = self.limit;
            let outcome = self.attempt(&batch, limit).await?;
            match outcome {
                Outcome::Done => {}
                Outcome::InTheWay(conflicts) => {
                    let (free, stuck) =
                        batch.split(|unit| conflicts.iter().all(|c| c.unit != unit));
                    // The stuck ones look again, alone: they then find their own reason.
                    for unit in singles(stuck).into_iter().rev() {
                        queue.push_front(unit);
                    }
                    queue.push_front(free);
                }
                Outcome::Refused(error) => {
                    let (first, second) = batch.halve();
                    (self.sink)(Event::BatchRetried {
                        reason: error.to_string(),
                        units: first.units.len() as u64,
                    });
                    queue.push_front(second);
                    queue.push_front(first);
                }
                Outcome::TooSlow => {
                    self.batch_rows = (self.batch_rows / 2).max(BATCH_ROWS.0);
                    let (first, second) = batch.halve();
                    (self.sink)(Event::BatchRetried {
                        reason: format!("it took longer than {limit:?}"),
                        units: first.units.len() as u64,
                    });
                    queue.push_front(second);
                    queue.push_front(first);
                }
            }
        }
        Ok(())
    }

    /// One unit: restored, left out with its reason, or deferred while somebody else holds its rows.
    async fn attempt_alone(&mut self, batch: Batch, attempts: u32) -> Result<(), RestoreError> {
        let batch = self.without_orphans(batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        let waiting = |deferred: &VecDeque<(Batch, u32)>| {
            let units: HashSet<UnitId> = deferred.iter().flat_map(|(b, _)| b.numbers()).collect();
            batch
                .units
                .iter()
                .any(|u| u.depends_on.iter().any(|d| units.contains(d)))
        };
        if waiting(&self.deferred) {
            self.deferred.push_back((batch, attempts));
            return Ok(());
        }
        let limit = self.settings.max_unit_time.max(self.limit);
        match self.attempt(&batch, limit).await? {
            Outcome::Done => Ok(()),
            Outcome::InTheWay(conflicts) => match conflicts.first() {
                Some(first) => {
                    self.leave_out(&batch, &first.reason, Some(first.sqlstate))
                        .await
                }
                None => Ok(()),
            },
            Outcome::Refused(error) if error.is_transient() && attempts < LOCK_ATTEMPTS => {
                self.deferred.push_back((batch, attempts + 1));
                Ok(())
            }
            Outcome::Refused(error) => {
                let reason = refusal(&error);
                self.leave_out(&batch, &reason, error.sqlstate()).await
            }
            Outcome::TooSlow => {
                let reason =
                    format!("it took longer than {limit:?}; --max-unit-time allows it more");
                self.leave_out(&batch, &reason, None).await
            }
        }
    }

    /// Takes out the units that depend on one that is left out, and the units that depend on a deferred one.
    async fn without_orphans(&mut self, batch: Batch) -> Result<Batch, RestoreError> {
        let mut orphans: BTreeMap<usize, UnitId> = BTreeMap::new();
        for (position, unit) in batch.units.iter().enumerate() {
            let depends = unit.depends_on.iter().find(|d| {
                self.out.contains(d)
                    || batch
                        .units
                        .iter()
                        .zip(0..)
                        .any(|(u, p)| u.unit == **d && orphans.contains_key(&p))
            });
            if let Some(other) = depends {
                orphans.insert(position, *other);
            }
        }
        let (rest, orphaned) = batch.split(|p| !orphans.contains_key(&p));
        for (single, other) in singles(orphaned).into_iter().zip(orphans.into_values()) {
            let reason = format!("depends on unit {other}, which is left out");
            self.leave_out(&single, &reason, None).await?;
        }
        // A batch with a unit that waits for a deferred one is taken apart, so that the rest can go on.
        let deferred: HashSet<UnitId> = self
            .deferred
            .iter()
            .flat_map(|(b, _)| b.numbers())
            .collect();
        if deferred.is_empty() || rest.units.len() < 2 {
            return Ok(rest);
        }
        let (rest, waiting) = {
            let waits: Vec<bool> = rest
                .units
                .iter()
                .map(|u| u.depends_on.iter().any(|d| deferred.contains(d)))
                .collect();
            rest.split(|p| !waits[p])
        };
        self.deferred
            .extend(singles(waiting).into_iter().map(|b| (b, 0)));
        Ok(rest)
    }

    /// One attempt, over a new connection where the old one is lost.
    async fn attempt(&mut self, batch: &Batch, limit: Duration) -> Result<Outcome, RestoreError> {
        loop {
            let number = self.prepared.history.last_batch + 1;
            let started = Instant::now();
            let attempt = self.inserter().attempt(number, batch, limit).await;
            match attempt {
                Ok(Attempt::Committed) => {
                    self.committed(number, batch, started.elapsed());
                    return Ok(Outcome::Done);
                }
                Ok(Attempt::InTheWay(conflicts)) => return Ok(Outcome::InTheWay(conflicts)),
                Ok(Attempt::TooSlow) => return Ok(Outcome::TooSlow),
                Ok(Attempt::DoneBefore) => {
                    // Our own attempt had committed before its connection was lost; nobody else holds the run lock.
                    self.committed(number, batch, started.elapsed());
                    return Ok(Outcome::Done);
                }
                Err(error) if self.session.is_closed() || matches!(error, PgError::Lost { .. }) => {
                    self.reconnect(error).await?;
                }
                Err(error) if error.sqlstate() == Some("57014") => return Ok(Outcome::TooSlow),
                Err(error) => return Ok(Outcome::Refused(error)),
            }
        }
    }

    fn committed(&mut self, number: i64, batch: &Batch, took: Duration) {
        self.prepared.history.last_batch = number;
        self.prepared.history.done.extend(batch.numbers());
        self.reconnects = 0;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        (self.sink)(Event::BatchCommitted {
            batch: number,
            units: batch.units.len() as u64,
            rows: batch.len() as u64,
            milliseconds,
        });
        // Half way towards the number that would have taken the time wanted, so that one slow batch decides nothing.
        let wanted = self.settings.target_batch.as_secs_f64() / took.as_secs_f64().max(0.001);
        let ideal = (batch.len() as f64 * wanted) as usize;
        self.batch_rows = usize::midpoint(self.batch_rows, ideal).clamp(BATCH_ROWS.0, BATCH_ROWS.1);
    }

    async fn reconnect(&mut self, error: PgError) -> Result<(), RestoreError> {
        self.reconnects += 1;
        if self.reconnects > CONNECTIONS {
            return Err(error.into());
        }
        (self.sink)(Event::BatchRetried {
            reason: error.to_string(),
            units: 0,
        });
        tokio::time::sleep(Duration::from_millis(200 << self.reconnects)).await;
        let opened = Session::open(self.conninfo, Access::Writing, "restore").await;
        let session = match opened {
            Ok(session) => session,
            // The next attempt finds the session still closed and comes here again.
            Err(_) if self.reconnects < CONNECTIONS => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // The lock ends with the old session: waiting for it is waiting for the old transaction's end.
        RunLock::take(&session, true).await?;
        self.session = session;
        self.inserter().stage().await?;
        Ok(())
    }

    async fn leave_out(
        &mut self,
        batch: &Batch,
        reason: &str,
        sqlstate: Option<&str>,
    ) -> Result<(), RestoreError> {
        for (position, unit) in batch.units.iter().enumerate() {
            let targets = &self.prepared.targets;
            let root = &targets.tables[unit.root.table].name;
            let left = QuarantinedUnit {
                unit: unit.unit,
                root_table: root.to_string(),
                root_key: unit.root.key.clone(),
                reason: reason.to_owned(),
                sqlstate: sqlstate.map(str::to_owned),
                rows: rows_by_table(batch, position, targets),
            };
            Store::new(&self.session)
                .quarantine(&self.run, &left)
                .await?;
            (self.sink)(Event::UnitQuarantined {
                unit: unit.unit,
                root: format!("{root} {}", unit.root.key),
                reason: reason.to_owned(),
                sqlstate: sqlstate.map(str::to_owned),
            });
            self.out.insert(unit.unit);
            self.quarantined.push(left);
        }
        Ok(())
    }

    async fn finish(&self, stopped: Stopped) -> Result<RunState, RestoreError> {
        let left = stopped && !self.everything_seen()?;
        let event = if left {
            RunEvent::Interrupt
        } else {
            RunEvent::Finish {
                left_out: !self.quarantined.is_empty(),
            }
        };
        Ok(Store::new(&self.session).record(&self.run, event).await?)
    }

    /// Whether nothing is left although we stopped: the limit was reached with the last unit.
    fn everything_seen(&self) -> Result<bool, RestoreError> {
        let history = &self.prepared.history;
        let known = |u: UnitId| {
            history.done.contains(&u) || history.earlier.contains(&u) || self.out.contains(&u)
        };
        for unit in self.bundle.units()? {
            if !known(unit?.unit) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every row of the bundle, by state, from the journal and a last look at what earlier runs brought back.
    async fn tally(&self, stopped: Stopped) -> Result<Tally, RestoreError> {
        let store = Store::new(&self.session);
        let mut tally = Tally::default();
        let targets = &self.prepared.targets;
        let by_name: BTreeMap<String, usize> = targets
            .tables
            .iter()
            .enumerate()
            .map(|(i, t)| (t.name.to_string(), i))
            .collect();
        for table in store.totals(&self.run).await? {
            let Some(i) = by_name.get(&table.table) else {
                continue;
            };
            let states = tally.of(&targets.tables[*i].name);
            states.inserted += table.inserted;
            states.already_present += table.already_present;
            states.gone_since += table.gone_since;
        }
        for (name, rows) in store.quarantined_rows(&self.run).await? {
            if let Some(i) = by_name.get(&name) {
                tally.of(&targets.tables[*i].name).quarantined += rows;
            }
        }
        self.earlier(&mut tally).await?;
        for target in &targets.tables {
            let states = tally.of(&target.name);
            let known = states.sum();
            if stopped {
                states.pending = target.rows.saturating_sub(known);
            }
        }
        Ok(tally)
    }

    /// What earlier runs brought back is there, or somebody has deleted it since.
    async fn earlier(&self, tally: &mut Tally) -> Result<(), RestoreError> {
        let earlier = &self.prepared.history.earlier;
        if earlier.is_empty() {
            return Ok(());
        }
        let mut rows = self.bundle.read()?;
        loop {
            let (mut units, mut size) = (Vec::new(), 0);
            while size < 2_000 {
                let Some(unit) = rows.next_unit()? else { break };
                if earlier.contains(&unit.0.unit)
                    && !self.prepared.history.done.contains(&unit.0.unit)
                {
                    size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
                    units.push(unit);
                }
            }
            if units.is_empty() {
                return Ok(());
            }
            let targets = &self.prepared.targets;
            let batch = Batch::new(units, targets);
            let looked = super::look::look(&self.session, targets, &batch, false).await?;
            for (table, presence) in targets.tables.iter().zip(&looked.presence) {
                let gone = presence
                    .iter()
                    .filter(|p| **p == super::Presence::Absent && table.keyed())
                    .count() as u64;
                let states = tally.of(&table.name);
                states.gone_since += gone;
                states.already_present += presence.len() as u64 - gone;
            }
        }
    }
}

/// How an attempt ended, over however many connections.
enum Outcome {
    Done,
    InTheWay(Vec<super::Conflict>),
    Refused(PgError),
    TooSlow,
}

/// One batch a unit.
fn singles(mut batch: Batch) -> Vec<Batch> {
    let mut all = Vec::with_capacity(batch.units.len());
    while batch.units.len() > 1 {
        let (first, rest) = batch.split(|p| p == 0);
        all.push(first);
        batch = rest;
    }
    if !batch.is_empty() {
        all.push(batch);
    }
    all
}

fn rows_by_table(batch: &Batch, position: usize, targets: &Targets) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for (table, of_table) in targets.tables.iter().zip(&batch.rows) {
        let n = of_table.iter().filter(|r| r.unit == position).count() as u64;
        if n > 0 {
            rows.insert(table.name.to_string(), n);
        }
    }
    rows
}

/// The server's own words, without its detail line, which can hold row values.
fn refusal(error: &PgError) -> String {
    match error {
        PgError::Server(e) => match &e.constraint {
            Some(constraint) => format!("{} (constraint {constraint})", e.message),
            None => e.message.clone(),
        },
        other => other.to_string(),
    }
}
