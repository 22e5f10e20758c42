//! Exclusions that were in force before and that the configuration no longer has: nothing would ask them, and what they name
//! would come back without a word.

use serde::Serialize;

use crate::bundle::{Bundle, ManifestExclusion};
use crate::evidence::Exclusion;
use crate::ident::TableName;
use crate::journal::{self, JournalError, Store};
use crate::pg::Session;

/// An exclusion that is gone from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Its table.
    pub table: TableName,
    /// Its reason.
    pub reason: String,
    /// Where it was in force: in the bundle, or in an earlier run.
    pub known_from: String,
}

impl Dropped {
    /// For people, with the way out.
    pub fn describe(&self) -> String {
        format!(
            "[[exclude]] of {} ({}) was in force {}, and the configuration has it no longer: what it names now would come back. \
             Put it back, with that table and reason; if it is to hold no more, extract again without it",
            self.table, self.reason, self.known_from
        )
    }
}

/// Those that the bundle or an earlier run of it knows, each once. Reads the journal, where there is one.
pub async fn dropped(
    session: &Session,
    bundle: &Bundle,
    exclusions: &[Exclusion],
) -> Result<Vec<Dropped>, JournalError> {
    let mut known = vec![("when the bundle was made".to_owned(), of_bundle(bundle))];
    if journal::exists(session).await? {
        for (run, stated) in Store::new(session).exclusions(&bundle.id).await? {
            let stated = stated.into_iter().filter_map(|(table, reason)| {
                let table: TableName = table.parse().ok()?;
                let table = bundle.renames.table(&table).clone();
                Some(ManifestExclusion { table, reason })
            });
            known.push((format!("in run {run}"), stated.collect()));
        }
    }
    let mut dropped: Vec<Dropped> = Vec::new();
    for (known_from, stated) in known {
        for ManifestExclusion { table, reason } in lacking(stated, exclusions) {
            let same = |d: &Dropped| d.table == table && d.reason == reason;
            if !dropped.iter().any(same) {
                let known_from = known_from.clone();
                dropped.push(Dropped {
                    table,
                    reason,
                    known_from,
                });
            }
        }
    }
    Ok(dropped)
}

/// Those that are not there now: as many of one table and reason must be as were.
fn lacking(stated: Vec<ManifestExclusion>, exclusions: &[Exclusion]) -> Vec<ManifestExclusion> {
    let mut now: Vec<&Exclusion> = exclusions.iter().collect();
    let there = |stated: &ManifestExclusion| {
        let same = |e: &&Exclusion| e.table == stated.table && e.reason == stated.reason;
        now.iter()
            .position(same)
            .map(|at| now.swap_remove(at))
            .is_some()
    };
    let (_, lacking) = stated.into_iter().partition(there);
    lacking
}

/// Bundles of earlier builds say it only where rows were left out.
fn of_bundle(bundle: &Bundle) -> Vec<ManifestExclusion> {
    let manifest = &bundle.manifest;
    if !manifest.exclusions.is_empty() {
        return manifest.exclusions.clone();
    }
    let left_out = manifest.left_out.iter();
    let stated = left_out.filter_map(|left| {
        Some(ManifestExclusion {
            table: left.table.clone(),
            reason: left.reason.strip_prefix("excluded: ")?.to_owned(),
        })
    });
    stated.collect()
}
