//! Follows references to rows that did not go in: who refers to one that is left out is left out; who refers to one that a live
//! row stands in for is pointed to that row.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use crate::bundle::Need;
use crate::ident::Key;

use super::super::look::Conflict;
use super::super::{Batch, Targets};
use super::holders::unwritable;
use super::replacements::{Fate, Fates, Replacements, Resolution, Resolved};
use super::rewrite::with_fields;

/// A batch whose references are followed.
pub(super) struct Following<'r, 'b> {
    pub(super) base: &'r Replacements,
    pub(super) targets: &'r Targets,
    pub(super) batch: Cow<'b, Batch>,
    /// What this batch adds to what is known.
    pub(super) fates: Fates,
    pub(super) resolved: Vec<Resolved>,
    /// Rows whose reference cannot be written.
    pub(super) barred: Vec<Conflict>,
    /// Its units have come back: rows with a key are there as they were recorded.
    pub(super) restored: bool,
    /// Of each row, whether it is marked: kept in step with the rows.
    pub(super) marked: Vec<Vec<bool>>,
}

/// What following one reference leads to.
enum Step {
    Skip(String),
    Point { to: Key, live: String },
    Bar(String),
}

impl<'r, 'b> Following<'r, 'b> {
    pub(super) fn new(base: &'r Replacements, targets: &'r Targets, batch: Cow<'b, Batch>) -> Self {
        Self {
            base,
            targets,
            batch,
            fates: Fates::new(),
            resolved: Vec::new(),
            barred: Vec::new(),
            restored: false,
            marked: Vec::new(),
        }
    }

    /// Until nothing new follows: within a unit, children can stand before their parents.
    pub(super) fn follow(&mut self) {
        if self.base.fates.is_empty() && self.fates.is_empty() {
            return;
        }
        self.barred.clear();
        while self.once() {}
    }

    fn once(&mut self) -> bool {
        let mut steps = Vec::new();
        for (number, reference) in self.base.references.iter().enumerate() {
            for (n, row) in self.batch.rows[reference.child].iter().enumerate() {
                let unit = self.batch.units[row.unit].unit;
                if self.restored && !self.base.touched.contains(&unit) {
                    continue;
                }
                let Some(values) = reference.referred(&row.stored) else {
                    continue;
                };
                if let Some(step) = self.step(number, values) {
                    steps.push((number, n, step));
                }
            }
        }
        let (mut gone, mut pointed) = (BTreeSet::new(), false);
        let mut touched = HashSet::new();
        // What is left out is pointed nowhere.
        steps.sort_by_key(|(.., step)| !matches!(step, Step::Skip(_)));
        for (number, n, step) in steps {
            let place = (self.base.references[number].child, n);
            match step {
                Step::Skip(parent) if self.may_skip(place) => {
                    if gone.insert(place) {
                        self.skip(place, &parent);
                    }
                }
                _ if gone.contains(&place) => {}
                Step::Skip(_) => {}
                Step::Point { to, live } => {
                    touched.insert(self.batch.rows[place.0][n].unit);
                    pointed |= self.point(number, n, to, &live);
                }
                Step::Bar(reason) => self.bar(place, reason),
            }
        }
        touched.extend(gone.iter().map(|(t, n)| self.batch.rows[*t][*n].unit));
        let more = pointed || !gone.is_empty();
        if !gone.is_empty() {
            self.remove(gone);
        }
        self.trim_needs(&touched);
        more
    }

    fn step(&self, number: usize, values: Key) -> Option<Step> {
        let at = (number, values);
        let fate = self.fates.get(&at).or_else(|| self.base.fates.get(&at))?;
        Some(match fate {
            Fate::Skipped { row } => Step::Skip(row.clone()),
            Fate::By { values, live } => Step::Point {
                to: values.clone(),
                live: live.clone(),
            },
            Fate::Barred { reason } => Step::Bar(reason.clone()),
        })
    }

    /// A row that came back is there; only of tables without a key the journal does not say which rows stayed out.
    fn may_skip(&self, (table, _): (usize, usize)) -> bool {
        !self.restored || !self.targets.tables[table].keyed()
    }

    fn skip(&mut self, (table, n): (usize, usize), parent: &str) {
        let row = &self.batch.rows[table][n];
        let name = format!("{} {}", self.targets.tables[table].name, row.key);
        let stored = row.stored.clone();
        let reason = format!("it refers to {parent}, which is left out");
        self.record((table, n), Resolution::Skipped, None, reason);
        let fate = |_| Fate::Skipped { row: name.clone() };
        self.base.note(&mut self.fates, table, &stored, fate);
    }

    /// Points a reference to a live row; whether that changed anything.
    fn point(&mut self, number: usize, n: usize, to: Key, live: &str) -> bool {
        let reference = &self.base.references[number];
        let table = reference.child;
        let unit = self.batch.rows[table][n].unit;
        if let Some(relation) = reference.manifest {
            let need = Need {
                relation,
                key: to.clone(),
                unit: None,
                identity: Vec::new(),
            };
            if !self.batch.units[unit].needs.contains(&need) {
                self.batch.to_mut().units[unit].needs.push(need);
            }
        }
        let row = &self.batch.rows[table][n];
        if reference.referred(&row.stored).as_ref() == Some(&to) {
            return false;
        }
        let target = &self.targets.tables[table];
        let stored = with_fields(&row.stored, &reference.child_fields, &to.0);
        let (key, line) = (target.key_of(&stored), target.project(&stored));
        let columns = reference.relation.child_columns.join(", ");
        let reason = format!("{columns} now refers to {live}");
        let own = target.keyed().then(|| key.clone());
        self.record((table, n), Resolution::Rewritten, own, reason);
        let row = &mut self.batch.to_mut().rows[table][n];
        row.was.get_or_insert_with(|| row.key.clone());
        (row.key, row.line, row.stored) = (key, line, stored);
        true
    }

    fn bar(&mut self, (table, n): (usize, usize), reason: String) {
        let (row, name) = (&self.batch.rows[table][n], &self.targets.tables[table].name);
        let unit = row.unit;
        if !self.barred.iter().any(|c| c.unit == unit) {
            self.barred.push(Conflict {
                unit,
                table: name.clone(),
                reason: format!("{name} {}: {reason}", row.key),
                missing_parent: false,
                sqlstate: "23503",
                row: None,
                sides: None,
            });
        }
    }

    /// Remembers what became of a row.
    pub(super) fn record(
        &mut self,
        (table, n): (usize, usize),
        state: Resolution,
        live_key: Option<Key>,
        reason: String,
    ) {
        let row = &self.batch.rows[table][n];
        self.resolved.push(Resolved {
            unit: row.unit,
            table,
            key: row.was.as_ref().unwrap_or(&row.key).clone(),
            state,
            live_key,
            reason,
        });
    }

    /// Takes rows out of the batch.
    pub(super) fn remove(&mut self, places: BTreeSet<(usize, usize)>) {
        let tables: BTreeSet<usize> = places.iter().map(|p| p.0).collect();
        for table in tables {
            let keeps = |n: &usize| !places.contains(&(table, *n));
            let mut n = 0..;
            self.batch.to_mut().rows[table].retain(|_| n.next().is_some_and(|n| keeps(&n)));
            if let Some(marked) = self.marked.get_mut(table) {
                let mut n = 0..;
                marked.retain(|_| n.next().is_some_and(|n| keeps(&n)));
            }
        }
        let units: HashSet<usize> = (0..self.batch.units.len()).collect();
        self.trim_needs(&units);
    }

    /// Forgets needs of what no row of the unit refers to any more. Where texts do not tell, they stay.
    fn trim_needs(&mut self, units: &HashSet<usize>) {
        for unit in units {
            let needs = &self.batch.units[*unit].needs;
            if needs.is_empty() {
                continue;
            }
            let kept: Vec<Need> = needs
                .iter()
                .filter(|n| self.refers(*unit, n))
                .cloned()
                .collect();
            if kept.len() < needs.len() {
                self.batch.to_mut().units[*unit].needs = kept;
            }
        }
    }

    fn refers(&self, unit: usize, need: &Need) -> bool {
        let mut references = self.base.references.iter();
        let Some(reference) = references.find(|r| r.manifest == Some(need.relation)) else {
            return true;
        };
        let rows = &self.batch.rows[reference.child];
        let mut rows = rows.iter().filter(|row| row.unit == unit);
        !reference.by_text
            || rows.any(|row| reference.referred(&row.stored).as_ref() == Some(&need.key))
    }
}

impl Replacements {
    /// What becomes of who refers to a row, over one reference, where a live row stands in for it.
    pub(super) fn replaced(
        &self,
        targets: &Targets,
        number: usize,
        live: &Key,
        values: Option<Key>,
    ) -> Fate {
        let reference = &self.references[number];
        let live = format!("{} {live}", reference.relation.parent);
        let barred = |why: String| Fate::Barred { reason: why };
        if let Some(why) = unwritable(targets, reference) {
            return barred(why);
        }
        match values {
            Some(values) => Fate::By { values, live },
            None => barred(format!(
                "{live}, in the place of the row that it refers to, has no unique value in {}, or is no longer in live",
                reference.relation.parent_columns.join(", ")
            )),
        }
    }
}
