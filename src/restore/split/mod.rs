//! Units too large for one transaction come back in parts: their rows table by table, parents first, so that every part stands by
//! itself. They are whole only once the last part is there, which a plan says.
//!
//! Tables of a circle of foreign keys have no such order, though [`turns`] comes near one. There a reference is left NULL while the row that it refers to is not
//! there, and filled when all parts are ([`fill`]), before anybody calls the unit restored. Where no column of a reference may be
//! NULL, or triggers that nobody has spoken of would fire on the filling, the rows of the circle come in one part, however many.
//!
//! Everything is looked at before the first part: a unit with anything in its way is left out whole. What comes in its way later leaves
//! it in parts, and says so.

mod cut;
mod fill;
mod filling;
mod journal;
mod needs;
mod order;
mod postpone;
mod rights;
mod work;

use std::collections::BTreeMap;

use serde::Serialize;

use super::relinks::ChildTriggers;
use super::{Resolution, Resolved, Settings, TargetTable, Targets};
use crate::bundle::{Bundle, BundleError};
use crate::catalog::{Locator, Relation, Schema};
use crate::ident::{Key, TableName, UnitId};
use crate::journal::History;

use super::excluded::reference::relations;
pub(super) use cut::{Reading, Slice};
pub(super) use fill::Site;
pub(super) use needs::Needs;
pub(super) use order::turns;

/// A reference within a circle, that may be left NULL for a while.
#[derive(Debug, Clone)]
pub(super) struct Break {
    /// The table that refers.
    pub(super) child: usize,
    /// The table referred to.
    pub(super) parent: usize,
    /// Columns of the child, by place in its lines.
    places: Vec<usize>,
    /// Those that are left NULL: place and name.
    nullable: Vec<(usize, String)>,
    /// Columns of the parent, by place in its lines.
    parent_places: Vec<usize>,
    /// Looks parents up by them.
    parent_locator: Locator,
}

/// How units are split.
pub(super) struct Splitting {
    /// Units with more rows are.
    pub(super) max_rows: u64,
    /// By table: its circle, where that one comes in one part.
    pub(super) solid: Vec<Option<usize>>,
    /// By table: when its turn is.
    pub(super) turns: Vec<usize>,
    /// Why.
    reasons: BTreeMap<TableName, String>,
    pub(super) breaks: Vec<Break>,
    /// By table: what becomes of triggers when references are filled.
    pub(super) triggers: Vec<ChildTriggers>,
}

/// References that parts left NULL and nobody has filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfilled {
    /// The unit.
    pub unit: UnitId,
    /// The table, as shown.
    pub table: String,
    /// The columns that are NULL.
    pub columns: Vec<String>,
    /// In how many rows.
    pub rows: u64,
    /// The key of one of them.
    pub key: Key,
}

impl Unfilled {
    /// What is left of units that are there, by unit and columns.
    pub(super) fn of(history: &History) -> Vec<Self> {
        let whole = |unit| history.done.contains(&unit) || history.earlier.contains(&unit);
        let mut all: Vec<Self> = Vec::new();
        for of in history.postponed.iter().filter(|p| whole(p.part.unit)) {
            let Some(key) = of.keys.first() else { continue };
            let same = |u: &&mut Self| {
                (u.unit, &u.table, &u.columns) == (of.part.unit, &of.table, &of.columns)
            };
            match all.iter_mut().find(same) {
                Some(known) => known.rows += of.keys.len() as u64,
                None => all.push(Self {
                    unit: of.part.unit,
                    table: of.table.clone(),
                    columns: of.columns.clone(),
                    rows: of.keys.len() as u64,
                    key: key.clone(),
                }),
            }
        }
        all
    }
}

/// A value that another row has: what such a row met, whatever became of it.
pub(super) const TAKEN: &str = "23505";

/// Why a unit with such a row does not come in parts.
pub(super) fn whole_only(row: &Resolved) -> String {
    format!(
        "{}; of a unit that comes in parts, rows of tables that refer to each other in a circle are neither remapped nor skipped; \
         --max-unit-rows lets it come whole",
        row.reason
    )
}

impl Splitting {
    /// A row that was remapped or skipped, of a table within a circle that parts leave open.
    pub(super) fn circular<'r>(&self, resolved: &'r [Resolved]) -> Option<&'r Resolved> {
        let of_circle = |table: usize| self.breaks.iter().any(|b| b.parent == table);
        resolved
            .iter()
            .find(|row| row.state != Resolution::Rewritten && of_circle(row.table))
    }

    /// From all references that are known.
    pub(super) fn of(
        bundle: &Bundle,
        targets: &Targets,
        live: &Schema,
        settings: &Settings,
    ) -> Self {
        let triggers = |t: &TargetTable| ChildTriggers::of(&t.live, settings.said());
        // References that no foreign key guards too: an undo looks at them, and takes back part after part.
        let relations = relations(bundle, live, &settings.declared);
        let mut splitting = Self {
            max_rows: settings.max_unit_rows,
            solid: vec![None; targets.tables.len()],
            turns: turns(&bundle.manifest),
            reasons: BTreeMap::new(),
            breaks: Vec::new(),
            triggers: targets.tables.iter().map(triggers).collect(),
        };
        for (circle, tables) in targets.groups.iter().enumerate() {
            let at = |name: &TableName| {
                tables
                    .iter()
                    .copied()
                    .find(|t| targets.tables[*t].name == *name)
            };
            let within = relations.iter();
            let within = within.filter_map(|r| Some((r, at(&r.child)?, at(&r.parent)?)));
            for (key, child, parent) in within {
                if splitting.turns[parent] < splitting.turns[child] {
                    continue;
                }
                match splitting.breaking(targets, key, (child, parent)) {
                    Ok(found) => splitting.breaks.push(found),
                    Err(reason) => {
                        splitting.reasons.insert(key.child.clone(), reason);
                        tables
                            .iter()
                            .for_each(|t| splitting.solid[*t] = Some(circle));
                    }
                }
            }
        }
        splitting
    }

    fn breaking(
        &self,
        targets: &Targets,
        key: &Relation,
        (child, parent): (usize, usize),
    ) -> Result<Break, String> {
        let (child_table, parent_table) = (&targets.tables[child], &targets.tables[parent]);
        let places = |table: &TargetTable, columns: &[String]| -> Option<Vec<usize>> {
            let place = |c: &String| table.columns.iter().position(|of| of == c);
            columns.iter().map(place).collect()
        };
        let columns = key.child_columns.join(", ");
        let both =
            places(child_table, &key.child_columns).zip(places(parent_table, &key.parent_columns));
        let Some((of_child, of_parent)) = both else {
            return Err(format!("the bundle does not have all of {columns}"));
        };
        let may_be_null = |c: &&String| {
            let column = child_table.live.column(c);
            column.is_some_and(|c| !c.not_null) && !child_table.key.contains(c)
        };
        let nullable: Vec<(usize, String)> = key
            .child_columns
            .iter()
            .zip(&of_child)
            .filter(|(c, _)| may_be_null(c))
            .map(|(c, place)| (*place, c.clone()))
            .collect();
        if nullable.is_empty() {
            return Err(format!("{columns} may not be NULL for a while"));
        }
        let types = |table: &TargetTable, columns: &[String]| -> Vec<Option<String>> {
            let of = |c: &String| table.live.column(c).map(|c| c.lookup_type.clone());
            columns.iter().map(of).collect()
        };
        if types(child_table, &key.child_columns) != types(parent_table, &key.parent_columns) {
            return Err(format!(
                "{columns} is of another type than what it refers to"
            ));
        }
        if !child_table.keyed() {
            return Err("it has no key by which to find a row again".to_owned());
        }
        let rules = &child_table.live.update_rules;
        if !rules.is_empty() {
            return Err(format!(
                "rules would rewrite the UPDATE that fills {columns} ({})",
                rules.join(", ")
            ));
        }
        if self.triggers[child].obstacle.is_some() {
            return Err(format!(
                "triggers would fire when {columns} is filled, and nobody has said whether they may"
            ));
        }
        if self.triggers[child].as_replica {
            return Err(format!(
                "its UPDATE triggers are suppressed, and then the server would not check what {columns} leads to"
            ));
        }
        Ok(Break {
            child,
            parent,
            places: of_child,
            nullable,
            parent_places: of_parent,
            parent_locator: Locator::by_names(&parent_table.live, &key.parent_columns),
        })
    }

    /// Whether a unit comes in parts.
    pub(super) fn splits(&self, rows: u64) -> bool {
        rows > self.max_rows
    }

    /// Whether some unit of a bundle does.
    pub(super) fn splits_any(&self, bundle: &Bundle) -> Result<bool, BundleError> {
        for unit in bundle.units()? {
            if self.splits(unit?.rows.iter().map(|(_, rows)| rows).sum()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why rows of a unit come in one part all the same, if more of them do than a unit may have.
    pub(super) fn unsplit(&self, targets: &Targets, rows: &[(usize, u64)]) -> Option<String> {
        let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
        for (table, rows) in rows {
            if let Some(circle) = self.solid[*table] {
                *sums.entry(circle).or_default() += rows;
            }
        }
        let (circle, rows) = sums.into_iter().find(|(_, rows)| *rows > self.max_rows)?;
        let mut tables = targets.groups[circle]
            .iter()
            .map(|t| &targets.tables[*t].name);
        let (table, reason) = tables.find_map(|t| Some((t, self.reasons.get(t)?)))?;
        Some(format!("{rows} of them in one part: of {table}, {reason}"))
    }
}
