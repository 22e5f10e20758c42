//! Evidence as the bundle records it: of units, of rows that differ from their unit's root, and in sum.

use std::collections::BTreeMap;

use crate::bundle::{Evidence, RowEvidence, SourceSum};
use crate::closure::{Unit, Units};
use crate::diff::Candidates;
use crate::evidence::{Finding, Findings, Sources};

/// What is known of a row, in the bundle's words.
pub(super) fn evidence(finding: &Finding) -> Evidence {
    let interval = finding.interval();
    Evidence {
        from: interval.from.map(|t| t.to_string()),
        to: interval.to.to_string(),
        source: finding.sources().to_string(),
        transaction: finding.transaction(),
        contradicted: finding.contradicted(),
    }
}

/// What is known of the rows of a unit, in runs of rows of which the same is known; nothing where that is what is known of
/// the root. `place` is a table's place in the manifest.
pub(super) fn of_rows(
    unit: &Unit<'_>,
    findings: &Findings,
    candidates: &Candidates,
    place: impl Fn(usize) -> Option<usize>,
) -> Vec<RowEvidence> {
    let root = findings.of(unit.root);
    if unit.rows.iter().all(|row| findings.of(*row) == root) {
        return Vec::new();
    }
    let mut runs: Vec<(usize, u64, &Finding)> = Vec::new();
    for row in unit.rows {
        let Some(table) = place(candidates.place(*row).0) else {
            continue;
        };
        let finding = findings.of(*row);
        match runs.last_mut() {
            Some((t, rows, f)) if *t == table && *f == finding => *rows += 1,
            _ => runs.push((table, 1, finding)),
        }
    }
    runs.into_iter()
        .map(|(table, rows, finding)| RowEvidence {
            table,
            rows,
            evidence: evidence(finding),
        })
        .collect()
}

/// How many rows of the units each combination of sources dates.
pub(super) fn sums(units: &Units, findings: &Findings) -> Vec<SourceSum> {
    let mut sums: BTreeMap<Sources, SourceSum> = BTreeMap::new();
    for (node, finding) in findings.iter().enumerate() {
        if units.unit_of(node as u32).is_none() {
            continue;
        }
        let sum = sums.entry(finding.sources()).or_insert_with(|| SourceSum {
            source: finding.sources().to_string(),
            rows: 0,
            with_transaction: 0,
            contradicted: 0,
        });
        sum.rows += 1;
        sum.with_transaction += u64::from(finding.transaction().is_some());
        sum.contradicted += u64::from(finding.contradicted());
    }
    sums.into_values().collect()
}
