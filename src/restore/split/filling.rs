//! Works off the references that parts of a unit left NULL: they are filled, or told of and left to a later run.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::fill::Site;
use super::{Reading, Slice, postpone};
use crate::event::Event;
use crate::ident::{Key, UnitId};
use crate::journal::{JournalError, Postponed, Store};
use crate::pg::PgError;
use crate::restore::run::Worker;
use crate::restore::waiting::Turn;
use crate::restore::{RestoreError, insert};

impl Worker<'_> {
    /// Fills what the parts of a unit left NULL.
    pub(in crate::restore) async fn fill_unit(&mut self, unit: UnitId) -> Result<(), RestoreError> {
        let mut open = self.postponed(unit).await?;
        open.sort_by_key(|p| (p.part.first_row, p.n));
        let known = &mut self.prepared.history.postponed;
        known.retain(|p| p.part.unit != unit);
        known.extend(open.iter().cloned());
        if open.is_empty() {
            return Ok(());
        }
        let mut reading = Reading::open(self.bundle, unit)?;
        let mut slice: Option<Slice> = None;
        for of in open {
            let read = slice.as_ref().map(|s| s.first_row);
            if read != Some(of.part.first_row) {
                reading.skip_to(of.part.first_row)?;
                slice = reading.take(of.part.rows, &[])?;
            }
            if let Some(slice) = &slice
                && self.fill(&of, slice).await?
            {
                let place = |p: &Postponed| (p.run.clone(), p.batch, p.n);
                let open = &mut self.prepared.history.postponed;
                open.retain(|p| place(p) != place(&of));
            }
        }
        Ok(())
    }

    /// As the journal has them now, over a new connection where the old one is lost.
    async fn postponed(&mut self, unit: UnitId) -> Result<Vec<Postponed>, RestoreError> {
        loop {
            let store = Store::new(&self.session);
            let known = store.history(&self.bundle.id, Some(&self.run)).await;
            match known {
                Ok(history) => {
                    let of_unit = history.postponed.into_iter();
                    return Ok(of_unit.filter(|p| p.part.unit == unit).collect());
                }
                Err(JournalError::Pg(error)) => self.reconnect(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether all is done: what was refused is tried again by a later run.
    async fn fill(&mut self, of: &Postponed, slice: &Slice) -> Result<bool, RestoreError> {
        let targets = &self.prepared.targets;
        let Some(table) = targets
            .tables
            .iter()
            .position(|t| t.name.to_string() == of.table)
        else {
            return Ok(false);
        };
        let target = &targets.tables[table];
        let place = |c: &String| target.columns.iter().position(|of| of == c);
        let places: Vec<usize> = of.columns.iter().filter_map(place).collect();
        let lines = slice.rows.iter().filter(|(t, _)| *t == table);
        let values: HashMap<Key, Key> = lines
            .flat_map(|(_, lines)| lines)
            .filter_map(|line| {
                let values = postpone::values(&target.project(line), &places)?;
                Some((target.key_of(line), values))
            })
            .collect();
        let mut queue = VecDeque::from([(of.keys.clone(), Turn::first())]);
        let mut refused = false;
        while let Some((keys, turn)) = queue.pop_front() {
            tokio::time::sleep(turn.pause_before()).await;
            let of_keys: HashMap<&Key, Key> = keys
                .iter()
                .filter_map(|k| Some((k, values.get(k)?.clone())))
                .collect();
            let last = queue.is_empty() && !refused;
            match self.try_to_fill((table, of, last), &keys, &of_keys).await {
                Ok(()) => {}
                Err(error) if self.lost(&error) => {
                    self.reconnect(error).await?;
                    queue.push_front((keys, turn));
                }
                Err(error) if error.is_general() => return Err(error.into()),
                Err(error) => {
                    self.renew().await?;
                    let slow = error.sqlstate() == Some("57014");
                    if keys.len() > 1 && (slow || !error.is_transient()) {
                        let (first, second) = keys.split_at(keys.len() / 2);
                        queue.push_front((second.to_vec(), turn));
                        queue.push_front((first.to_vec(), turn));
                    } else if error.is_transient() && !turn.last() {
                        queue.push_back((keys, turn.next()));
                    } else {
                        refused = true;
                        self.tell_refused(of, &keys, &error.refusal(), error.sqlstate());
                    }
                }
            }
        }
        Ok(!refused)
    }

    async fn try_to_fill(
        &mut self,
        (table, of, last): (usize, &Postponed, bool),
        keys: &[Key],
        values: &HashMap<&Key, Key>,
    ) -> Result<(), PgError> {
        let limit = match keys.len() {
            1 => self.settings.max_unit_time.max(self.limit),
            _ => self.limit,
        };
        let number = self.prepared.history.last_batch + 1;
        let filled = self
            .fill_transaction((table, of, last), (keys, values), number, limit)
            .await;
        if !matches!(filled, Ok(Some(_))) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        let left = filled?;
        self.prepared.history.last_batch = number;
        self.reconnects = 0;
        if let Some(left) = left.filter(|left| *left > 0) {
            let reason = format!("{left} of them were written to or deleted since");
            self.tell_refused(of, keys, &reason, None);
        }
        Ok(())
    }

    /// How many rows were left alone; none where an earlier attempt had committed.
    async fn fill_transaction(
        &self,
        (table, of, last): (usize, &Postponed, bool),
        (keys, values): (&[Key], &HashMap<&Key, Key>),
        number: i64,
        limit: Duration,
    ) -> Result<Option<u64>, PgError> {
        let session = &self.session;
        let begin = insert::begin(session, limit, self.limit);
        session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(&self.run, number, &[]);
        let claimed = session.ask("claiming a batch in the journal", &claim, &[]);
        if claimed.await?.is_empty() {
            return Ok(None);
        }
        let target = &self.prepared.targets.tables[table];
        let site = Site {
            table: &target.live,
            locator: &target.locator,
            triggers: &self.splitting.triggers[table],
            of,
            last,
        };
        site.lock(session, keys).await?;
        let written = site.fill(session, keys, values).await?;
        session.batch("committing a batch", "commit").await?;
        Ok(Some(written.left))
    }

    fn tell_refused(&self, of: &Postponed, keys: &[Key], reason: &str, sqlstate: Option<&str>) {
        let targets = &self.prepared.targets;
        let table = targets
            .tables
            .iter()
            .find(|t| t.name.to_string() == of.table);
        let Some((table, first)) = table.zip(keys.first()) else {
            return;
        };
        let key = match keys.len() {
            1 => first.to_string(),
            more => format!("{first} and {} more", more - 1),
        };
        (self.sink)(Event::ReferenceRefused {
            table: table.name.clone(),
            key,
            reason: format!("{} stays NULL: {reason}", of.columns.join(", ")),
            sqlstate: sqlstate.map(str::to_owned),
        });
    }
}
