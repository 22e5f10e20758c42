//! References that the restore filled are emptied again first: a row that one points at could not go.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::UndoError;
use super::look::Spot;
use super::run::Worker;
use crate::event::Event;
use crate::journal::{Relinked, RelinkedPlace, Relinks, Store, Unlinked};
use crate::pg::{PgError, Session};
use crate::restore::insert;
use crate::restore::relinks::{Filled, UnlinkFate, Unlinking};
use crate::restore::waiting::Turn;

/// How many references are in which state: `unlinked`, `kept_changed`, `kept`, `elsewhere`, `already_gone`.
pub type UnlinkTotals = BTreeMap<String, u64>;

/// How an attempt at a chunk ended.
enum Attempt {
    Committed(Vec<Unlinked>),
    /// All that is left of it is held by somebody.
    Held,
    DoneBefore,
    Spoiled(Vec<usize>),
    TooSlow,
}

impl Worker<'_> {
    /// Takes back what the restore filled; true when it was stopped before the end.
    pub(super) async fn unlink(&mut self) -> Result<bool, UndoError> {
        let chunks = self.unlinking.chunks();
        let mut queue: VecDeque<(Vec<Filled>, Turn)> =
            chunks.into_iter().map(|c| (c, Turn::first())).collect();
        while let Some((chunk, turn)) = queue.pop_front() {
            if self.interrupt.asked() {
                return Ok(true);
            }
            tokio::time::sleep(turn.pause_before()).await;
            self.unlink_chunk(chunk, turn, &mut queue).await?;
        }
        Ok(false)
    }

    async fn unlink_chunk(
        &mut self,
        mut chunk: Vec<Filled>,
        turn: Turn,
        queue: &mut VecDeque<(Vec<Filled>, Turn)>,
    ) -> Result<(), UndoError> {
        if chunk.is_empty() {
            return Ok(());
        }
        if let Some(reason) = self.unlinking.barrier(&chunk) {
            return self.keep_links(chunk, &reason, None).await;
        }
        let limit = match chunk.len() {
            1 => self.settings.max_unit_time.max(self.limit),
            _ => self.limit,
        };
        let number = self.last_batch + 1;
        let error = match self.try_unlink(number, &chunk, limit).await {
            Ok(Attempt::Committed(rows)) => {
                self.linked_back(number);
                let done: HashSet<&RelinkedPlace> = rows.iter().map(|r| &r.of).collect();
                for (of, filled) in &chunk {
                    let row = rows.iter().find(|r| r.of == *of);
                    if let Some((before, since)) = row.and_then(|r| r.xmins) {
                        self.unlinking.past.step(filled, since, before);
                    }
                }
                let kept = rows
                    .iter()
                    .filter(|r| r.state == UnlinkFate::Changed.name());
                for row in kept {
                    let filled = chunk.iter().find(|(of, _)| *of == row.of);
                    filled.inspect(|(_, f)| {
                        self.tell(f, "somebody has written to the row since", None)
                    });
                }
                chunk.retain(|(of, _)| !done.contains(of));
                return self.held(chunk, turn, queue).await;
            }
            Ok(Attempt::Held) => return self.held(chunk, turn, queue).await,
            Ok(Attempt::DoneBefore) => {
                // Our own attempt had committed before its connection was lost; what it passed over is tried again.
                self.linked_back(number);
                let known = self.dealt_with().await?;
                chunk.retain(|(of, _)| !known.contains(of));
                queue.push_front((chunk, turn));
                return Ok(());
            }
            Ok(Attempt::Spoiled(mut places)) => {
                places.sort_unstable();
                let reason = "a trigger kept the reference from being emptied";
                for n in places.into_iter().rev() {
                    let row = chunk.remove(n);
                    self.keep_links(vec![row], reason, None).await?;
                }
                queue.push_front((chunk, turn));
                return Ok(());
            }
            Ok(Attempt::TooSlow) => PgError::slow(&self.session, limit),
            Err(error) if self.lost(&error) => {
                self.reconnect(error).await?;
                queue.push_front((chunk, turn));
                return Ok(());
            }
            // A right that a trigger's function lacks is no reason to give up the other rows.
            Err(error) if error.is_general() && error.sqlstate() != Some("42501") => {
                return Err(error.into());
            }
            Err(error) => error,
        };
        if chunk.len() > 1 {
            let second = chunk.split_off(chunk.len().div_ceil(2));
            queue.push_front((second, turn));
            queue.push_front((chunk, turn));
            return Ok(());
        }
        if error.is_transient() && !turn.last() {
            queue.push_back((chunk, turn.next()));
            return Ok(());
        }
        let sqlstate = error.sqlstate().map(str::to_owned);
        self.keep_links(chunk, &error.refusal(), sqlstate).await
    }

    /// Those that somebody holds come back later, or stay as they are.
    async fn held(
        &mut self,
        chunk: Vec<Filled>,
        turn: Turn,
        queue: &mut VecDeque<(Vec<Filled>, Turn)>,
    ) -> Result<(), UndoError> {
        if chunk.is_empty() {
            return Ok(());
        }
        if turn.last() {
            let code = Some("55P03".to_owned());
            return self
                .keep_links(chunk, "somebody held the row all the time", code)
                .await;
        }
        queue.push_back((chunk, turn.next()));
        Ok(())
    }

    async fn try_unlink(
        &self,
        number: i64,
        chunk: &[Filled],
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let attempt = self.unlink_transaction(number, chunk, limit).await;
        if !matches!(attempt, Ok(Attempt::Committed(_))) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        attempt
    }

    async fn unlink_transaction(
        &self,
        number: i64,
        chunk: &[Filled],
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let (started, session) = (Instant::now(), &self.session);
        if !self.claim_links(number, limit).await? {
            return Ok(Attempt::DoneBefore);
        }
        let seen = self.unlinking.look(session, chunk, true).await?;
        if seen.iter().all(|s| s.fate == UnlinkFate::Held) {
            return Ok(Attempt::Held);
        }
        let (rows, spoiled) = self.unlinking.empty(session, chunk, &seen).await?;
        if !spoiled.is_empty() {
            return Ok(Attempt::Spoiled(spoiled));
        }
        Relinks::new(session)
            .record_undone(&self.run, number, &rows)
            .await?;
        if started.elapsed() > limit {
            return Ok(Attempt::TooSlow);
        }
        session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Committed(rows))
    }

    async fn claim_links(&self, number: i64, limit: Duration) -> Result<bool, PgError> {
        let begin = insert::begin(&self.session, limit, self.limit);
        self.session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(&self.run, number, &[]);
        let claimed = self
            .session
            .ask("claiming a batch in the journal", &claim, &[]);
        Ok(!claimed.await?.is_empty())
    }

    /// Records that references are kept as they are, over a new connection where the old one is lost.
    async fn keep_links(
        &mut self,
        chunk: Vec<Filled>,
        reason: &str,
        sqlstate: Option<String>,
    ) -> Result<(), UndoError> {
        let rows: Vec<Unlinked> = chunk
            .iter()
            .map(|(of, _)| Unlinked {
                of: of.clone(),
                state: UnlinkFate::Held.name().to_owned(),
                reason: Some(reason.to_owned()),
                xmins: None,
            })
            .collect();
        loop {
            let number = self.last_batch + 1;
            match self.keep_transaction(number, &rows).await {
                Ok(()) => {
                    self.linked_back(number);
                    break;
                }
                Err(error) => self.reconnect(error).await?,
            }
        }
        for (_, filled) in &chunk {
            self.tell(filled, reason, sqlstate.clone());
        }
        Ok(())
    }

    /// Tells of a reference that stays.
    fn tell(&self, filled: &Relinked, reason: &str, sqlstate: Option<String>) {
        if let Some(table) = self.unlinking.table(filled) {
            (self.sink)(Event::ReferenceRefused {
                table,
                key: filled.key.to_string(),
                reason: reason.to_owned(),
                sqlstate,
            });
        }
    }

    async fn keep_transaction(&self, number: i64, rows: &[Unlinked]) -> Result<(), PgError> {
        // Where it was claimed before, it was committed before.
        let kept = match self.claim_links(number, self.limit).await {
            Ok(false) => return self.session.batch("rolling back", "rollback").await,
            Ok(true) => {
                Relinks::new(&self.session)
                    .record_undone(&self.run, number, rows)
                    .await
            }
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => self.session.batch("committing a batch", "commit").await,
            Err(error) => {
                if !self.session.is_closed() {
                    self.session.batch("rolling back", "rollback").await?;
                }
                Err(error)
            }
        }
    }

    fn linked_back(&mut self, number: i64) {
        self.last_batch = number;
        self.reconnects = 0;
    }

    /// What this undo has dealt with.
    async fn dealt_with(&mut self) -> Result<HashSet<RelinkedPlace>, UndoError> {
        loop {
            let bundle = self.bundle_id().to_owned();
            match Relinks::new(&self.session).undone(&bundle).await {
                Ok(undone) => {
                    self.unlinking.past = self.unlinking.reread(&self.session, &bundle).await?;
                    let ours = undone.into_iter().filter(|(run, _)| *run == self.run);
                    return Ok(ours.map(|(_, u)| u.of).collect());
                }
                Err(error) => self.reconnect(error).await?,
            }
        }
    }
}

/// What would become of the filled references, and the columns that would be NULL of rows by their place. Reads only.
pub(super) async fn foresee(
    session: &Session,
    unlinking: &Unlinking,
) -> Result<(UnlinkTotals, HashMap<Spot, Vec<String>>), PgError> {
    let mut totals = UnlinkTotals::new();
    let mut emptied: HashMap<Spot, Vec<String>> = HashMap::new();
    for chunk in unlinking.chunks() {
        let barred = unlinking.barrier(&chunk).is_some();
        for (seen, (_, filled)) in unlinking
            .look(session, &chunk, false)
            .await?
            .into_iter()
            .zip(&chunk)
        {
            let fate = match barred {
                true => UnlinkFate::Held,
                false => seen.fate,
            };
            *totals.entry(fate.name().to_owned()).or_default() += 1;
            if let (UnlinkFate::Empty, Some(spot)) = (fate, seen.spot) {
                let columns = filled
                    .filled()
                    .into_iter()
                    .map(|c| filled.columns[c].clone());
                emptied.entry(spot).or_default().extend(columns);
            }
        }
    }
    Ok((totals, emptied))
}
