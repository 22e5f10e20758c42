//! One attempt at a batch, over as many connections as it takes.

use std::time::{Duration, Instant};

use crate::event::Event;
use crate::ident::{TableName, unit_of};
use crate::journal::{JournalError, ResolvedRow, ResolvedRows, RunLock};
use crate::pg::{Access, Conninfo, PgError, Session};

use super::insert::Attempt;
use super::run::Worker;
use super::waiting::Turn;
use super::{Batch, Conflict, RestoreError};

/// Bounds of a batch, in rows.
pub(super) const BATCH_ROWS: (usize, usize) = (20, 5_000);
/// How often a connection is opened anew without a batch committed in between.
const CONNECTIONS: u32 = 5;

/// How an attempt ended, over however many connections.
pub(super) enum Outcome {
    Done,
    InTheWay(Vec<Conflict>),
    Refused(PgError),
    TooSlow,
}

impl Worker<'_> {
    /// One attempt, over a new connection where the old one is lost.
    pub(super) async fn attempt(
        &mut self,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Outcome, RestoreError> {
        loop {
            let number = self.prepared.history.last_batch + 1;
            let started = Instant::now();
            let attempt = self.inserter().attempt(number, batch, limit).await;
            match attempt {
                Ok(Attempt::Committed(done)) => {
                    self.note_changed(number, done.changed);
                    self.replacements.keep(done.decided);
                    self.met.extend(done.met);
                    self.committed(number, batch, started.elapsed());
                    return Ok(Outcome::Done);
                }
                Ok(Attempt::InTheWay(conflicts)) => return Ok(Outcome::InTheWay(conflicts)),
                Ok(Attempt::TooSlow) => return Ok(Outcome::TooSlow),
                Ok(Attempt::Damaged(error)) => return Err(error.into()),
                Ok(Attempt::DoneBefore) => {
                    // Our own attempt had committed before its connection was lost; nobody else holds the run lock.
                    self.recall(number, batch).await?;
                    self.committed(number, batch, started.elapsed());
                    return Ok(Outcome::Done);
                }
                Err(error) if self.lost(&error) => self.reconnect(error).await?,
                // No unit is at fault: the run stops, and goes on when it is called again.
                Err(error) if error.is_general() => return Err(error.into()),
                Err(error) => {
                    let barred = self.session.was_given_up() && error.is_transient();
                    self.renew().await?;
                    if barred && self.wait_at_the_gate(batch, &error).await {
                        continue;
                    }
                    return Ok(match error.sqlstate() {
                        Some("57014") => Outcome::TooSlow,
                        _ => Outcome::Refused(error),
                    });
                }
            }
        }
    }

    /// Triggers changed rows as they came in: that is what they were allowed to do, and a person is told.
    fn note_changed(&mut self, batch: i64, changed: Vec<(TableName, u64)>) {
        for (table, rows) in changed {
            (self.sink)(Event::RowsChanged {
                batch,
                table: table.clone(),
                rows,
            });
            *self.changed.entry(table).or_default() += rows;
        }
    }

    /// Pauses where a whole table is locked: no part of the batch could go in. False when patience has ended, until a batch
    /// commits again: then the batch is taken apart, for units that have no row in that table can go on.
    async fn wait_at_the_gate(&mut self, batch: &Batch, error: &PgError) -> bool {
        let turn = self.barred.unwrap_or_else(Turn::first);
        if turn.last() || self.interrupt.asked() {
            return false;
        }
        let next = turn.next();
        (self.sink)(Event::BatchRetried {
            reason: error.to_string(),
            units: batch.units.len() as u64,
        });
        tokio::time::sleep(next.pause_before()).await;
        self.barred = Some(next);
        true
    }

    /// Learns from the journal what a batch decided whose commit we did not see.
    async fn recall(&mut self, number: i64, batch: &Batch) -> Result<(), RestoreError> {
        let rows = ResolvedRows::new(&self.session);
        let rows = rows.all(&self.bundle.id, Some((&self.run, number))).await?;
        let whole = |row: ResolvedRow| ResolvedRow {
            unit: unit_of(row.unit),
            ..row
        };
        let rows: Vec<ResolvedRow> = rows.into_iter().map(|(_, row)| whole(row)).collect();
        let targets = &self.prepared.targets;
        self.replacements
            .learn(&self.session, targets, &rows)
            .await?;
        self.replacements
            .recall(targets, batch.clone(), &mut Vec::new());
        Ok(())
    }

    fn committed(&mut self, number: i64, batch: &Batch, took: Duration) {
        self.prepared.history.last_batch = number;
        if batch.part.is_none() {
            self.prepared.history.done.extend(batch.numbers());
        }
        self.reconnects = 0;
        self.barred = None;
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

    /// Whether the connection ended without an answer: what was asked is not known to have happened.
    pub(super) fn lost(&self, error: &PgError) -> bool {
        let closed = self.session.is_closed() && !self.session.was_given_up();
        closed || matches!(error, PgError::Lost { .. })
    }

    /// Opens a new connection where we ended the old one after a refusal; nothing was lost by that.
    pub(super) async fn renew(&mut self) -> Result<(), RestoreError> {
        if !self.session.was_given_up() {
            return Ok(());
        }
        match self.connect().await {
            Ok(session) => self.session = session,
            Err(RestoreError::Pg(error)) => self.reconnect(error).await?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Opens a new connection after the old one was lost; any other error is returned as it is.
    pub(super) async fn reconnect(&mut self, error: PgError) -> Result<(), RestoreError> {
        let ended = self.session.is_closed() || matches!(error, PgError::Lost { .. });
        self.reconnects += 1;
        if !ended || self.reconnects > CONNECTIONS {
            return Err(error.into());
        }
        (self.sink)(Event::BatchRetried {
            reason: error.to_string(),
            units: 0,
        });
        tokio::time::sleep(Duration::from_millis(200 << self.reconnects)).await;
        match self.connect().await {
            Ok(session) => self.session = session,
            // The next attempt finds the session still closed and comes here again.
            Err(RestoreError::Pg(_)) if self.reconnects < CONNECTIONS => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A session that may go on where the lost one stopped.
    async fn connect(&self) -> Result<Session, RestoreError> {
        let limit = patience(self.settings.max_unit_time.max(self.limit));
        let session = again(self.conninfo, "restore", &self.session, limit).await?;
        // The lock ends with the old session: waiting for it is waiting for the old transaction's end.
        RunLock::take(&session, true).await.map_err(|e| match e {
            JournalError::Pg(e) => RestoreError::Pg(e),
            other => other.into(),
        })?;
        self.inserter_on(&session).stage().await?;
        Ok(session)
    }
}

/// How long an answer may take where the server itself ends statements after `longest`. Half a minute on the way is no busy
/// server, but a connection that hangs.
pub(super) fn patience(longest: Duration) -> Duration {
    longest + Duration::from_secs(30)
}

/// A session in the place of one that was lost. What is left of that one is ended, if it waits for us.
pub(super) async fn again(
    conninfo: &Conninfo,
    purpose: &str,
    lost: &Session,
    limit: Duration,
) -> Result<Session, PgError> {
    let open = Session::open(conninfo, Access::Writing, purpose);
    let Ok(session) = tokio::time::timeout(limit, open).await else {
        let target = lost.target().to_string();
        return Err(PgError::silent(&target, "connecting again", limit));
    };
    let session = session?;
    session.give_up_after(Some(limit));
    session.look_up_by_key().await?;
    RunLock::release(&session, lost.backend_pid()).await?;
    Ok(session)
}
