//! What must hold after an act, by plain SQL and by what each session remembers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::causes::unexplained;
use super::memory::Memory;
use super::scene::{Act, Scene};
use super::script::{DOSSIERS, NOTES};
use super::tally::Tally;
use crate::restore::Ledger;
use crate::support::{Output, TestDb};

/// The longest that a statement may take beyond what the application's own sessions hold: a unit alone has two seconds (three, where a
/// seed says so), and the machine may be busy.
const BOUND: Duration = Duration::from_secs(5);

/// The states of a row of the bundle, of which it has one.
const STATES: &[&str] = &[
    "inserted",
    "already_present",
    "remapped",
    "excluded",
    "gone_since",
    "skipped",
    "quarantined",
    "pending",
];

/// Every row of the bundle in one state.
#[track_caller]
pub(super) fn settled(output: &Output, bundle: u64) -> Ledger {
    assert!([0, 4].contains(&output.code), "{output:#?}");
    let ledger = Ledger::of(output);
    let sum: u64 = STATES.iter().map(|s| ledger.total(s)).sum();
    assert_eq!(sum, bundle, "states add up: {output:#?}");
    ledger
}

/// Nobody was refused without a cause, nor waited for long; what they met is added up.
pub(super) fn promised(act: &Act, met: &mut Tally) {
    let memories = &act.memories;
    let mut surprises: Vec<&str> = act.surprises.iter().map(String::as_str).collect();
    surprises.extend(
        memories
            .iter()
            .flat_map(|m| &m.surprises)
            .map(String::as_str),
    );
    surprises.extend(unexplained(memories));
    assert!(surprises.is_empty(), "{surprises:#?}");
    met.extend(&act.met);
    for memory in memories {
        met.extend(&memory.met);
        for (span, sql) in &memory.long {
            let others = memories.iter().flat_map(|m| &m.holds).copied().collect();
            let waited = span.beyond(others);
            assert!(waited < BOUND, "{sql} took {waited:?} beyond all holds");
            met.waited(waited);
        }
    }
}

fn replaced(memories: &[Memory]) -> BTreeSet<u64> {
    let all = memories.iter().flat_map(|m| m.replaced.iter().copied());
    all.collect()
}

/// No write of the application is lost.
pub(super) fn nothing_lost(scene: &Scene, memories: &[Memory]) {
    let replaced = replaced(memories);
    let mut all = Vec::new();
    let mut holds = |what: String, query: String, value: String| {
        all.push((what, format!("({query}) = '{value}'")));
    };
    for (s, memory) in memories.iter().enumerate() {
        for (id, n) in &memory.users {
            let query = format!("select v{s}::text from users where id = {id}");
            holds(format!("user {id} by session {s}"), query, n.to_string());
        }
        let stayed = |id: &u64| !replaced.contains(id);
        for (id, n) in memory.dossiers.iter().filter(|(id, _)| stayed(id)) {
            let query = format!("select v{s}::text from dossiers where id = {id}");
            holds(format!("dossier {id} by session {s}"), query, n.to_string());
        }
        for (id, (_, value)) in memory.champs.iter().filter(|(_, (d, _))| stayed(d)) {
            let query = format!("select value from champs where id = {id}");
            holds(format!("champ {id} by session {s}"), query, value.clone());
        }
        for (id, dossier) in memory.notes.iter().filter(|(_, d)| stayed(d)) {
            let query = format!("select dossier_id::text from notes where id = {id}");
            holds(
                format!("note {id} by session {s}"),
                query,
                dossier.to_string(),
            );
        }
        for id in &memory.people {
            let query = format!("select title from dossiers where id = {id}");
            holds(
                format!("person {id} by session {s}"),
                query,
                "new".to_owned(),
            );
        }
        for id in &memory.created {
            let query = format!("select title from dossiers where id = {id}");
            holds(
                format!("new dossier {id} by session {s}"),
                query,
                format!("recreated by {s}"),
            );
        }
        for id in &memory.deleted {
            let query = format!("select count(*)::text from dossiers where id = {id}");
            holds(
                format!("dossier {id}, deleted by session {s}"),
                query,
                "0".to_owned(),
            );
        }
    }
    all_hold(&scene.incident.live, &all);
}

/// Each dossier that nobody has deleted or created anew is back, with all that belongs to it, each row once; or, where its e-mail is
/// taken, nothing of it.
pub(super) fn back_and_whole(scene: &Scene, memories: &[Memory]) {
    if scene.parts || scene.on_conflict == "skip" {
        return;
    }
    let replaced = replaced(memories);
    let whole = |id: &u64| {
        let found = format!(
            "concat_ws('|',
                (select count(*) from dossiers where id = {id}),
                (select count(*) from champs where dossier_id = {id} and id <= 4 * {DOSSIERS}),
                (select count(*) from champs h join comments c on c.champ_id = h.id where h.dossier_id = {id} and h.id <= 4 * {DOSSIERS}),
                (select count(*) from log where dossier_id = {id}))"
        );
        // Only a new owner of its e-mail can be in its way.
        let taken =
            format!("exists (select from dossiers where email = 'mail {id}' and id <> {id})");
        let holds = format!("{found} = case when {taken} then '0|0|0|0' else '1|4|4|3' end");
        (format!("dossier {id}"), holds)
    };
    let all: Vec<_> = scene.lost.difference(&replaced).map(whole).collect();
    all_hold(&scene.incident.live, &all);
}

/// Each note that nobody has pointed elsewhere refers to its dossier again, where that is back, or still to nothing, where nothing was
/// to be filled.
pub(super) fn relinked(scene: &Scene, memories: &[Memory], met: &mut Tally) {
    let replaced = replaced(memories);
    let dossier = |note: u64| 1 + note % DOSSIERS;
    let pointed = |note: &u64| memories.iter().any(|m| m.notes.contains_key(note));
    let notes = (1..=NOTES).filter(|n| !pointed(n) && scene.lost.contains(&dossier(*n)));
    let live = &scene.incident.live;
    if scene.relinks == "none" {
        let nothing = |n| {
            (
                format!("note {n}"),
                format!("(select dossier_id from notes where id = {n}) is null"),
            )
        };
        all_hold(live, &notes.map(nothing).collect::<Vec<_>>());
        return;
    }
    let notes = notes.filter(|n| !replaced.contains(&dossier(*n)));
    let filled = |n| {
        let d = dossier(n);
        let there = format!("exists (select from dossiers where id = {d})");
        let note = format!("(select dossier_id from notes where id = {n})");
        (
            format!("note {n}"),
            format!("not {there} or {note} is not distinct from {d}"),
        )
    };
    all_hold(live, &notes.map(filled).collect::<Vec<_>>());
    let sql = "select count(*) from notes n where dossier_id > 0 and text = 'note' and 1 + id % 24 = dossier_id";
    met.add(
        "references as before",
        u64::try_from(live.count(sql)).unwrap(),
    );
}

/// Conditions, all asked at once.
fn all_hold(live: &TestDb, conditions: &[(String, String)]) {
    if conditions.is_empty() {
        return;
    }
    let row = |(what, holds): &(String, String)| {
        format!(
            "('{what}', ({holds}), '{}')",
            holds.replace('\'', "\"").replace('\n', " ")
        )
    };
    let rows: Vec<String> = conditions.iter().map(row).collect();
    let sql = format!(
        "select what || ': ' || condition from (values {}) v(what, holds, condition) where holds is not true",
        rows.join(", ")
    );
    assert_eq!(live.query_text(&sql), "", "what does not hold");
}
