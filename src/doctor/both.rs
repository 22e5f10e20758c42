//! The two sides together: what can be compared, and what has drifted apart.

use crate::catalog::{Drift, Schema, compare};
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
        "a dropped table must be created again before its rows can come back",
    );
    findings.about_tables(
        Level::Note,
        Side::Both,
        "only_in_live",
        "only in live",
        with(Drift::OnlyInLive),
        "made since the backup: nothing to give back",
    );
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
