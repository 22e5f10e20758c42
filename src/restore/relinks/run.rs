//! Works off the references of a bundle, after its units: each ends filled, left with its reason, or pending because the run was
//! stopped.

use std::collections::VecDeque;
use std::time::Duration;

use super::chunk::Chunk;
use super::decide::{Reason, Verdict, Window};
use super::fill::{Attempt, Filler};
use super::look::Looker;
use super::outcome::{AS_BEFORE, RELINKED};
use super::{Links, Parents, Past, RelinkOutcome};
use crate::bundle::RelinkRecord;
use crate::event::Event;
use crate::ident::UnitId;
use crate::journal::{Relinks, Store};
use crate::pg::PgError;
use crate::restore::RestoreError;
use crate::restore::run::Worker;
use crate::restore::waiting::Turn;

/// References that may wait while others go on.
const CROWD: usize = 1_000;

/// The references of a run, being worked off.
struct Work<'a> {
    links: &'a Links,
    parents: Parents,
    past: Past,
    window: Window,
    outcome: RelinkOutcome,
    /// What somebody else holds.
    waiting: VecDeque<(usize, RelinkRecord, Turn)>,
}

impl Worker<'_> {
    /// Fills references; true when it was stopped before the last one.
    pub(in crate::restore) async fn relink(
        &mut self,
        links: &Links,
    ) -> Result<(RelinkOutcome, bool), RestoreError> {
        let outcome = RelinkOutcome::new(self.settings.relinks);
        if !links.any() {
            return Ok((outcome, false));
        }
        let store = Store::new(&self.session);
        let history = store.history(&self.bundle.id, Some(&self.run)).await?;
        let mut pending: Vec<UnitId> = Vec::new();
        for unit in self.bundle.units()? {
            let unit = unit?.unit;
            let tried = self.prepared.chosen(unit) && unit <= self.last_read;
            if !tried && !self.out.contains(&unit) {
                pending.push(unit);
            }
        }
        let mut work = Work {
            links,
            parents: Parents::of(&history, &self.prepared.targets, pending.into_iter()),
            past: self.past().await?,
            window: Window::of(self.bundle),
            outcome,
            waiting: VecDeque::new(),
        };
        let stopped = self.work_off_links(&mut work).await?;
        let filled = Relinks::new(&self.session).filled(&self.run).await?;
        let mut outcome = work.outcome;
        for (table, n) in filled {
            let mut names = links.all.iter().map(|l| &l.head.table);
            if let Some(table) = names.find(|t| t.to_string() == table) {
                outcome.add(table, RELINKED, n);
            }
        }
        Ok((outcome, stopped))
    }

    async fn work_off_links(&mut self, work: &mut Work<'_>) -> Result<bool, RestoreError> {
        let mut chunks = work.links.chunks(self.bundle)?;
        while let Some(chunk) = chunks.next()? {
            if self.interrupt.asked() {
                work.pend(&chunk);
                while let Some(chunk) = chunks.next()? {
                    work.pend(&chunk);
                }
                work.pend_waiting();
                return Ok(true);
            }
            self.link_chunk(work, chunk, Turn::first()).await?;
            while work.waiting.len() > CROWD && !self.interrupt.asked() {
                self.link_waiting(work).await?;
            }
        }
        while !work.waiting.is_empty() {
            if self.interrupt.asked() {
                work.pend_waiting();
                return Ok(true);
            }
            self.link_waiting(work).await?;
        }
        Ok(false)
    }

    /// Tries those whose turn it is, each alone.
    async fn link_waiting(&mut self, work: &mut Work<'_>) -> Result<(), RestoreError> {
        if let Some((_, _, turn)) = work.waiting.front() {
            tokio::time::sleep(turn.pause_before().max(Duration::from_millis(5))).await;
        }
        for _ in 0..work.waiting.len() {
            let Some((link, record, turn)) = work.waiting.pop_front() else {
                break;
            };
            let chunk = Chunk {
                link,
                records: vec![record],
            };
            self.link_chunk(work, chunk, turn).await?;
        }
        Ok(())
    }

    /// A chunk: filled, halved where the server refuses, until what is refused is alone.
    async fn link_chunk(
        &mut self,
        work: &mut Work<'_>,
        chunk: Chunk,
        turn: Turn,
    ) -> Result<(), RestoreError> {
        let mut queue = VecDeque::from([chunk]);
        while let Some(mut chunk) = queue.pop_front() {
            match self.try_chunk(work, &chunk).await? {
                Tried::Decided(verdicts) => self.take(work, chunk, verdicts, turn),
                Tried::Spoiled(places) => {
                    for n in places.into_iter().rev() {
                        let record = chunk.records.remove(n);
                        let reason = "a trigger kept the reference from being filled";
                        let reason = Reason::Refused(reason.to_owned(), None);
                        self.leave(work, &record, &reason);
                    }
                    queue.push_front(chunk);
                }
                Tried::Refused(error) if chunk.records.len() > 1 => {
                    (self.sink)(Event::BatchRetried {
                        reason: error.to_string(),
                        units: 0,
                    });
                    let (first, second) = chunk.halve();
                    queue.push_front(second);
                    queue.push_front(first);
                }
                Tried::Refused(error) => {
                    let Some(record) = chunk.records.pop() else {
                        continue;
                    };
                    if error.is_transient() && !turn.last() {
                        work.waiting.push_back((chunk.link, record, turn.next()));
                        continue;
                    }
                    let sqlstate = error.sqlstate().map(str::to_owned);
                    let reason = Reason::Refused(error.refusal(), sqlstate);
                    self.leave(work, &record, &reason);
                }
            }
        }
        Ok(())
    }

    fn take(&self, work: &mut Work<'_>, chunk: Chunk, verdicts: Vec<Verdict>, turn: Turn) {
        for (record, verdict) in chunk.records.into_iter().zip(verdicts) {
            match verdict {
                // Counted in the journal.
                Verdict::Fill(_) => {}
                Verdict::AsBefore => {
                    let ours = work.past.filled(&record);
                    if ours.is_none_or(|f| f.run != self.run.0) {
                        work.outcome.add(&record.table, AS_BEFORE, 1);
                    }
                }
                Verdict::Left(Reason::Locked) if !turn.last() => {
                    work.waiting.push_back((chunk.link, record, turn.next()));
                }
                Verdict::Left(reason) => self.leave(work, &record, &reason),
            }
        }
    }

    fn leave(&self, work: &mut Work<'_>, record: &RelinkRecord, reason: &Reason) {
        if let Reason::Refused(detail, sqlstate) = reason {
            (self.sink)(Event::ReferenceRefused {
                table: record.table.clone(),
                key: record.key.to_string(),
                reason: detail.clone(),
                sqlstate: sqlstate.clone(),
            });
        }
        work.outcome.leave(record, reason);
    }

    async fn past(&mut self) -> Result<Past, RestoreError> {
        loop {
            match Past::read(&self.session, &self.bundle.id).await {
                Ok(past) => return Ok(past),
                Err(error) => self.reconnect(error).await?,
            }
        }
    }

    /// One attempt, over a new connection where the old one is lost.
    async fn try_chunk(
        &mut self,
        work: &mut Work<'_>,
        chunk: &Chunk,
    ) -> Result<Tried, RestoreError> {
        let link = &work.links.all[chunk.link];
        if let Some(verdicts) = link.barred(chunk, self.settings.relinks) {
            return Ok(Tried::Decided(verdicts));
        }
        let limit = match chunk.records.len() {
            1 => self.settings.max_unit_time.max(self.limit),
            _ => self.limit,
        };
        loop {
            let number = self.prepared.history.last_batch + 1;
            let filler = Filler {
                looker: Looker {
                    session: &self.session,
                    targets: &self.prepared.targets,
                    link,
                    parents: &work.parents,
                    timed: work.links.timed,
                },
                run: &self.run,
                mode: self.settings.relinks,
                window: &work.window,
                past: &work.past,
                usual: self.limit,
            };
            let fills = |v: &Verdict| matches!(v, Verdict::Fill(_));
            let attempt = match filler.foresee(chunk).await {
                Ok(verdicts) if !verdicts.iter().any(fills) => {
                    Ok(Attempt::Done(verdicts, Vec::new()))
                }
                Ok(_) => filler.attempt(number, chunk, limit).await,
                Err(error) => Err(error),
            };
            match attempt {
                Ok(Attempt::Done(verdicts, rows)) => {
                    if !rows.is_empty() {
                        self.prepared.history.last_batch = number;
                        self.reconnects = 0;
                    }
                    // A row can have several references: what wrote to it before us is known from here on.
                    rows.iter()
                        .for_each(|row| work.past.note(row, &self.run.0, None));
                    return Ok(Tried::Decided(verdicts));
                }
                // Our own attempt had committed before its connection was lost: looked at again, they are as they should be.
                Ok(Attempt::DoneBefore) => {
                    self.prepared.history.last_batch = number;
                    work.past = self.past().await?;
                }
                Ok(Attempt::Spoiled(places)) => return Ok(Tried::Spoiled(places)),
                Ok(Attempt::TooSlow) => {
                    return Ok(Tried::Refused(PgError::slow(&self.session, limit)));
                }
                Err(error) if self.lost(&error) => self.reconnect(error).await?,
                // A right that a trigger's function lacks is no reason to give up the other rows.
                Err(error) if error.is_general() && error.sqlstate() != Some("42501") => {
                    return Err(error.into());
                }
                Err(error) => {
                    self.renew().await?;
                    return Ok(Tried::Refused(error));
                }
            }
        }
    }
}

/// How an attempt at a chunk ended, over however many connections.
enum Tried {
    Decided(Vec<Verdict>),
    Spoiled(Vec<usize>),
    Refused(PgError),
}

impl Work<'_> {
    fn pend(&mut self, chunk: &Chunk) {
        for record in &chunk.records {
            self.outcome.leave(record, &Reason::Pending);
        }
    }

    fn pend_waiting(&mut self) {
        for (_, record, _) in std::mem::take(&mut self.waiting) {
            self.outcome.leave(&record, &Reason::Pending);
        }
    }
}
