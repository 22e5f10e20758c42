//! Attempts at a piece, over as many connections as it takes, and what is done where one does not succeed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::ident::unit_of;
use crate::journal::{RunLock, UndoneRows};
use crate::pg::PgError;
use crate::restore::retry::{again, patience};
use crate::restore::waiting::Turn;

use super::UndoError;
use super::deferred::Why;
use super::piece::Piece;
use super::remove::{Attempt, Remover};
use super::run::Worker;

/// Bounds of a piece, in rows.
const PIECE_ROWS: (usize, usize) = (20, 5_000);
/// How often a connection is opened anew without a piece committed in between.
const CONNECTIONS: u32 = 5;
/// How often a piece is tried again at once because something came to refer to its rows.
const SURPRISES: u32 = 5;

/// How an attempt ended, over however many connections.
enum Outcome {
    Done,
    HeldBack,
    TooSlow,
    /// It would come to the same again.
    Stayed(&'static str),
    Refused(PgError),
}

const MOVED: &str = "something came to refer to its rows each time that they were about to go";
const STAYED: &str = "a trigger kept a row of it from being deleted, or wrote it again";

impl Worker<'_> {
    /// Tries a piece, then its halves, until each unit is decided on or waits.
    pub(super) async fn work_off(&mut self, piece: Piece) -> Result<(), UndoError> {
        let mut queue = VecDeque::from([piece]);
        while let Some(piece) = queue.pop_front() {
            if piece.units.len() < 2 {
                if let Some(why) = self
                    .alone(&piece, Turn::first(), !self.deferred.is_empty())
                    .await?
                {
                    self.deferred.add(piece, why);
                }
                continue;
            }
            let patient = !self.deferred.is_empty();
            let reason = match self.attempt(&piece, self.limit, patient).await? {
                Outcome::Done => continue,
                Outcome::HeldBack => "a unit that refers to these waits".to_owned(),
                Outcome::Refused(error) => error.to_string(),
                Outcome::Stayed(why) => why.to_owned(),
                Outcome::TooSlow => {
                    self.piece_rows = (self.piece_rows / 2).max(PIECE_ROWS.0);
                    format!("it took longer than {:?}", self.limit)
                }
            };
            let halves = piece.halve();
            let units = halves.first().map_or(0, |h| h.units.len() as u64);
            (self.sink)(Event::BatchRetried { reason, units });
            halves
                .into_iter()
                .rev()
                .for_each(|half| queue.push_front(half));
        }
        Ok(())
    }

    /// Tries the waiting units whose turn it is. While many wait nothing else is begun, for they are held in memory.
    pub(super) async fn try_deferred(&mut self) -> Result<(), UndoError> {
        loop {
            let (mut place, mut resolved) = (0, false);
            while place < self.deferred.len() {
                if self.interrupt.asked() {
                    return Ok(());
                }
                let Some((piece, turn)) = self.deferred.due(place, resolved) else {
                    place += 1;
                    continue;
                };
                match self.alone(&piece, turn, place > 0).await? {
                    None => {
                        self.deferred.resolve(place);
                        resolved = true;
                    }
                    Some(why) => {
                        self.deferred.wait_on(place, why);
                        place += 1;
                    }
                }
            }
            if !self.deferred.crowded() {
                return Ok(());
            }
            self.deferred.pause().await;
        }
    }

    /// One unit: decided on, or what it waits for.
    async fn alone(
        &mut self,
        piece: &Piece,
        turn: Turn,
        patient: bool,
    ) -> Result<Option<Why>, UndoError> {
        let limit = self.settings.max_unit_time.max(self.limit);
        let (reason, sqlstate) = match self.attempt(piece, limit, patient).await? {
            Outcome::Done => return Ok(None),
            Outcome::HeldBack => return Ok(Some(Why::Another)),
            Outcome::Refused(error) if error.is_transient() && !turn.last() => {
                return Ok(Some(Why::Lock(turn.next())));
            }
            Outcome::Refused(error) => (error.refusal(), error.sqlstate().map(str::to_owned)),
            Outcome::Stayed(why) => (why.to_owned(), None),
            Outcome::TooSlow => (format!("it took longer than {limit:?}"), None),
        };
        // What refers to the unit may still wait: it is kept with all that it holds, which is right in either case.
        self.keep(piece).await?;
        (self.sink)(Event::UnitKept {
            unit: piece
                .units
                .first()
                .copied()
                .map(unit_of)
                .unwrap_or_default(),
            rows: piece.len() as u64,
            reason,
            sqlstate,
        });
        Ok(None)
    }

    async fn keep(&mut self, piece: &Piece) -> Result<(), UndoError> {
        loop {
            let (number, started) = (self.last_batch + 1, Instant::now());
            match self.remover().keep(number, piece).await {
                Ok(Attempt::Committed(done)) => {
                    self.committed(number, piece, &done, started.elapsed());
                    return Ok(());
                }
                Ok(_) => {
                    self.committed(number, piece, &[], started.elapsed());
                    return Ok(());
                }
                Err(error) => self.reconnect(error).await?,
            }
        }
    }

    async fn attempt(
        &mut self,
        piece: &Piece,
        limit: Duration,
        patient: bool,
    ) -> Result<Outcome, UndoError> {
        let mut surprises = 0;
        loop {
            let (number, started) = (self.last_batch + 1, Instant::now());
            match self.remover().attempt(number, piece, limit, patient).await {
                Ok(Attempt::Committed(done)) => {
                    self.committed(number, piece, &done, started.elapsed());
                    return Ok(Outcome::Done);
                }
                // Our own attempt had committed before its connection was lost; nobody else holds the run lock.
                Ok(Attempt::DoneBefore) => {
                    self.committed(number, piece, &[], started.elapsed());
                    return Ok(Outcome::Done);
                }
                Ok(Attempt::HeldBack) => return Ok(Outcome::HeldBack),
                Ok(Attempt::TooSlow) => return Ok(Outcome::TooSlow),
                Ok(Attempt::Moved) if surprises < SURPRISES => surprises += 1,
                Ok(Attempt::Moved) => return Ok(Outcome::Stayed(MOVED)),
                Ok(Attempt::Stayed) => return Ok(Outcome::Stayed(STAYED)),
                Err(error) if self.lost(&error) => self.reconnect(error).await?,
                Err(error) if error.is_general() => return Err(error.into()),
                Err(error) if error.sqlstate() == Some("57014") => return Ok(Outcome::TooSlow),
                Err(error) => return Ok(Outcome::Refused(error)),
            }
        }
    }

    fn remover(&self) -> Remover<'_> {
        Remover {
            session: &self.session,
            scope: &self.scope,
            triggers: &self.triggers,
            run: &self.run,
            usual: self.limit,
        }
    }

    fn committed(&mut self, number: i64, piece: &Piece, done: &[UndoneRows], took: Duration) {
        self.last_batch = number;
        self.reconnects = 0;
        for (table, rows) in self.scope.tables.iter().zip(done) {
            let kept = rows
                .left
                .iter()
                .filter(|(.., state)| *state != "already_gone");
            for (unit, key, state) in kept {
                (self.sink)(Event::RowKept {
                    table: table.name.clone(),
                    key: key.to_string(),
                    unit: unit_of(*unit),
                    state: (*state).to_owned(),
                });
            }
        }
        (self.sink)(Event::BatchCommitted {
            batch: number,
            units: piece.units.len() as u64,
            rows: piece.len() as u64,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        // Half way towards the number that would have taken the time wanted, so that one slow piece decides nothing.
        let wanted = self.settings.target_batch.as_secs_f64() / took.as_secs_f64().max(0.001);
        let ideal = (piece.len() as f64 * wanted) as usize;
        self.piece_rows = usize::midpoint(self.piece_rows, ideal).clamp(PIECE_ROWS.0, PIECE_ROWS.1);
    }

    /// Whether the connection ended without an answer: what was asked is not known to have happened.
    pub(super) fn lost(&self, error: &PgError) -> bool {
        self.session.is_closed() || matches!(error, PgError::Lost { .. })
    }

    /// Opens a new connection after the old one was lost; any other error is returned as it is.
    pub(super) async fn reconnect(&mut self, error: PgError) -> Result<(), UndoError> {
        self.reconnects += 1;
        if !self.lost(&error) || self.reconnects > CONNECTIONS {
            return Err(error.into());
        }
        (self.sink)(Event::BatchRetried {
            reason: error.to_string(),
            units: 0,
        });
        tokio::time::sleep(Duration::from_millis(200 << self.reconnects)).await;
        let limit = patience(self.settings.max_unit_time.max(self.limit));
        match again(self.conninfo, "undo", &self.session, limit).await {
            Ok(session) => {
                // The lock ends with the old session: waiting for it is waiting for the old transaction's end.
                RunLock::take(&session, true).await?;
                self.session = session;
            }
            // The next attempt finds the session still closed and comes here again.
            Err(_) if self.reconnects < CONNECTIONS => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
