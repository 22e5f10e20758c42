//! What a restore would do, without doing it.

mod batches;
mod large;
mod links;
mod objects;
mod planner;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::bundle::{Bundle, UnitRows};
use crate::ident::{TableName, UnitId};
use crate::pg::Session;

use super::excluded::{self, Dropped, Excluded, dropped};
use super::prepare::prepare;
use super::relinks::{Links, Parents};
use super::split::Splitting;
use super::suppressed::Guards;
use super::triggers::Treatment;
use super::{
    Added, Batch, Met, RelinkOutcome, Relinking, RestoreError, Retyped, SequenceMove, Settings,
    Tally, fill, refusal, sequences,
};
use batches::Batches;
use large::Looking;
pub use objects::ObjectPlan;
use objects::PlannedObjects;
use planner::Planner;

/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;

/// One table of a plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TablePlan {
    /// Units that something of this table is in the way of.
    pub conflicts: u64,
    /// Rows of this table that units reference and live lacks.
    pub missing_parents: u64,
    /// Columns of the bundle that live lacks.
    pub dropped_columns: Vec<String>,
    /// Columns that live computes by now (GENERATED ALWAYS AS), whatever the bundle has there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computed_columns: Vec<String>,
    /// Columns that live has and the bundle has not, and where their values come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_columns: Vec<Added>,
    /// What the backup called the table, where that was otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<TableName>,
    /// Columns that the backup called otherwise: its name, live's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed_columns: Vec<(String, String)>,
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

/// A unit that is more than a batch: one transaction all the same, or parts.
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
    /// Bytes of large objects to create.
    #[serde(skip_serializing_if = "is_zero")]
    pub large_object_bytes: u64,
    /// It has more rows than a unit may have, and comes in parts: it is not there whole until the last one is.
    pub in_parts: bool,
    /// Why rows of it come in one part all the same, if more do than a unit may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsplit: Option<String>,
}

// What serde calls has this form.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
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
    /// Large objects to be created, and those there already; of units that are to come.
    pub large_objects: Option<ObjectPlan>,
}

/// Plans; reads only.
pub async fn plan(
    session: &Session,
    bundle: &Bundle,
    settings: &Settings,
) -> Result<Plan, RestoreError> {
    let mut prepared = prepare(session, bundle, &settings.fills).await?;
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
        gates: refusal::find(session, bundle, targets).await?,
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
        objects: PlannedObjects::default(),
    };
    let in_bundle = bundle.manifest.tables.iter();
    for (target, stored) in prepared.targets.tables.iter().zip(in_bundle) {
        planner.tally.of(&target.name);
        let entry = planner.tables.entry(target.name.clone()).or_default();
        entry.dropped_columns = target.dropped.clone();
        entry.computed_columns = target.computed.clone();
        entry.retyped_columns = target.retyped.clone();
        entry.added_columns = fill::added(stored, &target.live, &target.fills);
        let before = bundle.names_in_snapshot(stored);
        entry.renamed_from = Some(before.0).filter(|name| *name != target.name);
        entry.renamed_columns = before.1;
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
    let splitting = Splitting::of(bundle, targets, live, settings);
    let known = (targets, &prepared.history);
    splitting.rights(session, bundle, known).await?;
    let looking = Looking {
        session,
        bundle,
        prepared: &prepared,
        splitting: &splitting,
    };
    while let Some(record) = rows.next_record()? {
        if splitting.splits(record.rows.iter().map(|(_, rows)| rows).sum()) {
            let before = std::mem::take(&mut pending);
            let before = Batch::new(before, planner.targets);
            planner.batch(session, before, &restored).await?;
            size = 0;
            let unit = planner.large(&looking, &record, &mut excluded, &mut numbering);
            unit.await?;
            continue;
        }
        let unit = rows.with_rows(record)?;
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
    let targets_have_objects = prepared.targets.objects.is_some();
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
        objects,
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
        large_objects: targets_have_objects.then(|| objects.plan()),
    })
}

/// Where not all units come, what one needs of another that does not is looked for in live.
fn alone(mut unit: UnitRows, comes: impl Fn(UnitId) -> bool) -> UnitRows {
    for need in &mut unit.0.needs {
        need.unit = need.unit.filter(|u| comes(*u));
    }
    unit
}
