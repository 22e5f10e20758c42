//! References that were filled once all parts of a unit were there are emptied again before the parts go: in a circle, none could go
//! before the other. A row that somebody has written to since is left as it is, and keeps what it refers to.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::UndoError;
use super::decide::Fate;
use super::find::Found;
use super::look::{Foreseen, Spot, look};
use super::piece::of_batch;
use super::run::Worker;
use super::scope::{Scope, UndoTable};
use crate::event::Event;
use crate::ident::{Key, RunId, TableName, UnitId, unit_of};
use crate::journal::{JournalError, Parts, Postponed, RestoredBatch, Store, Undos};
use crate::pg::{PgError, Session};
use crate::restore::Said;
use crate::restore::insert;
use crate::restore::relinks::ChildTriggers;
use crate::restore::split::Site;
use crate::restore::waiting::Turn;

/// Those of a restore that are filled.
pub(super) async fn filled(
    session: &Session,
    bundle: &str,
    restore: &RunId,
) -> Result<Vec<Postponed>, UndoError> {
    let mut all = Parts::new(session).postponed(bundle).await?;
    all.retain(|p| p.filled && p.run == *restore);
    all.reverse();
    Ok(all)
}

/// The tables whose references are emptied, and what becomes of their triggers on UPDATE.
pub(super) fn triggers(
    scope: &Scope,
    filled: &[Postponed],
    said: Said<'_>,
) -> BTreeMap<TableName, ChildTriggers> {
    let written = |table: &&UndoTable| filled.iter().any(|p| p.table == table.name.to_string());
    let tables = scope.tables.iter().filter(written);
    tables
        .map(|t| (t.name.clone(), ChildTriggers::of(&t.live, said)))
        .collect()
}

/// Those of a restore, by unit.
pub(super) type Filled = BTreeMap<UnitId, Vec<Postponed>>;

/// Sorts them.
pub(super) fn by_unit(filled: Vec<Postponed>) -> Filled {
    let mut by_unit = Filled::new();
    for of in filled {
        by_unit.entry(of.part.unit).or_default().push(of);
    }
    by_unit
}

/// Takes those of the batch's units out: going backwards, this is the last part of each, and what refers to it from elsewhere has
/// had its turn.
pub(super) fn take(filled: &mut Filled, batch: &RestoredBatch) -> Vec<(UnitId, Vec<Postponed>)> {
    let units = batch.units.iter().map(|unit| unit_of(*unit));
    units
        .filter_map(|unit| filled.remove_entry(&unit))
        .collect()
}

/// Where the columns of a unit's circle lie that would be NULL, if nothing of the unit will be kept: emptied in a row that stays, a
/// reference would be lost. Where something is kept, the circle holds itself, and stays. `before` is what a plan would have done by then.
pub(super) async fn would_go(
    session: &Session,
    scope: &Scope,
    found: &Found,
    (unit, filled): (UnitId, &[Postponed]),
    before: &Foreseen,
) -> Result<Option<HashMap<Spot, Vec<String>>>, JournalError> {
    let (undos, parts) = (Undos::new(session), Parts::new(session));
    let mut circle = Foreseen::default();
    foresee(session, scope, filled, &mut circle.emptied).await?;
    for batch in parts.batches(&found.restore.run, unit).await? {
        let previous = found.ended.last();
        let restored = undos.batch_before(&found.restore.run, batch + 1, previous);
        let Some(restored) = restored.await?.filter(|b| b.batch == batch) else {
            continue;
        };
        let piece = of_batch(session, scope, restored, &HashSet::new()).await?;
        let Some(piece) = piece else { continue };
        let looked = look(session, scope, &piece, &[before, &circle]).await?;
        let mut fates = looked.fates.iter().flatten();
        if fates.any(|f| matches!(f, Fate::Changed | Fate::Referenced)) {
            return Ok(None);
        }
        let tables = 0..scope.tables.len();
        let spots = tables.flat_map(|t| looked.going(t));
        circle.going.extend(spots.map(|(_, spot)| spot.clone()));
    }
    Ok(Some(circle.emptied))
}

/// Where the rows lie whose columns would be NULL.
async fn foresee(
    session: &Session,
    scope: &Scope,
    filled: &[Postponed],
    emptied: &mut HashMap<Spot, Vec<String>>,
) -> Result<(), PgError> {
    for of in filled {
        let Some(table) = scope.place(&of.table).map(|t| &scope.tables[t]) else {
            continue;
        };
        let triggers = ChildTriggers::default();
        for spot in site(table, (of, false), &triggers).spots(session).await? {
            let columns = of.columns.iter().cloned();
            emptied.entry(spot).or_default().extend(columns);
        }
    }
    Ok(())
}

fn site<'a>(
    table: &'a UndoTable,
    (of, last): (&'a Postponed, bool),
    triggers: &'a ChildTriggers,
) -> Site<'a> {
    Site {
        table: &table.live,
        locator: &table.locator,
        triggers,
        of,
        last,
    }
}

impl Worker<'_> {
    /// Empties the circles of the units of a batch that are about to go; true when it was stopped before the end.
    pub(super) async fn open_circles(&mut self, batch: &RestoredBatch) -> Result<bool, UndoError> {
        for (unit, filled) in take(&mut self.filled, batch) {
            // What waits may refer to the unit: it has its turn first.
            if self.wait_for_deferred().await? {
                return Ok(true);
            }
            if self.would_go(unit, &filled).await? && self.empty_filled(filled).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn would_go(&mut self, unit: UnitId, filled: &[Postponed]) -> Result<bool, UndoError> {
        loop {
            let of = (unit, filled);
            let now = Foreseen::default();
            match would_go(&self.session, &self.scope, &self.found, of, &now).await {
                Ok(emptied) => return Ok(emptied.is_some()),
                Err(JournalError::Pg(error)) => self.reconnect(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// True when it was stopped before the end.
    async fn empty_filled(&mut self, filled: Vec<Postponed>) -> Result<bool, UndoError> {
        for of in filled {
            let mut queue = VecDeque::from([(of.keys.clone(), Turn::first())]);
            let mut refused = false;
            while let Some((keys, turn)) = queue.pop_front() {
                if self.interrupt.asked() {
                    return Ok(true);
                }
                tokio::time::sleep(turn.pause_before()).await;
                let last = queue.is_empty() && !refused;
                match self.try_to_empty((&of, last), &keys).await {
                    Ok(()) => {}
                    Err(error) if self.lost(&error) => {
                        self.reconnect(error).await?;
                        queue.push_front((keys, turn));
                    }
                    Err(error) if error.is_general() => return Err(error.into()),
                    Err(error) if keys.len() > 1 && error.sqlstate() == Some("57014") => {
                        let (first, second) = keys.split_at(keys.len() / 2);
                        queue.push_front((second.to_vec(), turn));
                        queue.push_front((first.to_vec(), turn));
                    }
                    Err(error) if error.is_transient() && !turn.last() => {
                        queue.push_back((keys, turn.next()));
                    }
                    Err(error) => {
                        refused = true;
                        self.tell_filled(&of, &keys, &error);
                    }
                }
            }
        }
        Ok(false)
    }

    async fn try_to_empty(&mut self, of: (&Postponed, bool), keys: &[Key]) -> Result<(), PgError> {
        let number = self.last_batch + 1;
        let emptied = self.empty_transaction(of, keys, number).await;
        if !matches!(emptied, Ok(true)) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        emptied?;
        self.last_batch = number;
        self.reconnects = 0;
        Ok(())
    }

    /// False where an earlier attempt had committed.
    async fn empty_transaction(
        &self,
        (of, last): (&Postponed, bool),
        keys: &[Key],
        number: i64,
    ) -> Result<bool, PgError> {
        let session = &self.session;
        let limit = match keys.len() {
            1 => self.settings.max_unit_time.max(self.limit),
            _ => self.limit,
        };
        let Some(table) = self.scope.place(&of.table) else {
            return Ok(true);
        };
        let begin = insert::begin(session, limit, self.limit);
        session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(&self.run, number, &[]);
        let claimed = session.ask("claiming a batch in the journal", &claim, &[]);
        if claimed.await?.is_empty() {
            return Ok(false);
        }
        let table = &self.scope.tables[table];
        let triggers = ChildTriggers::of(&table.live, self.settings.said());
        let site = site(table, (of, last), &triggers);
        site.lock(session, keys).await?;
        site.empty(session, keys).await?;
        session.batch("committing a batch", "commit").await?;
        Ok(true)
    }

    fn tell_filled(&self, of: &Postponed, keys: &[Key], error: &PgError) {
        let table = self.scope.place(&of.table).map(|t| &self.scope.tables[t]);
        if let Some((table, key)) = table.zip(keys.first()) {
            (self.sink)(Event::ReferenceRefused {
                table: table.name.clone(),
                key: key.to_string(),
                reason: error.refusal(),
                sqlstate: error.sqlstate().map(str::to_owned),
            });
        }
    }
}
