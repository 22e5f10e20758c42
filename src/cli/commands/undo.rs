//! `undo`: prints what taking a restore back would remove; with `--execute`, does it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cli::args::{self, Format};
use crate::cli::context::{Context, word};
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::event::Event;
use crate::ident::RunId;
use crate::journal::{MovedSequence, NewRun, RunState, SequenceMoves};
use crate::pg::{Access, Conninfo, Target};
use crate::restore::Interrupt;
use crate::restore::undo::{
    Asked, Found, ObjectTotals, UndoPlan, UndoTally, Undoing, Undone, UnlinkTotals, find, plan,
    undo,
};

use super::build;
use super::recorder::Recorder;
use super::renamed::renamed;
use super::restore::{files, listen_for_signals, open_bundle};

/// Kept rows named on the terminal; `plan.json` has up to a hundred.
const LISTED: usize = 10;

pub(super) async fn run(context: &Context, args: args::Undo) -> Result<Code, Failure> {
    let conninfo = context.live()?;
    let session = context.open(&conninfo, Access::Reading, "plan").await?;
    super::refuse_snapshot(context, &session).await?;
    let asked = match &args.run {
        Some(run) => Asked::Run(RunId(run.clone())),
        None => Asked::Last,
    };
    let found = find(&session, &asked).await?;
    let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await;
    let bundle = bundle.map_err(|e| e.hint("--bundle DIR names the bundle that was restored"))?;
    let bundle = renamed(context, &session, bundle).await?;
    let settings = Undoing {
        declared: context.config.relations.clone(),
        ..Undoing::default()
    };
    let moved = SequenceMoves::new(&session);
    let moved = moved.of(&found.restore.run).await?;
    if !args.execute {
        let plan = plan(&session, &bundle, &found, &settings.declared).await?;
        return show(context, session.target(), &bundle, &found, &plan, &moved);
    }
    drop(session);
    let code = carry_out(context, &conninfo, &bundle, &found, &settings).await?;
    for one in &moved {
        context.ui.status(&stays(one));
    }
    Ok(code)
}

/// What an undo does not take back.
fn stays(one: &MovedSequence) -> String {
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

fn show(
    context: &Context,
    target: &Target,
    bundle: &Bundle,
    found: &Found,
    plan: &UndoPlan,
    moved: &[MovedSequence],
) -> Result<Code, Failure> {
    add_up(found, plan.tally.total().sum(), plan.inserted)?;
    let beside = vec![
        (
            "unlinked",
            json!(plan.unlinks.get("unlinked").unwrap_or(&0)),
        ),
        ("unlinks", json!(plan.unlinks)),
        ("large_objects", json!(plan.large_objects)),
        ("plan", json!(true)),
        ("live", json!(target.to_string())),
        ("resumes", json!(plan.resumes)),
        ("kept", json!(plan.kept)),
        ("sequences", moved.iter().map(|m| &*m.sequence).collect()),
    ];
    let outcome = outcome(None, found, &plan.tally, beside);
    let document = format!("{:#}", outcome.json());
    context.write("plan.json", document.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&document),
        Format::Text => context.ui.data(&text(target, found, plan, &outcome, moved)),
    }
    let unlinked = plan.unlinks.get("unlinked").copied().unwrap_or_default();
    context
        .ui
        .status(&match plan.tally.total().removed + unlinked {
            0 => "nothing was changed, and nothing is to be removed".to_owned(),
            _ => format!(
                "nothing was changed. To carry it out: {} --execute{}",
                context.next(&format!("undo {}", found.restore.run)),
                match bundle.dir == context.bundle(None) {
                    true => String::new(),
                    false => format!(" --bundle {}", word(&bundle.dir)),
                }
            ),
        });
    Ok(Code::Done)
}

fn text(
    target: &Target,
    found: &Found,
    plan: &UndoPlan,
    outcome: &Outcome,
    moved: &[MovedSequence],
) -> String {
    let mut lines = vec![
        format!(
            "on {target}: what run {} inserted would be taken back",
            found.restore.run
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
    lines.push(String::new());
    lines.push(
        "What triggers and the application did meanwhile does not come back; nor do sequences."
            .to_owned(),
    );
    lines.extend(moved.iter().map(stays));
    lines.join("\n")
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
            "removed" => "removed with the rows that they came with",
            "kept_changed" => {
                "kept: somebody has written to them, or changed their owner or rights, since"
            }
            "kept_referenced" => "kept: rows point at them",
            "kept" => "kept: they could not be removed; runs/<run>.jsonl has the reasons",
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

async fn carry_out(
    context: &Context,
    conninfo: &Conninfo,
    bundle: &Bundle,
    found: &Found,
    settings: &Undoing,
) -> Result<Code, Failure> {
    let salt = std::process::id() as u16 ^ context.clock.now().subsec_nanosecond() as u16;
    let new = NewRun {
        run: RunId::new(context.clock.now(), salt),
        kind: "undo".into(),
        bundle: bundle.id.clone(),
        tool: serde_json::to_string(&build::tool()).unwrap_or_default(),
        settings: Value::Null,
        unrehearsed: None,
        os_user: build::os_user(),
        host: build::host(),
        command: build::command_line(),
    };
    let interrupt = Arc::new(Interrupt::default());
    listen_for_signals(context, interrupt.clone());
    let target = conninfo.target();
    let recorder = Recorder::new(context, &target.to_string());
    let restore = &found.restore.run;
    let sink = |event: Event| {
        recorder.record(&event);
        if let Event::RunStarted { run, .. } = &event {
            context
                .ui
                .status(&format!("run {run}: taking back run {restore} on {target}"));
        }
        context.ui.event(&event);
    };
    let undone = undo(conninfo, bundle, restore, settings, new, &interrupt, &sink).await?;
    report(context, found, &undone)?;
    leave_files(context, conninfo, bundle, &undone, &recorder).await?;
    Ok(match undone.state {
        RunState::Interrupted => Code::Interrupted,
        RunState::Partly | RunState::Running => Code::Partly,
        RunState::Done => Code::Done,
    })
}

/// Writes what is still given back into `restored.csv`. The database is as the undo left it, whatever becomes of the file.
async fn leave_files(
    context: &Context,
    conninfo: &Conninfo,
    bundle: &Bundle,
    undone: &Undone,
    recorder: &Recorder,
) -> Result<(), Failure> {
    let written = files::restored(context, conninfo, bundle).await;
    let ended = format!("undo {} is {}", undone.run, undone.state);
    recorder.whole(
        written,
        &ended,
        "nothing is removed twice, and the file is written",
    )
}

fn report(context: &Context, found: &Found, undone: &Undone) -> Result<(), Failure> {
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
            "is done but for {}, kept because people have edited them or built upon them; runs/{}.jsonl names them",
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
