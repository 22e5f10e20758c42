//! What an undo would do, and what it did, as people and programs read it.

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cli::args::Format;
use crate::cli::commands::given::{triggers_again, unit_time_again};
use crate::cli::context::{Context, word};
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::ident::{RunId, TableName};
use crate::journal::{MovedSequence, RunState};
use crate::pg::Target;
use crate::restore::undo::{
    Found, ObjectTotals, UndoPlan, UndoTally, Undoing, Undone, UnlinkTotals,
};

/// Kept rows named on the terminal; `plan.json` has up to a hundred.
const LISTED: usize = 10;

/// What an undo does not take back.
pub(super) fn stays(one: &MovedSequence) -> String {
    let after = one.after.map(|n| format!(" ({n})")).unwrap_or_default();
    format!(
        "sequence {} stays where the restore moved it{after}, from {}",
        one.sequence, one.before
    )
}

/// The document, for a plan (`run` is none) or a deed.
fn outcome(
    run: Option<&RunId>,
    found: &Found,
    tally: &UndoTally,
    beside: Vec<(&'static str, Value)>,
) -> Outcome {
    let mut all = vec![
        ("undoes", json!(found.restore.run)),
        ("bundle", json!(found.bundle)),
    ];
    all.extend(beside);
    Outcome {
        command: "undo",
        run: run.cloned(),
        totals: tally.total().named(),
        tables: tally
            .0
            .iter()
            .map(|(t, s)| (t.clone(), s.named()))
            .collect(),
        beside: all,
    }
}

/// A plan, and what it is about.
pub(super) struct Shown<'a> {
    pub(super) target: &'a Target,
    pub(super) bundle: &'a Bundle,
    pub(super) found: &'a Found,
    pub(super) settings: &'a Undoing,
    pub(super) plan: &'a UndoPlan,
    pub(super) moved: &'a [MovedSequence],
}

/// Shows a plan, and writes `plan.json`.
pub(super) fn show(context: &Context, shown: &Shown<'_>) -> Result<Code, Failure> {
    let Shown { found, plan, .. } = shown;
    add_up(found, plan.tally.total().sum(), plan.inserted)?;
    let beside = vec![
        (
            "unlinked",
            json!(plan.unlinks.get("unlinked").unwrap_or(&0)),
        ),
        ("unlinks", json!(plan.unlinks)),
        ("large_objects", json!(plan.large_objects)),
        ("plan", json!(true)),
        ("live", json!(shown.target.to_string())),
        ("triggers", json!(plan.triggers)),
        ("obstacles", obstacles(plan)),
        ("resumes", json!(plan.resumes)),
        ("kept", json!(plan.kept)),
        (
            "sequences",
            shown.moved.iter().map(|m| &*m.sequence).collect(),
        ),
    ];
    let outcome = outcome(None, found, &plan.tally, beside);
    let document = format!("{:#}", outcome.json());
    context.write("plan.json", document.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&document),
        Format::Text => context.ui.data(&text(shown, &outcome)),
    }
    let unlinked = plan.unlinks.get("unlinked").copied().unwrap_or_default();
    context.ui.status(&if !plan.obstacles.is_empty() {
        "nothing was changed. Carried out it would be refused, for the reasons above".to_owned()
    } else if plan.tally.total().removed + unlinked == 0 {
        "nothing was changed, and nothing is to be removed".to_owned()
    } else {
        format!(
            "nothing was changed. To carry it out: {}",
            command(context, shown)
        )
    });
    Ok(Code::Done)
}

/// The command that does it.
fn command(context: &Context, shown: &Shown<'_>) -> String {
    let (settings, defaults) = (shown.settings, Undoing::default());
    let mut words = vec![context.next(&format!("undo {} --execute", shown.found.restore.run))];
    words.extend(triggers_again(
        settings.triggers,
        &settings.accepted_triggers,
    ));
    words.extend(unit_time_again(
        settings.max_unit_time,
        defaults.max_unit_time,
    ));
    if shown.bundle.dir != context.bundle(None) {
        words.push(format!("--bundle {}", word(&shown.bundle.dir)));
    }
    words.join(" ")
}

fn obstacles(plan: &UndoPlan) -> Value {
    let each = plan.obstacles.iter();
    each.map(|(table, reason)| json!({"table": table, "reason": reason}))
        .collect()
}

fn text(shown: &Shown<'_>, outcome: &Outcome) -> String {
    let Shown { found, plan, .. } = shown;
    let mut lines = vec![
        format!(
            "on {}: what run {} inserted would be taken back",
            shown.target, found.restore.run
        ),
        String::new(),
        outcome.text(),
    ];
    if !plan.kept.is_empty() {
        lines.extend([String::new(), "kept:".to_owned()]);
        let named = plan.kept.iter().take(LISTED);
        lines.extend(named.map(|row| format!("  {} {}: {}", row.table, row.key, why(row.state))));
        let more = plan.tally.total().kept().saturating_sub(LISTED as u64);
        if more > 0 {
            lines.push(format!("  and {more} more (plan.json)"));
        }
    }
    lines.extend(of_references(&plan.unlinks, true));
    lines.extend(of_objects(&plan.large_objects));
    lines.extend(of_triggers(plan));
    lines.push(String::new());
    lines.push(
        "What triggers and the application did meanwhile does not come back; nor do sequences."
            .to_owned(),
    );
    lines.extend(shown.moved.iter().map(stays));
    lines.join("\n")
}

/// What becomes of triggers.
fn of_triggers(plan: &UndoPlan) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, reason) in &plan.obstacles {
        lines.push(format!(
            "{table}: in the way, and --execute is refused: {reason}"
        ));
    }
    let asked = |table: &TableName| plan.obstacles.iter().any(|(t, _)| t == table);
    for of in plan.triggers.iter().filter(|of| !asked(&of.table)) {
        if !of.fire.is_empty() {
            lines.push(format!(
                "{}: triggers will fire on every row deleted: {}",
                of.table,
                of.fire.join(", ")
            ));
        }
        if !of.suppressed.is_empty() {
            lines.push(format!(
                "{}: triggers are kept from firing: {}",
                of.table,
                of.suppressed.join(", ")
            ));
        }
    }
    lines
}

/// What becomes of the references that the restore filled.
fn of_references(unlinks: &UnlinkTotals, would: bool) -> Vec<String> {
    let line = |(state, n): (&String, &u64)| {
        let said = match (state.as_str(), would) {
            ("unlinked", true) => "would be NULL again",
            ("unlinked", false) => "NULL again",
            ("kept_changed", _) => {
                "kept: somebody has written to the row since, and it still points where the restore pointed it"
            }
            ("kept", _) => {
                "kept: the row could not be written to; the journal has the reason (reinstate.unlinked)"
            }
            ("elsewhere", _) => {
                "not ours any more: somebody has emptied it or pointed it elsewhere"
            }
            _ => "gone with its row",
        };
        format!(
            "{} that the restore filled: {said}",
            counted(*n, "reference")
        )
    };
    unlinks.iter().map(line).collect()
}

/// What becomes of the large objects that the restore created.
fn of_objects(objects: &ObjectTotals) -> Vec<String> {
    let line = |(state, n): (&String, &u64)| {
        let said = match state.as_str() {
            "removed" => "removed with the rows that pointed there",
            "kept_changed" => "kept: written to since, or given another owner or other rights",
            "kept_referenced" => "kept: rows point there",
            "kept" => "kept: not removable; runs/<run>.jsonl has the reasons",
            _ => "gone already",
        };
        format!(
            "{} that the restore created: {said}",
            counted(*n, "large object")
        )
    };
    objects.iter().map(line).collect()
}

fn why(state: &str) -> &'static str {
    match state {
        "kept_changed" => "edited since",
        _ => "referenced by what stays",
    }
}

/// Tells what was done.
pub(super) fn report(context: &Context, found: &Found, undone: &Undone) -> Result<(), Failure> {
    let total = undone.tally.total();
    let stopped = undone.state == RunState::Interrupted;
    if !stopped {
        add_up(found, total.sum(), undone.inserted)?;
    }
    let pending = undone.inserted.saturating_sub(total.sum());
    let beside = vec![
        (
            "unlinked",
            json!(undone.unlinks.get("unlinked").unwrap_or(&0)),
        ),
        ("unlinks", json!(undone.unlinks)),
        ("large_objects", json!(undone.large_objects)),
        ("state", json!(undone.state)),
        ("pending", json!(pending)),
    ];
    let outcome = outcome(Some(&undone.run), found, &undone.tally, beside);
    match context.format {
        Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        Format::Text => context.ui.data(&outcome.text()),
    }
    let lines = of_references(&undone.unlinks, false).into_iter();
    for line in lines.chain(of_objects(&undone.large_objects)) {
        context.ui.status(&line);
    }
    let said = if stopped {
        format!(
            "was stopped with {} pending; running the same command again goes on",
            counted(pending, "row")
        )
    } else if total.kept() > 0 {
        format!(
            "is done but for {}, kept because people have edited them or built upon them, or because they could not go; runs/{}.jsonl names them",
            counted(total.kept(), "row"),
            undone.run
        )
    } else {
        "is done".to_owned()
    };
    context.ui.status(&format!("run {} {said}", undone.run));
    Ok(())
}

fn add_up(found: &Found, sum: u64, inserted: u64) -> Result<(), Failure> {
    if sum == inserted {
        return Ok(());
    }
    Err(Failure::bug(format!(
        "the states add up to {sum} rows, but run {} inserted {inserted}: please report this",
        found.restore.run
    )))
}
