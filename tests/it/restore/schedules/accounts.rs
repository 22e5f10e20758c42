//! What the program's own accounts of an act say that it met.

use std::collections::BTreeSet;

use super::memory::Memory;
use super::scene::{Act, Scene};
use super::tally::Tally;
use crate::restore::Ledger;

/// Of a restore.
pub(super) fn of_restore(scene: &Scene, act: &Act, met: &mut Tally) {
    let ledger = Ledger::of(&act.output);
    for (state, what) in [
        ("pending", "rows pending"),
        ("quarantined", "rows quarantined"),
        ("remapped", "rows remapped"),
        ("skipped", "rows skipped"),
    ] {
        add(met, what, ledger.total(state));
    }
    add(
        met,
        "references filled",
        ledger.get("relinked").as_u64().unwrap_or(0),
    );
    in_the_way(scene, &act.memories, met);
    retried(scene, met);
}

/// Of an undo.
pub(super) fn of_undo(act: &Act, met: &mut Tally) {
    let ledger = Ledger::of(&act.output);
    for (state, what) in [
        ("removed", "undo removed"),
        ("kept_changed", "undo kept: changed"),
        ("kept_referenced", "undo kept: referenced"),
    ] {
        add(met, what, ledger.total(state));
    }
}

/// Dossiers that met a row of the application under their key, or with their e-mail.
fn in_the_way(scene: &Scene, memories: &[Memory], met: &mut Tally) {
    let replaced: BTreeSet<u64> = memories.iter().flat_map(|m| &m.replaced).copied().collect();
    let resolved = "union select key from reinstate.resolved where table_name like '%dossiers%'";
    let keys = "select root_key from reinstate.quarantined where sqlstate = '23505'";
    let sql = match scene.on_conflict {
        "quarantine" => keys.to_owned(),
        _ => format!("{keys} {resolved}"),
    };
    for key in scene.incident.live.query_text(&sql).lines() {
        let digits: String = key.chars().filter(char::is_ascii_digit).collect();
        met.met(
            match digits.parse().is_ok_and(|id| replaced.contains(&id)) {
                true => "key created first",
                false => "e-mail taken first",
            },
        );
    }
}

/// Batches that were rolled back and tried again, by the record of the run.
fn retried(scene: &Scene, met: &mut Tally) {
    let directory = std::fs::read_dir(scene.incident.case.file("runs"));
    for file in directory.into_iter().flatten() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let events = text.lines().map(serde_json::from_str::<serde_json::Value>);
        for event in events.map_while(Result::ok) {
            match event["event"].as_str() {
                Some("batch_committed") => met.met("batches"),
                Some("batch_retried") => {
                    let reason = event["reason"].as_str().unwrap_or_default();
                    met.met("batch tried again");
                    add(
                        met,
                        "batch gave way to a lock",
                        u64::from(reason.contains("lock")),
                    );
                }
                _ => {}
            }
        }
    }
}

fn add(met: &mut Tally, what: &'static str, so_many: u64) {
    if so_many > 0 {
        met.add(what, so_many);
    }
}
