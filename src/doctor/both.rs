//! The two sides together: what can be compared, and what has drifted apart.

use crate::catalog::{Drift, Rename, Schema, compare, guess_renames};
use crate::ident::TableName;

use super::{Findings, Level, Side};

pub(super) fn look(snapshot: &Schema, live: &Schema, findings: &mut Findings) {
    let pairs = compare(snapshot, live);
    let compared = pairs.iter().filter(|(_, pair)| pair.is_ok()).count();
    let with = |wanted: Drift| -> Vec<TableName> {
        pairs
            .iter()
            .filter(|(_, pair)| pair.as_ref().is_err_and(|drift| *drift == wanted))
            .map(|(name, _)| name.clone())
            .collect()
    };
    if compared == 0 {
        findings
            .add(
                Level::Problem,
                Side::Both,
                "nothing_in_common",
                "no table can be compared",
            )
            .advice("is one of them the wrong database, or still empty?");
    } else {
        let text = format!("{compared} tables can be compared");
        findings.add(Level::Good, Side::Both, "comparable", text);
    }
    findings.about_tables(
        Level::Warning,
        Side::Both,
        "only_in_snapshot",
        "only in the snapshot",
        with(Drift::OnlyInSnapshot),
        "a dropped table must be created again before its rows can come back; one that was renamed is stated: [[rename]]",
    );
    findings.about_tables(
        Level::Note,
        Side::Both,
        "only_in_live",
        "only in live",
        with(Drift::OnlyInLive),
        "made since the backup: nothing to give back",
    );
    for guess in guess_renames(snapshot, live) {
        let (text, table) = match guess {
            Rename::Table { from, to } => (
                format!("{from}, which live lacks, may be live's {to}: they have the same columns"),
                to,
            ),
            Rename::Column { table, from, to } => (
                format!(
                    "{table}: {from}, which live lacks, may be live's {to}: they have the same type"
                ),
                table,
            ),
        };
        findings
            .add(Level::Warning, Side::Both, "renamed", text)
            .advice("if it was renamed since the backup, say so: [[rename]] in reinstate.toml (docs/DRIFT.md)")
            .tables = vec![table];
    }
    for (name, pair) in &pairs {
        if let Ok(pair) = pair
            && let Some(drift) = pair.drift.sentence()
        {
            findings
                .add(Level::Note, Side::Both, "drift", format!("{name}: {drift}"))
                .advice("common columns are compared and restored")
                .tables = vec![name.clone()];
        }
    }
}
