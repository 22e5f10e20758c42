//! Prints a plan, and writes `plan.json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked::as_asked;
use super::{conflicts, drift, files, relinks, sequences};
use crate::bundle::{Bundle, LeftOut};
use crate::cli::args::Format;
use crate::cli::commands::warn_of_parents;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, columns, counted, grouped, without};
use crate::cli::unknowable::lines as unknowable;
use crate::ident::TableName;
use crate::pg::Target;
use crate::restore::{LargeUnit, Plan, Settings, States, TablePlan};

/// Units listed on the terminal; all of them are in `plan.json`.
const LISTED: usize = 10;

pub(super) fn show(
    context: &Context,
    target: &Target,
    bundle: &Bundle,
    plan: &Plan,
    settings: &Settings,
) -> Result<Code, Failure> {
    let document = format!("{:#}", outcome(target, bundle, plan, settings).json());
    context.write("plan.json", document.as_bytes())?;
    files::conflicts(context, &plan.conflicts)?;
    relinks::file(context, &plan.relinks)?;
    match context.format {
        Format::Json => context.ui.data(&document),
        Format::Text => context.ui.data(&text(target, bundle, plan, settings)),
    }
    warn_of_parents(context, &bundle.manifest);
    for dropped in &plan.exclusions_dropped {
        context.ui.warning(&dropped.describe());
    }
    let relinked = plan.relinks.count("relinked");
    let refused = plan.tables.values().any(|t| t.refuses()) || !plan.exclusions_dropped.is_empty();
    context.ui.status(&match plan.tally.total().inserted {
        _ if refused => "nothing was changed, and --execute is refused until what the plan names as in the way is gone"
            .to_owned(),
        0 if relinked == 0 && plan.large_objects.is_none_or(|o| o.to_create == 0) => format!(
            "nothing was changed, and nothing is to be inserted. Next: {}",
            context.next_on("verify", &bundle.dir)
        ),
        _ => format!(
            "nothing was changed. To carry it out: {} --execute{} --plan {} --unrehearsed REASON",
            context.next_on("restore", &bundle.dir),
            as_asked(settings),
            plan.id
        ),
    });
    Ok(Code::Done)
}

fn outcome(target: &Target, bundle: &Bundle, plan: &Plan, settings: &Settings) -> Outcome {
    let left_out: Vec<Value> = plan
        .left_out
        .iter()
        .map(|(unit, root, reason, sqlstate)| {
            json!({"unit": unit, "root": root, "reason": reason, "sqlstate": sqlstate})
        })
        .collect();
    Outcome {
        command: "restore",
        run: None,
        totals: plan.tally.total().named(),
        tables: plan
            .tally
            .0
            .iter()
            .map(|(t, s)| (t.clone(), s.named()))
            .collect(),
        beside: vec![
            ("relinked", json!(plan.relinks.count("relinked"))),
            ("relinks", relinks::document(&plan.relinks)),
            ("large_objects", json!(plan.large_objects)),
            ("plan", json!(true)),
            ("plan_id", json!(plan.id)),
            ("live", json!(target.to_string())),
            ("bundle", json!(bundle.id)),
            ("batches", json!(plan.batches)),
            ("large_units", json!(plan.large_units)),
            ("resumes", json!(plan.resumes)),
            ("excluded_but_back", json!(plan.excluded_but_back)),
            ("exclusions_dropped", json!(plan.exclusions_dropped)),
            ("triggers", json!(settings.triggers)),
            ("sequences", json!(plan.sequences)),
            ("accepted_triggers", json!(settings.accepted_triggers)),
            ("checks", json!(plan.tables)),
            ("doubtful_parents", json!(bundle.manifest.doubtful_parents)),
            ("identity_unknown", json!(plan.identity_unknown)),
            ("left_out", Value::Array(left_out)),
            ("left_deleted", json!(bundle.manifest.left_out)),
            ("conflicts", json!(conflicts::by_key(&plan.conflicts))),
            ("unknowable", json!(bundle.manifest.unknowable)),
        ],
    }
}

/// Tables of which the bundle has nothing, whatever they lost.
fn not_looked_at(left_out: &[LeftOut]) -> impl Iterator<Item = String> {
    let tables = left_out.iter().filter(|l| l.rows == 0);
    tables.map(|l| {
        let LeftOut { table, reason, .. } = l;
        format!("{table} is not in the bundle, which was made without a look at it: {reason}")
    })
}

fn text(target: &Target, bundle: &Bundle, plan: &Plan, settings: &Settings) -> String {
    let mut text = vec![
        format!("plan {} for {target}", plan.id),
        format!(
            "bundle {}: {} in {}",
            &bundle.id[..8],
            counted(bundle.manifest.totals.rows, "row"),
            counted(bundle.manifest.totals.units, "unit")
        ),
        String::new(),
        table(plan),
        String::new(),
    ];
    if let Some(run) = &plan.resumes {
        text.push(format!("goes on with run {run}, which was stopped"));
    }
    text.extend(plan.tables.iter().flat_map(|(t, e)| drift::lines(t, e)));
    if plan.excluded_but_back > 0 {
        text.push(format!(
            "{} that must not come back by [[exclude]] came back before they were excluded, and stay",
            counted(plan.excluded_but_back, "row")
        ));
    }
    for table in &plan.exclusions_not_asked {
        text.push(format!(
            "[[exclude]] of {table} asks the snapshot: extract did that, and it is not asked again here"
        ));
    }
    text.extend(in_the_way(plan));
    text.extend(conflicts::lines(&plan.conflicts));
    text.extend(
        plan.sequences
            .iter()
            .map(|s| sequences::line(s, "would be")),
    );
    text.extend(relinks::lines(&plan.relinks, true));
    if let Some(objects) = plan.large_objects.filter(|o| o.to_create + o.present > 0) {
        text.push(format!(
            "{} to create, {} bytes; {} there already as in the bundle",
            counted(objects.to_create, "large object"),
            grouped(objects.bytes),
            grouped(objects.present)
        ));
    }
    for (unit, root, reason, sqlstate) in plan.left_out.iter().take(LISTED) {
        let code = sqlstate.as_deref().map(|s| format!(" [{s}]"));
        text.push(format!(
            "unit {unit} ({root}) would be left out{}: {}",
            code.unwrap_or_default(),
            without(root, reason)
        ));
    }
    if plan.left_out.len() > LISTED {
        text.push(format!(
            "… and {} more; all are in plan.json",
            counted((plan.left_out.len() - LISTED) as u64, "unit")
        ));
    }
    for (table, entry) in &plan.tables {
        let rows = plan.tally.0.get(table).map_or(0, |s| s.inserted);
        if entry.without_key && rows > 0 {
            text.push(format!(
                "{table} has no key: only the journal keeps its rows from coming back twice, not a look at what is there"
            ));
        }
    }
    if !plan.identity_unknown.is_empty() {
        let tables: Vec<String> = plan
            .identity_unknown
            .iter()
            .map(ToString::to_string)
            .collect();
        text.push(format!(
            "cannot be told: whether parents in {} are still the rows of the backup, and not others created under the same \
             keys ([[identity]] names what tells)",
            tables.join(", ")
        ));
    }
    text.extend(not_looked_at(&bundle.manifest.left_out));
    for line in bundle.manifest.unknowable.iter().flat_map(unknowable) {
        text.push(format!("cannot be known: {line}"));
    }
    text.extend(large_units(plan, settings));
    text.push(match plan.tally.total().inserted {
        0 => "nothing to insert".to_owned(),
        n => format!(
            "{} in about {}, each one transaction of about {} ms{}",
            counted(n, "row"),
            counted(plan.batches, "batch"),
            settings.target_batch.as_millis(),
            match plan.large_units.is_empty() {
                true => "",
                false => " but for the large units",
            }
        ),
    });
    text.join("\n")
}

/// What differs in live's tables themselves, and whether a run is refused because of it.
fn in_the_way(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, entry) in &plan.tables {
        lines.extend(of_triggers(table, entry));
        for column in &entry.retyped_columns {
            let then = match column.restorable {
                true => "each value has one form there",
                false => "not every value has one form there, and --execute is refused",
            };
            lines.push(format!("{table}: {}; {then}", column.describe()));
        }
    }
    lines
}

/// What becomes of a table's triggers.
fn of_triggers(table: &TableName, entry: &TablePlan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(obstacle) = &entry.obstacle {
        lines.push(format!(
            "{table}: triggers in the way, and --execute is refused: {obstacle}"
        ));
    } else if !entry.triggers.is_empty() {
        lines.push(format!(
            "{table}: triggers will fire, and what they do is not taken back by an undo: {}",
            entry.triggers.join(", ")
        ));
    }
    if !entry.suppressed_triggers.is_empty() {
        lines.push(format!(
            "{table}: triggers are kept from firing: {}; its foreign keys and deferrable constraints are verified by query",
            entry.suppressed_triggers.join(", ")
        ));
    }
    if !entry.update_triggers.is_empty() && entry.obstacle.is_none() {
        lines.push(format!(
            "{table}: triggers will fire as references are filled, and what they do is not taken back by an undo: {}",
            entry.update_triggers.join(", ")
        ));
    }
    if !entry.suppressed_update_triggers.is_empty() {
        lines.push(format!(
            "{table}: triggers are kept from firing as references are filled: {}",
            entry.suppressed_update_triggers.join(", ")
        ));
    }
    if !entry.triggers_on_undo.is_empty() {
        lines.push(format!(
            "{table}: an undo will ask what becomes of these triggers on DELETE: {}",
            entry.triggers_on_undo.join(", ")
        ));
    }
    lines
}

/// Units that no batch has room for.
fn large_units(plan: &Plan, settings: &Settings) -> Vec<String> {
    let allowed = settings.max_unit_time;
    let line = |unit: &LargeUnit| {
        let time = Duration::from_millis(unit.milliseconds);
        if unit.in_parts {
            return in_parts(unit, time);
        }
        let enough = match time > allowed {
            true => format!(
                "; longer than --max-unit-time ({allowed:?}) allows: give it more, or it is left out"
            ),
            false => String::new(),
        };
        format!(
            "unit {} ({}) is one transaction of {}{}, about {time:?}{enough}",
            unit.unit,
            unit.root,
            counted(unit.rows, "row"),
            match unit.large_object_bytes {
                0 => String::new(),
                bytes => format!(" and {} bytes of large objects", grouped(bytes)),
            }
        )
    };
    let mut lines: Vec<String> = plan.large_units.iter().take(LISTED).map(line).collect();
    if plan.large_units.len() > LISTED {
        lines.push(format!(
            "… and {} more; all are in plan.json",
            counted((plan.large_units.len() - LISTED) as u64, "large unit")
        ));
    }
    lines
}

fn in_parts(unit: &LargeUnit, time: Duration) -> String {
    let unsplit = match &unit.unsplit {
        Some(why) => format!("; {why}"),
        None => String::new(),
    };
    format!(
        "unit {} ({}) has {}, and comes back in parts, parents first, about {time:?} in all: until the last part is there, people see \
         some of it{unsplit}; --max-unit-rows lets it come whole",
        unit.unit,
        unit.root,
        counted(unit.rows, "row")
    )
}

/// Per table: what would be inserted, what is there, what is in the way. What occurs nowhere has no column.
fn table(plan: &Plan) -> String {
    const CELLS: usize = 10;
    type Cell = fn(&States, &TablePlan) -> u64;
    let cells: [(&str, Cell); CELLS] = [
        ("to insert", |s, _| s.inserted),
        ("already present", |s, _| s.already_present),
        ("remapped", |s, _| s.remapped),
        ("skipped", |s, _| s.skipped),
        ("excluded", |s, _| s.excluded),
        ("gone since", |s, _| s.gone_since),
        ("left out", |s, _| s.quarantined),
        ("not tried", |s, _| s.pending),
        ("conflicts", |_, t| t.conflicts),
        ("parents missing", |_, t| t.missing_parents),
    ];
    let counted: Vec<(String, [u64; CELLS])> = plan
        .tables
        .iter()
        // Of a table in which references are filled, no row of the bundle is counted.
        .filter(|(name, entry)| {
            plan.tally.0.contains_key(name) || entry.conflicts + entry.missing_parents > 0
        })
        .map(|(name, entry)| {
            let states = plan.tally.0.get(name).copied().unwrap_or_default();
            (
                name.to_string(),
                cells.map(|(_, cell)| cell(&states, entry)),
            )
        })
        .collect();
    let mut total = [0; CELLS];
    for (_, counts) in &counted {
        for (sum, n) in total.iter_mut().zip(counts) {
            *sum += n;
        }
    }
    let shown: Vec<usize> = (0..CELLS).filter(|i| *i == 0 || total[*i] > 0).collect();
    let line = |name: &str, counts: &[u64; CELLS]| {
        let mut line = vec![name.to_owned()];
        line.extend(shown.iter().map(|i| grouped(counts[*i])));
        line
    };
    let mut rows: Vec<Vec<String>> = counted.iter().map(|(n, c)| line(n, c)).collect();
    rows.push(line("total", &total));
    let mut head = vec!["table".to_owned()];
    head.extend(shown.iter().map(|i| cells[*i].0.to_owned()));
    columns(&head, &rows)
}
