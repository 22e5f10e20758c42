//! What a restore would do, without doing it.

mod links;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bundle::{Bundle, UnitRows};
use crate::ident::{TableName, UnitId};
use crate::pg::Session;

use super::conflict::root_name;
use super::excluded::{self, Dropped, Excluded, Marks, dropped};
use super::look::{Presence, look};
use super::prepare::prepare;
use super::relinks::{Links, Parents};
use super::suppressed::Guards;
use super::triggers::Treatment;
use super::{
    Batch, Conflict, Met, RelinkOutcome, Relinking, Replacements, Resolved, RestoreError, Retyped,
    SequenceMove, Settings, Tally, Targets, sequences,
};

/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;
/// Rows that fit in a batch, for the estimate; the real number adapts.
const ROWS_A_BATCH: u64 = 1_000;
/// What a row takes, for the estimate: a batch of the usual 50 ms holds that many.
const MICROSECONDS_A_ROW: u64 = 50;

/// One table of a plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TablePlan {
    /// Units that something of this table is in the way of.
    pub conflicts: u64,
    /// Rows of this table that units reference and live lacks.
    pub missing_parents: u64,
    /// Columns of the bundle that live lacks.
    pub dropped_columns: Vec<String>,
    /// Columns that have another type in live.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retyped_columns: Vec<Retyped>,
    /// Triggers that would fire on its rows, each with its function and when it fires.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
    /// Triggers that are kept from firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressed_triggers: Vec<String>,
    /// Triggers that fire when an undo deletes the rows again: it is refused while they are enabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers_on_undo: Vec<String>,
    /// Triggers that would fire as references of its rows are filled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub update_triggers: Vec<String>,
    /// Those that are kept from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressed_update_triggers: Vec<String>,
    /// Why a run is refused because of its triggers, and the ways out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// Its rows are a bag: what came back by other means is not seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_key: bool,
}

impl TablePlan {
    /// Whether a run is refused because of it.
    pub fn refuses(&self) -> bool {
        self.obstacle.is_some() || self.retyped_columns.iter().any(|r| !r.restorable)
    }
}

/// A unit that is more than a batch: one transaction all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LargeUnit {
    /// Its number.
    pub unit: UnitId,
    /// Its root.
    pub root: String,
    /// Rows to insert.
    pub rows: u64,
    /// How long it takes, about.
    pub milliseconds: u64,
}

/// What a restore would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its id: the same as long as the same rows would end in the same states, whether they have come back meanwhile
    /// or not.
    pub id: String,
    /// Rows by state and table.
    pub tally: Tally,
    /// The rest, by table.
    pub tables: BTreeMap<TableName, TablePlan>,
    /// Units that would be left out, with the first reason: unit, root, reason, code.
    pub left_out: Vec<(UnitId, String, String, Option<String>)>,
    /// Rows of live in the way of rows of the bundle, and what would become of those.
    pub conflicts: Vec<Met>,
    /// Batches, about.
    pub batches: u64,
    /// Units that are a batch for themselves, largest first.
    pub large_units: Vec<LargeUnit>,
    /// The run that would be resumed.
    pub resumes: Option<String>,
    /// Sequences that stand before keys that come back: not in the id, for they move with the application.
    pub sequences: Vec<SequenceMove>,
    /// Rows that must not come back, of units that an earlier run restored.
    pub excluded_but_back: u64,
    /// Tables whose exclusions are a query on the snapshot, which only `extract` asks.
    pub exclusions_not_asked: Vec<TableName>,
    /// Exclusions that were in force before and are not now: a run is refused.
    pub exclusions_dropped: Vec<Dropped>,
    /// Tables of parents outside the bundle of which nothing tells whether they are the rows that they were.
    pub identity_unknown: BTreeSet<TableName>,
    /// References that the deletion set to NULL, and what would become of them.
    pub relinks: RelinkOutcome,
}

/// Plans; reads only.
pub async fn plan(
    session: &Session,
    bundle: &Bundle,
    settings: &Settings,
) -> Result<Plan, RestoreError> {
    let mut prepared = prepare(session, bundle).await?;
    prepared.choose(session, bundle, settings).await?;
    let (targets, live) = (&prepared.targets, &prepared.live);
    let links = Links::find(session, bundle, live, settings).await?;
    let treatment = Treatment::of(targets, settings, &links.trigger_names())?;
    let relinks = settings.relinks != Relinking::None;
    treatment
        .allowed(session, relinks && links.suppresses())
        .await?;
    Guards::find(session, targets, &treatment).await?;
    let mut excluded = Excluded::ask(session, bundle, targets, live, settings.rules()).await?;
    let exclusions_dropped = dropped(session, bundle, &settings.exclusions).await?;
    let mut planner = Planner {
        targets: &prepared.targets,
        tally: Tally::default(),
        tables: BTreeMap::new(),
        left_out: Vec::new(),
        out: HashSet::new(),
        excluded_but_back: 0,
        batches: Batches::default(),
        conflicts: Vec::new(),
        parents: Parents::default(),
        replacements: prepared.replacements(session, bundle, settings).await?,
        identity_unknown: BTreeSet::new(),
    };
    for target in &prepared.targets.tables {
        planner.tally.of(&target.name);
        let entry = planner.tables.entry(target.name.clone()).or_default();
        entry.dropped_columns = target.dropped.clone();
        entry.retyped_columns = target.retyped.clone();
        entry.without_key = !target.keyed();
    }
    for treated in treatment.tables {
        let entry = planner.tables.entry(treated.table).or_default();
        entry.triggers = treated.fire;
        entry.suppressed_triggers = treated.suppressed;
        entry.triggers_on_undo = treated.on_delete;
        entry.obstacle = treated.obstacle;
    }
    if relinks {
        planner.update_triggers(&links);
    }
    let restored =
        |unit| prepared.history.done.contains(&unit) || prepared.history.earlier.contains(&unit);
    let mut numbering = sequences::find(session, targets).await?;
    let mut rows = bundle.read()?;
    let (mut pending, mut size) = (Vec::new(), 0);
    while let Some(unit) = rows.next_unit()? {
        let marks = excluded.marks(&prepared.targets, &unit);
        if !restored(unit.0.unit) && !prepared.chosen(unit.0.unit) {
            planner.passed_over(&unit);
            continue;
        }
        planner.excluded(&unit, &marks, restored(unit.0.unit));
        if !restored(unit.0.unit) {
            planner.lost(&unit, &marks);
        }
        // What has come back already is looked at as it is.
        let unit = match restored(unit.0.unit) {
            true => unit,
            false if excluded::whole(&marks) => continue,
            false => {
                let unit = excluded.without(unit, &marks);
                sequences::meet(&mut numbering, &unit);
                unit
            }
        };
        let unit = match prepared.only {
            Some(_) => alone(unit, |u| restored(u) || prepared.chosen(u)),
            None => unit,
        };
        size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
        pending.push(unit);
        if size >= ROWS_A_LOOK {
            planner
                .batch(
                    session,
                    Batch::new(std::mem::take(&mut pending), planner.targets),
                    &restored,
                )
                .await?;
            size = 0;
        }
    }
    planner
        .batch(session, Batch::new(pending, planner.targets), &restored)
        .await?;
    let known = prepared.last.is_some();
    let relinks = planner.relinks(session, (bundle, settings), &links, known);
    let relinks = relinks.await?;
    let id = planner.id(bundle, settings, &relinks);
    let Planner {
        tally,
        tables,
        left_out,
        excluded_but_back,
        batches,
        conflicts,
        identity_unknown,
        ..
    } = planner;
    let (batches, large_units) = batches.counted();
    Ok(Plan {
        id,
        tables,
        left_out,
        conflicts,
        batches,
        large_units,
        resumes: prepared
            .last
            .filter(|r| r.state.unfinished())
            .map(|r| r.run.0),
        tally,
        excluded_but_back,
        sequences: sequences::decide(session, &numbering).await?,
        exclusions_not_asked: excluded.not_asked,
        exclusions_dropped,
        identity_unknown,
        relinks,
    })
}

/// Where not all units come, what one needs of another that does not is looked for in live.
fn alone(mut unit: UnitRows, comes: impl Fn(UnitId) -> bool) -> UnitRows {
    for need in &mut unit.0.needs {
        need.unit = need.unit.filter(|u| comes(*u));
    }
    unit
}

struct Planner<'a> {
    targets: &'a Targets,
    tally: Tally,
    tables: BTreeMap<TableName, TablePlan>,
    left_out: Vec<(UnitId, String, String, Option<String>)>,
    out: HashSet<UnitId>,
    excluded_but_back: u64,
    batches: Batches,
    conflicts: Vec<Met>,
    /// What becomes of the rows that references pointed at.
    parents: Parents,
    replacements: Replacements,
    identity_unknown: BTreeSet<TableName>,
}

/// Counts the batches as a run fills them: whole units, until a batch has its rows.
#[derive(Default)]
struct Batches {
    full: u64,
    filling: u64,
    large: Vec<LargeUnit>,
}

impl Batches {
    fn add(&mut self, rows: u64, unit: UnitId, root: impl FnOnce() -> String) {
        self.filling += rows;
        if self.filling >= ROWS_A_BATCH {
            self.full += 1;
            self.filling = 0;
        }
        if rows > ROWS_A_BATCH {
            self.large.push(LargeUnit {
                unit,
                root: root(),
                rows,
                milliseconds: rows * MICROSECONDS_A_ROW / 1_000,
            });
        }
    }

    fn counted(mut self) -> (u64, Vec<LargeUnit>) {
        self.large
            .sort_by(|a, b| b.rows.cmp(&a.rows).then(a.unit.cmp(&b.unit)));
        (self.full + u64::from(self.filling > 0), self.large)
    }
}

impl Planner<'_> {
    /// Counts the rows of a unit that must not come back: those that have come back already stay.
    fn excluded(&mut self, unit: &UnitRows, marks: &Marks, restored: bool) {
        for (table, rows) in excluded::count(unit, marks) {
            match restored {
                true => self.excluded_but_back += rows,
                false => self.tally.of(&self.targets.tables[table].name).excluded += rows,
            }
        }
    }

    /// Counts the rows of a unit that is not tried.
    fn passed_over(&mut self, unit: &UnitRows) {
        self.parents.pending(unit.0.unit);
        for (table, rows) in &unit.1 {
            let name = &self.targets.tables[*table].name;
            self.tally.of(name).pending += rows.len() as u64;
        }
    }

    async fn batch(
        &mut self,
        session: &Session,
        batch: Batch,
        restored: &impl Fn(UnitId) -> bool,
    ) -> Result<(), RestoreError> {
        let (back, coming) = batch.split(|unit| restored(unit.unit));
        self.back(session, back).await?;
        self.coming(session, coming).await
    }

    /// Units that an earlier run brought back: they are left as they are now.
    async fn back(&mut self, session: &Session, batch: Batch) -> Result<(), RestoreError> {
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

    /// Units that are to come.
    async fn coming(&mut self, session: &Session, batch: Batch) -> Result<(), RestoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let targets = self.targets;
        let settled = self.replacements.settle(session, targets, &batch, false);
        let settled = settled.await?;
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
            self.batches.add(rows, batch.units[n].unit, root);
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
            if let Some((reason, sqlstate)) = reason {
                let root = root_name(self.targets, batch, position);
                self.out.insert(unit.unit);
                self.left_out.push((unit.unit, root, reason, sqlstate));
            }
        }
    }

    /// Rows that have come back meanwhile count as if they were still to come.
    fn id(&self, bundle: &Bundle, settings: &Settings, relinks: &RelinkOutcome) -> String {
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
        digest.update(links::digested(relinks));
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
