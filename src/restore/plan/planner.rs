//! Sorts a bundle's units, as live is now: what would be inserted, what is there, what would be left out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use super::batches::Batches;
use super::objects::PlannedObjects;
use super::{TablePlan, links};
use crate::bundle::{Bundle, UnitRows};
use crate::ident::{TableName, UnitId};
use crate::pg::Session;
use crate::restore::conflict::root_name;
use crate::restore::excluded::{self, Marks};
use crate::restore::look::{Presence, look};
use crate::restore::refusal::{Gate, refused};
use crate::restore::relinks::Parents;
use crate::restore::split::{Splitting, TAKEN, whole_only};
use crate::restore::{
    Batch, Conflict, Met, RelinkOutcome, Replacements, Resolved, RestoreError, Settings, Tally,
    Targets,
};

/// The state of a plan while units are read.
pub(super) struct Planner<'a> {
    pub(super) targets: &'a Targets,
    /// What live's tables ask of each row.
    pub(super) gates: Vec<Gate>,
    pub(super) tally: Tally,
    pub(super) tables: BTreeMap<TableName, TablePlan>,
    pub(super) left_out: Vec<(UnitId, String, String, Option<String>)>,
    pub(super) out: HashSet<UnitId>,
    pub(super) excluded_but_back: u64,
    pub(super) batches: Batches,
    pub(super) conflicts: Vec<Met>,
    /// What becomes of the rows that references pointed at.
    pub(super) parents: Parents,
    pub(super) replacements: Replacements,
    pub(super) identity_unknown: BTreeSet<TableName>,
    pub(super) objects: PlannedObjects,
}

impl Planner<'_> {
    /// Counts the rows of a unit that must not come back: those that have come back already stay.
    pub(super) fn excluded(&mut self, unit: &UnitRows, marks: &Marks, restored: bool) {
        for (table, rows) in excluded::count(unit, marks) {
            match restored {
                true => self.excluded_but_back += rows,
                false => self.tally.of(&self.targets.tables[table].name).excluded += rows,
            }
        }
    }

    /// Counts the rows of a unit that is not tried.
    pub(super) fn passed_over(&mut self, unit: &UnitRows) {
        self.parents.pending(unit.0.unit);
        for (table, rows) in &unit.1 {
            let name = &self.targets.tables[*table].name;
            self.tally.of(name).pending += rows.len() as u64;
        }
    }

    pub(super) async fn batch(
        &mut self,
        session: &Session,
        batch: Batch,
        restored: &impl Fn(UnitId) -> bool,
    ) -> Result<(), RestoreError> {
        let (back, coming) = batch.split(|unit| restored(unit.unit));
        self.back(session, back).await?;
        self.coming(session, coming, None).await
    }

    /// Units that an earlier run brought back: they are left as they are now.
    pub(super) async fn back(
        &mut self,
        session: &Session,
        batch: Batch,
    ) -> Result<(), RestoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let targets = self.targets;
        for unit in &batch.units {
            self.parents.unit(unit.unit, true, true);
        }
        let recalled = self.replacements.recall(targets, batch, &mut Vec::new());
        let (batch, resolved) = recalled;
        resolved.iter().for_each(|row| self.parents.resolved(row));
        self.count_resolved(&resolved, |_| true);
        let looked = look(session, targets, &batch, false).await?;
        for (table, presence) in targets.tables.iter().zip(&looked.presence) {
            let states = self.tally.of(&table.name);
            for presence in presence {
                match presence {
                    Presence::Absent if table.keyed() => states.gone_since += 1,
                    _ => states.already_present += 1,
                }
            }
        }
        Ok(())
    }

    /// Units that are to come; or some rows of one that comes in parts.
    pub(super) async fn coming(
        &mut self,
        session: &Session,
        batch: Batch,
        in_parts: Option<&Splitting>,
    ) -> Result<(), RestoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let targets = self.targets;
        let settled = self.replacements.settle(session, targets, &batch, false);
        let mut settled = settled.await?;
        let of = (&*settled.batch, &settled.looked);
        let refused = refused(session, targets, &mut self.gates, of).await?;
        settled.looked.conflicts.extend(refused);
        let circular = in_parts.and_then(|s| s.circular(&settled.resolved));
        let circular = circular.map(|row| Conflict {
            unit: row.unit,
            table: targets.tables[row.table].name.clone(),
            reason: whole_only(row),
            missing_parent: false,
            sqlstate: TAKEN,
            row: None,
            sides: None,
        });
        settled.looked.conflicts.extend(circular);
        self.identity_unknown.extend(targets.untold(&batch));
        self.leave_out(&batch, &settled.looked.conflicts);
        let out: Vec<bool> = batch
            .units
            .iter()
            .map(|unit| self.out.contains(&unit.unit))
            .collect();
        for (table, rows) in targets.tables.iter().zip(&batch.rows) {
            let left = rows.iter().filter(|row| out[row.unit]).count() as u64;
            self.tally.of(&table.name).quarantined += left;
        }
        self.count_resolved(&settled.resolved, |unit| !out[unit]);
        settled
            .resolved
            .iter()
            .for_each(|row| self.parents.resolved(row));
        for (unit, out) in batch.units.iter().zip(&out) {
            self.parents.unit(unit.unit, false, !out);
        }
        let mut to_insert = vec![0; batch.units.len()];
        let mut bytes = vec![0; batch.units.len()];
        for coming in settled.objects.iter().filter(|c| !out[c.unit]) {
            bytes[coming.unit] += self.objects.comes(coming);
        }
        self.objects.present.extend(&settled.objects_present);
        let places = settled.batch.rows.iter().zip(&settled.looked.presence);
        for (table, (rows, presence)) in targets.tables.iter().zip(places) {
            let states = self.tally.of(&table.name);
            for (row, presence) in rows.iter().zip(presence).filter(|(r, _)| !out[r.unit]) {
                match presence {
                    Presence::Absent => {
                        states.inserted += 1;
                        to_insert[row.unit] += 1;
                    }
                    Presence::Same | Presence::Other => states.already_present += 1,
                }
            }
        }
        for (n, rows) in to_insert.into_iter().enumerate() {
            let root = || root_name(targets, &batch, n);
            self.batches
                .add((rows, bytes[n]), batch.units[n].unit, root);
        }
        self.conflicts.extend(settled.met.into_iter().map(
            |met| match self.out.contains(&met.unit) {
                true => met.left_out(),
                false => met,
            },
        ));
        self.replacements.keep(settled.decided);
        Ok(())
    }

    fn count_resolved(&mut self, resolved: &[Resolved], counts: impl Fn(usize) -> bool) {
        for row in resolved.iter().filter(|row| counts(row.unit)) {
            let name = &self.targets.tables[row.table].name;
            self.tally.of(name).resolved(row.state, 1);
        }
    }

    /// Units that something is in the way of, and those that depend on one left out.
    fn leave_out(&mut self, batch: &Batch, conflicts: &[Conflict]) {
        let mut why: BTreeMap<usize, &Conflict> = BTreeMap::new();
        for conflict in conflicts {
            if why.insert(conflict.unit, conflict).is_none() || conflict.missing_parent {
                let entry = self.tables.entry(conflict.table.clone()).or_default();
                if conflict.missing_parent {
                    entry.missing_parents += 1;
                } else {
                    entry.conflicts += 1;
                }
            }
        }
        for (position, unit) in batch.units.iter().enumerate() {
            let needs = unit.depends_on.iter().find(|d| self.out.contains(d));
            let reason = match (why.get(&position), needs) {
                (Some(conflict), _) => {
                    Some((conflict.reason.clone(), Some(conflict.sqlstate.to_owned())))
                }
                (None, Some(other)) => {
                    Some((format!("depends on unit {other}, which is left out"), None))
                }
                (None, None) => None,
            };
            // A unit that comes in parts is looked at several times.
            if let Some((reason, sqlstate)) = reason.filter(|_| !self.out.contains(&unit.unit)) {
                let root = root_name(self.targets, batch, position);
                self.out.insert(unit.unit);
                self.left_out.push((unit.unit, root, reason, sqlstate));
            }
        }
    }

    /// Rows that have come back meanwhile count as if they were still to come.
    pub(super) fn id(
        &self,
        bundle: &Bundle,
        settings: &Settings,
        relinks: &RelinkOutcome,
    ) -> String {
        let mut digest = Sha256::new();
        digest.update(&bundle.id);
        digest.update(settings.on_conflict.name());
        for (table, states) in &self.tally.0 {
            let coming = states.inserted + states.already_present;
            digest.update(format!(
                "{table} {coming} {} {} {} {} {} {}\n",
                states.gone_since,
                states.quarantined,
                states.excluded,
                states.remapped,
                states.skipped,
                states.pending
            ));
        }
        if let Some(triggers) = settings.triggers {
            let accepted = settings.accepted_triggers.join(" ");
            digest.update(format!("triggers {triggers:?} {accepted}\n"));
        }
        for fill in &settings.fills {
            digest.update(format!("fill {fill:?}\n"));
        }
        digest.update(links::digested(relinks));
        digest.update(self.objects.digested());
        for (unit, _, reason, _) in &self.left_out {
            digest.update(format!("{unit} {reason}\n"));
        }
        digest
            .finalize()
            .iter()
            .take(6)
            .map(|b| format!("{b:02x}"))
            .collect()
    }
}
