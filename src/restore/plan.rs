//! What a restore would do, without doing it.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bundle::{Bundle, UnitRows};
use crate::ident::{TableName, UnitId};
use crate::pg::Session;

use super::excluded::{self, Excluded, Marks};
use super::look::{Presence, look};
use super::prepare::prepare;
use super::{Batch, Conflict, RestoreError, Settings, Tally, Targets};

/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;
/// Rows that fit in a batch, for the estimate; the real number adapts.
const ROWS_A_BATCH: u64 = 1_000;

/// One table of a plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TablePlan {
    /// Units that something of this table is in the way of.
    pub conflicts: u64,
    /// Rows of this table that units reference and live lacks.
    pub missing_parents: u64,
    /// Columns of the bundle that live lacks.
    pub dropped_columns: Vec<String>,
    /// Its rows are a bag: what came back by other means is not seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_key: bool,
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
    /// Batches, about.
    pub batches: u64,
    /// The run that would be resumed.
    pub resumes: Option<String>,
    /// Rows that must not come back, of units that an earlier run restored.
    pub excluded_but_back: u64,
    /// Tables whose exclusions are a query on the snapshot, which only `extract` asks.
    pub exclusions_not_asked: Vec<TableName>,
}

/// Plans; reads only.
pub async fn plan(
    session: &Session,
    bundle: &Bundle,
    settings: &Settings,
) -> Result<Plan, RestoreError> {
    let prepared = prepare(session, bundle).await?;
    let mut excluded =
        Excluded::ask(session, bundle, &prepared.targets, &settings.exclusions).await?;
    let mut planner = Planner {
        targets: &prepared.targets,
        tally: Tally::default(),
        tables: BTreeMap::new(),
        left_out: Vec::new(),
        out: HashSet::new(),
        excluded_but_back: 0,
    };
    for target in &prepared.targets.tables {
        planner.tally.of(&target.name);
        let entry = planner.tables.entry(target.name.clone()).or_default();
        entry.dropped_columns = target.dropped.clone();
        entry.without_key = !target.keyed();
    }
    let restored =
        |unit| prepared.history.done.contains(&unit) || prepared.history.earlier.contains(&unit);
    let mut rows = bundle.read()?;
    let (mut pending, mut size) = (Vec::new(), 0);
    while let Some(unit) = rows.next_unit()? {
        let marks = excluded.marks(&unit);
        planner.excluded(&unit, &marks, restored(unit.0.unit));
        // What has come back already is looked at as it is.
        let unit = match restored(unit.0.unit) {
            true => unit,
            false if excluded::whole(&marks) => continue,
            false => excluded.without(unit, &marks),
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
    let id = planner.id(bundle);
    let Planner {
        tally,
        tables,
        left_out,
        excluded_but_back,
        ..
    } = planner;
    let to_insert = tally.total().inserted;
    Ok(Plan {
        id,
        tables,
        left_out,
        batches: to_insert.div_ceil(ROWS_A_BATCH),
        resumes: prepared
            .last
            .filter(|r| r.state.unfinished())
            .map(|r| r.run.0),
        tally,
        excluded_but_back,
        exclusions_not_asked: excluded.not_asked,
    })
}

struct Planner<'a> {
    targets: &'a Targets,
    tally: Tally,
    tables: BTreeMap<TableName, TablePlan>,
    left_out: Vec<(UnitId, String, String, Option<String>)>,
    out: HashSet<UnitId>,
    excluded_but_back: u64,
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

    async fn batch(
        &mut self,
        session: &Session,
        batch: Batch,
        restored: &impl Fn(UnitId) -> bool,
    ) -> Result<(), RestoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let looked = look(session, self.targets, &batch, false).await?;
        let mut why: BTreeMap<usize, &Conflict> = BTreeMap::new();
        for conflict in &looked.conflicts {
            if restored(batch.units[conflict.unit].unit) {
                continue;
            }
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
                let root = format!(
                    "{} {}",
                    self.targets.tables[unit.root.table].name, unit.root.key
                );
                self.out.insert(unit.unit);
                self.left_out.push((unit.unit, root, reason, sqlstate));
            }
        }
        for (table, (rows, presence)) in self
            .targets
            .tables
            .iter()
            .zip(batch.rows.iter().zip(&looked.presence))
        {
            let states = self.tally.of(&table.name);
            for (row, presence) in rows.iter().zip(presence) {
                let unit = batch.units[row.unit].unit;
                match presence {
                    _ if self.out.contains(&unit) => states.quarantined += 1,
                    // What an earlier run brought back is left as it is now.
                    Presence::Absent if restored(unit) && table.keyed() => states.gone_since += 1,
                    Presence::Absent if restored(unit) => states.already_present += 1,
                    Presence::Absent => states.inserted += 1,
                    Presence::Same | Presence::Other => states.already_present += 1,
                }
            }
        }
        Ok(())
    }

    /// Rows that have come back meanwhile count as if they were still to come.
    fn id(&self, bundle: &Bundle) -> String {
        let mut digest = Sha256::new();
        digest.update(&bundle.id);
        for (table, states) in &self.tally.0 {
            let coming = states.inserted + states.already_present;
            digest.update(format!(
                "{table} {coming} {} {} {}\n",
                states.gone_since, states.quarantined, states.excluded
            ));
        }
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
