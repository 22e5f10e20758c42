//! Settles a batch: looks at live, decides about the rows that are in conflict, follows the references to them, and looks again,
//! until nothing more can be decided.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::catalog::IdentityRule;
use crate::ident::Key;
use crate::pg::{PgError, Session};

use super::super::large_objects::{self, Coming};
use super::super::look::{Conflict, Looked, look};
use super::super::{Batch, BatchRow, TargetTable, Targets};
use super::OnConflict;
use super::follow::Following;
use super::holders::{Values, lock as lock_rows};
use super::identity::stranger;
use super::replacements::{Decided, Fate, Replacements, Resolution, Resolved};
use super::sides::Met;

/// A batch as it goes in.
pub(in crate::restore) struct Settled<'b> {
    /// Its rows: without those resolved, references pointed to where they belong. Units keep their positions.
    pub(in crate::restore) batch: Cow<'b, Batch>,
    /// What live has of them. Its conflicts are those about which nothing could be decided.
    pub(in crate::restore) looked: Looked,
    /// What became of the rows that did not go in as they are.
    pub(in crate::restore) resolved: Vec<Resolved>,
    /// The conflicts behind them, and those that remain.
    pub(in crate::restore) met: Vec<Met>,
    /// Large objects that its rows point at and live lacks.
    pub(in crate::restore) objects: Vec<Coming>,
    /// Those that live has as they were.
    pub(in crate::restore) objects_present: BTreeSet<u32>,
    /// To be kept once the batch is committed.
    pub(in crate::restore) decided: Decided,
}

/// A row of the batch: table and place.
type Place = (usize, usize);

impl Replacements {
    /// Looks at a batch and settles what can be. With `lock`, parents and the live rows that take the place of others are
    /// locked, and stay as they were seen.
    pub(in crate::restore) async fn settle<'b>(
        &self,
        session: &Session,
        targets: &Targets,
        batch: &'b Batch,
        lock: bool,
    ) -> Result<Settled<'b>, PgError> {
        let mut following = Following::new(self, targets, Cow::Borrowed(batch));
        let mut met = Vec::new();
        let mut locked: HashSet<(usize, Key)> = HashSet::new();
        loop {
            following.follow();
            let mut looked = look(session, targets, &following.batch, lock).await?;
            let open = self.policy != OnConflict::Quarantine;
            if open
                && lock
                && self
                    .lock_new(session, targets, &looked, &mut locked)
                    .await?
            {
                continue;
            }
            let values = match open && !looked.conflicts.is_empty() {
                true => self.holders(session, targets, &looked).await?,
                false => Values::new(),
            };
            let decided = self.decide(&following, &mut looked.conflicts);
            if decided.is_empty() {
                looked.conflicts.append(&mut following.barred);
                let mut objects =
                    large_objects::look(session, targets, &following.batch, &looked).await?;
                looked.conflicts.append(&mut objects.conflicts);
                met.extend(Met::of(batch, looked.conflicts.iter(), "quarantined"));
                return Ok(Settled {
                    batch: following.batch,
                    looked,
                    resolved: following.resolved,
                    met,
                    objects: objects.coming,
                    objects_present: objects.present,
                    decided: Decided(following.fates),
                });
            }
            for (place, (state, live)) in &decided {
                let of_row = looked.conflicts.iter().filter(|c| c.row == Some(*place));
                met.extend(Met::of(batch, of_row, state.name()));
                let reason = looked.conflicts.iter().find(|c| c.row == Some(*place));
                let reason = reason.map(|c| c.reason.clone()).unwrap_or_default();
                self.note_fate(&mut following, *place, *state, live.as_ref(), &values);
                following.record(*place, *state, live.clone(), reason);
            }
            following.remove(decided.keys().copied().collect());
        }
    }

    /// Locks the live rows in the way that are not locked yet; whether there were any.
    async fn lock_new(
        &self,
        session: &Session,
        targets: &Targets,
        looked: &Looked,
        locked: &mut HashSet<(usize, Key)>,
    ) -> Result<bool, PgError> {
        if self.policy != OnConflict::Remap {
            return Ok(false);
        }
        let mut new = false;
        for (table, mut keys) in in_the_way(targets, looked) {
            if self.to_table(table).next().is_none() {
                continue;
            }
            keys.retain(|key| locked.insert((table, key.clone())));
            if !keys.is_empty() {
                let keys: Vec<Key> = keys.into_iter().collect();
                lock_rows(session, &targets.tables[table], &keys).await?;
                new = true;
            }
        }
        Ok(new)
    }

    /// By what the live rows in the way are referred to.
    async fn holders(
        &self,
        session: &Session,
        targets: &Targets,
        looked: &Looked,
    ) -> Result<Values, PgError> {
        let mut values = Values::new();
        if self.policy == OnConflict::Remap {
            for (table, keys) in in_the_way(targets, looked) {
                let keys: Vec<Key> = keys.into_iter().collect();
                values.extend(self.values(session, targets, table, &keys).await?);
            }
        }
        Ok(values)
    }

    /// What becomes of the rows in conflict. Of those about which nothing is decided, the reasons say why.
    fn decide(
        &self,
        following: &Following<'_, '_>,
        conflicts: &mut [Conflict],
    ) -> BTreeMap<Place, (Resolution, Option<Key>)> {
        let mut decided = BTreeMap::new();
        if self.policy == OnConflict::Quarantine {
            return decided;
        }
        let mut by_row: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (n, conflict) in conflicts.iter().enumerate() {
            if let Some(place) = conflict.row {
                by_row.entry(place).or_default().push(n);
            }
        }
        for (place, numbers) in by_row {
            let of_row: Vec<&Conflict> = numbers.iter().map(|n| &conflicts[*n]).collect();
            match self.decide_row(following, place, &of_row) {
                Ok(decision) => {
                    decided.insert(place, decision);
                }
                Err(why) => {
                    for n in numbers {
                        let reason = &mut conflicts[n].reason;
                        *reason = format!("{reason}; not {}: {why}", self.policy.done());
                    }
                }
            }
        }
        decided
    }

    fn decide_row(
        &self,
        following: &Following<'_, '_>,
        (table, n): Place,
        conflicts: &[&Conflict],
    ) -> Result<(Resolution, Option<Key>), String> {
        let target = &following.targets.tables[table];
        if let Some(why) = self.unclear(following.targets, table) {
            return Err(why);
        }
        if self.policy == OnConflict::Skip {
            return Ok((Resolution::Skipped, None));
        }
        let row = &following.batch.rows[table][n];
        if row.was.is_some() {
            return Err("its own reference was pointed to a row of live, and so came in conflict with another".into());
        }
        if !target.keyed() {
            return Err("the table has no key by which to tell the row of live".into());
        }
        let holders = conflicts.iter().filter_map(|c| c.sides.as_ref());
        let holders: BTreeSet<&Key> = holders.map(|s| &s.live_key).collect();
        let mut holders = holders.into_iter();
        match (holders.next(), holders.next()) {
            (Some(one), None) => match another(target, row, conflicts, &self.identities) {
                Some(columns) => Err(format!(
                    "row {one} of live is another one than the row deleted ({} differ), not that row edited",
                    columns.join(", ")
                )),
                None => Ok((Resolution::Remapped, Some(one.clone()))),
            },
            (Some(one), Some(other)) => Err(format!(
                "rows {one} and {other} of live are both in its way"
            )),
            (None, _) => Err("nobody knows which row of live is in its way".into()),
        }
    }

    /// Notes what becomes of all that refers to a row that is decided about.
    fn note_fate(
        &self,
        following: &mut Following<'_, '_>,
        (table, n): Place,
        state: Resolution,
        live: Option<&Key>,
        values: &Values,
    ) {
        let target = &following.targets.tables[table];
        let row = &following.batch.rows[table][n];
        let (stored, name) = (row.stored.clone(), format!("{} {}", target.name, row.key));
        let fate = |number: usize| match (state, live) {
            (Resolution::Remapped, Some(live)) => {
                let held = values.get(&(live.clone(), number)).cloned().flatten();
                self.replaced(following.targets, number, live, held)
            }
            _ => Fate::Skipped { row: name.clone() },
        };
        self.note(&mut following.fates, table, &stored, fate);
    }
}

/// Where the key itself is taken: the columns that say that the live row is another one than was deleted.
fn another(
    target: &TargetTable,
    row: &BatchRow,
    conflicts: &[&Conflict],
    rules: &[IdentityRule],
) -> Option<Vec<String>> {
    let sides = conflicts.iter().filter_map(|c| c.sides.as_deref());
    let mut under_its_key = sides.filter(|s| s.key == s.live_key);
    under_its_key.find_map(|sides| stranger(target, row, sides, rules))
}

/// Keys of the live rows in the way, by table.
fn in_the_way(targets: &Targets, looked: &Looked) -> BTreeMap<usize, BTreeSet<Key>> {
    let mut keys: BTreeMap<usize, BTreeSet<Key>> = BTreeMap::new();
    for conflict in &looked.conflicts {
        if let (Some((table, _)), Some(sides)) = (conflict.row, &conflict.sides)
            && targets.tables[table].keyed()
        {
            keys.entry(table)
                .or_default()
                .insert(sides.live_key.clone());
        }
    }
    keys
}
