//! What became, or will become, of the rows that references pointed at.

use std::collections::{HashMap, HashSet};

use crate::bundle::RelinkRecord;
use crate::ident::{Key, UnitId};
use crate::journal::{History, ResolvedRow};
use crate::restore::{Resolution, Resolved, Targets};

/// What is known of the row that a reference pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// It has come back, under this key.
    Here(Key),
    /// A live row is used in its place.
    StandIn(Key),
    /// The plan at hand brings it back.
    Coming,
    /// Its unit has not been tried yet.
    Pending,
    /// It stays away.
    NotBack,
}

/// What is known of all of them.
#[derive(Debug, Default)]
pub(in crate::restore) struct Parents {
    here: HashSet<UnitId>,
    coming: HashSet<UnitId>,
    pending: HashSet<UnitId>,
    lost: HashSet<(usize, Key)>,
    instead: HashMap<(usize, Key), (Key, bool)>,
}

impl Parents {
    /// As the journal has it. `pending` are units that a run which was stopped has not tried.
    pub(super) fn of(
        history: &History,
        targets: &Targets,
        pending: impl Iterator<Item = UnitId>,
    ) -> Self {
        let mut parents = Self {
            here: history.done.union(&history.earlier).copied().collect(),
            pending: pending.collect(),
            ..Self::default()
        };
        for row in &history.resolved {
            parents.learn(targets, row);
        }
        parents
    }

    fn learn(&mut self, targets: &Targets, row: &ResolvedRow) {
        let named = |t: &crate::restore::TargetTable| t.name.to_string() == row.table;
        let Some(table) = targets.tables.iter().position(named) else {
            return;
        };
        let place = (table, row.key.clone());
        match &row.live_key {
            Some(key) => {
                let stand_in = row.state == "remapped";
                self.instead.insert(place, (key.clone(), stand_in));
            }
            None => {
                self.lost.insert(place);
            }
        }
    }

    /// A plan's unit.
    pub(in crate::restore) fn unit(&mut self, unit: UnitId, restored: bool, comes: bool) {
        match (restored, comes) {
            (true, _) => self.here.insert(unit),
            (false, true) => self.coming.insert(unit),
            (false, false) => return,
        };
    }

    /// A unit that is not tried now.
    pub(in crate::restore) fn pending(&mut self, unit: UnitId) {
        self.pending.insert(unit);
    }

    /// A row that does not come with its unit.
    pub(in crate::restore) fn lost(&mut self, table: usize, key: Key) {
        self.lost.insert((table, key));
    }

    /// A row that a plan does not bring back as it is.
    pub(in crate::restore) fn resolved(&mut self, row: &Resolved) {
        let place = (row.table, row.key.clone());
        match (&row.live_key, row.state) {
            (Some(key), state) => {
                let stand_in = state == Resolution::Remapped;
                self.instead.insert(place, (key.clone(), stand_in));
            }
            (None, _) => {
                self.lost.insert(place);
            }
        }
    }

    /// What is known of the row that a record names.
    pub(super) fn expected(&self, record: &RelinkRecord) -> Expected {
        let place = (record.parent.table, record.parent.key.clone());
        let here = self.here.contains(&record.unit);
        if self.lost.contains(&place) {
            return Expected::NotBack;
        }
        match self.instead.get(&place) {
            Some((key, true)) if here || self.coming.contains(&record.unit) => {
                return Expected::StandIn(key.clone());
            }
            Some((key, false)) if here => return Expected::StandIn(key.clone()),
            _ => {}
        }
        if here {
            Expected::Here(place.1)
        } else if self.coming.contains(&record.unit) {
            Expected::Coming
        } else if self.pending.contains(&record.unit) {
            Expected::Pending
        } else {
            Expected::NotBack
        }
    }
}
