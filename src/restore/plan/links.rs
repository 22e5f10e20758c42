//! What a plan says of references that the deletion set to NULL.

use super::planner::Planner;
use crate::bundle::{Bundle, UnitRows};
use crate::pg::Session;
use crate::restore::excluded::Marks;
use crate::restore::relinks::{Foreseeing, Links, Past};
use crate::restore::{RelinkOutcome, RestoreError, Settings};

impl Planner<'_> {
    /// Rows of tables that references are filled in have triggers too.
    pub(super) fn update_triggers(&mut self, links: &Links) {
        for (table, triggers) in links.triggers() {
            let entry = self.tables.entry(table).or_default();
            entry.update_triggers.clone_from(&triggers.fire);
            entry
                .suppressed_update_triggers
                .clone_from(&triggers.suppressed);
            entry.obstacle = entry.obstacle.take().or(triggers.obstacle.clone());
        }
    }

    /// Notes rows that do not come with their unit.
    pub(super) fn lost(&mut self, unit: &UnitRows, marks: &Marks) {
        for ((table, lines), marks) in unit.1.iter().zip(marks) {
            let target = &self.targets.tables[*table];
            let excluded = lines.iter().zip(marks).filter(|(_, marked)| **marked);
            for (line, _) in excluded {
                self.parents.lost(*table, target.key_of(line));
            }
        }
    }

    /// What would become of the references, once every unit was looked at. Runs are `known` to the journal.
    pub(super) async fn relinks(
        &self,
        session: &Session,
        (bundle, settings): (&Bundle, &Settings),
        links: &Links,
        known: bool,
    ) -> Result<RelinkOutcome, RestoreError> {
        let past = match known {
            true => Past::read(session, &bundle.id).await?,
            false => Past::default(),
        };
        let foreseeing = Foreseeing {
            session,
            bundle,
            targets: self.targets,
            links,
            parents: &self.parents,
            past: &past,
        };
        foreseeing.all(settings.relinks).await
    }
}

/// What the plan's id takes of them: those filled meanwhile count as if they were still to be filled.
pub(super) fn digested(relinks: &RelinkOutcome) -> String {
    let mode = relinks.mode.name();
    let lines = relinks.tables.iter().map(|(table, states)| {
        let of = |state: &str| states.get(state).copied().unwrap_or_default();
        let filled = of("relinked") + of("as_before");
        format!("relinks {mode} {table} {filled}\n")
    });
    lines.collect()
}
