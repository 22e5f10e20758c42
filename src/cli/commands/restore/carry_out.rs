//! Carries a restore out, listens for Ctrl-C meanwhile, and says how it went.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cli::args::{self, Format};
use crate::cli::commands::recorder::Recorder;
use crate::cli::commands::{build, stop_asked};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::event::Event;
use crate::journal::{NewRun, RunState};
use crate::pg::Conninfo;
use crate::restore::{Execution, Interrupt, Plan, Settings, compare, execute};

use super::{files, prediction, relinks, sequences};

pub(super) async fn carry_out(
    context: &Context,
    args: &args::Restore,
    conninfo: &Conninfo,
    bundle: &Bundle,
    settings: &Settings,
    agreed: Option<&Plan>,
) -> Result<Code, Failure> {
    let new = NewRun {
        unrehearsed: args.unrehearsed.clone(),
        ..build::new_run(context, "restore", &bundle.id, json!(settings))
    };
    let interrupt = Arc::new(Interrupt::default());
    listen_for_signals(context, interrupt.clone());
    let target = conninfo.target();
    let recorder = Recorder::new(context, &target.to_string());
    let sink = |event: Event| {
        recorder.record(&event);
        if let Event::RunStarted { run, .. } = &event {
            context.ui.status(&format!(
                "run {run}: restoring bundle {} into {target}",
                &bundle.id[..8]
            ));
        }
        context.ui.event(&event);
    };
    let execution = execute(conninfo, bundle, settings, new, &interrupt, &sink).await?;
    report(context, bundle, settings, &execution, agreed)?;
    leave_files(context, conninfo, bundle, &execution, settings, &recorder).await?;
    Ok(match execution.state {
        RunState::Interrupted if args.max_units.is_none() => Code::Interrupted,
        RunState::Interrupted | RunState::Partly | RunState::Running => Code::Partly,
        RunState::Done => Code::Done,
    })
}

/// The first Ctrl-C or SIGTERM stops after the batch at hand, the second at once.
pub(in crate::cli::commands) fn listen_for_signals(context: &Context, interrupt: Arc<Interrupt>) {
    let ui = context.ui.clone();
    tokio::spawn(async move {
        stop_asked().await;
        ui.status("stopping after the batch at hand; once more stops at once");
        interrupt.ask();
        stop_asked().await;
        let failure = Failure::interrupted(
            "stopped at once: the server takes back the batch at hand, what was committed stays",
        )
        .hint("running the same command again goes on");
        ui.failure(&failure);
        std::process::exit(failure.code.number().into());
    });
}

/// Writes the files of the case. The database is as the run left it, whatever becomes of them.
async fn leave_files(
    context: &Context,
    conninfo: &Conninfo,
    bundle: &Bundle,
    execution: &Execution,
    settings: &Settings,
    recorder: &Recorder,
) -> Result<(), Failure> {
    let written = files::restored(context, conninfo, bundle).await;
    let written = written.and_then(|()| files::quarantined(context, bundle, execution, settings));
    let written = written.and_then(|()| files::conflicts(context, &execution.met));
    let written = written.and_then(|()| relinks::file(context, &execution.relinks));
    let ended = format!("run {} is {}", execution.run, execution.state);
    recorder.whole(
        written,
        &ended,
        "no row is inserted twice, and the files are written",
    )
}

fn report(
    context: &Context,
    bundle: &Bundle,
    settings: &Settings,
    execution: &Execution,
    agreed: Option<&Plan>,
) -> Result<(), Failure> {
    let total = execution.tally.total();
    if total.sum() != bundle.manifest.totals.rows {
        return Err(Failure::bug(format!(
            "the states of run {} add up to {} rows, but the bundle has {}: please report this",
            execution.run,
            total.sum(),
            bundle.manifest.totals.rows
        )));
    }
    // A run that was stopped has not had its say.
    let ended = matches!(execution.state, RunState::Done | RunState::Partly);
    let prediction = agreed
        .filter(|_| ended)
        .map(|plan| compare(plan, execution));
    let outcome = Outcome {
        command: "restore",
        run: Some(execution.run.clone()),
        totals: total.named(),
        tables: execution
            .tally
            .0
            .iter()
            .map(|(t, s)| (t.clone(), s.named()))
            .collect(),
        beside: vec![
            ("relinked", json!(execution.relinks.count("relinked"))),
            ("relinks", relinks::document(&execution.relinks)),
            ("large_objects", large_objects(execution)),
            ("unfilled", json!(execution.unfilled)),
            ("state", json!(execution.state)),
            ("bundle", json!(bundle.id)),
            ("triggers", json!(settings.triggers)),
            ("sequences", json!(execution.sequences)),
            ("changed_by_triggers", changed_by_triggers(execution)),
            ("prediction", json!(prediction)),
        ],
    };
    match context.format {
        Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        Format::Text => {
            let compared = prediction.iter().flat_map(prediction::lines);
            let lines: Vec<String> = std::iter::once(outcome.text()).chain(compared).collect();
            context.ui.data(&lines.join("\n"));
        }
    }
    for line in of_triggers(execution) {
        context.ui.status(&line);
    }
    for line in relinks::lines(&execution.relinks, false) {
        context.ui.status(&line);
    }
    if let Some((created, bytes)) = execution.large_objects.filter(|o| o.0 > 0) {
        context.ui.status(&format!(
            "{} created, {bytes} bytes",
            counted(created, "large object")
        ));
    }
    for sequence in &execution.sequences {
        let line = sequences::line(sequence, "was");
        match sequence.to {
            Some(_) => context.ui.status(&line),
            None => context.ui.warning(&line),
        }
    }
    for left in &execution.unfilled {
        context.ui.warning(&format!(
            "unit {}: {} of {} stays NULL in {}, row {} among them",
            left.unit,
            left.columns.join(", "),
            left.table,
            counted(left.rows, "row"),
            left.key
        ));
    }
    let verify = context.next_on("verify", &bundle.dir);
    let said = match execution.state {
        RunState::Done => format!("is done. Next: {verify}"),
        RunState::Partly if execution.quarantined.is_empty() && execution.relinks.unfinished() => {
            format!("is done but for references that relinks.jsonl names. Next: {verify}")
        }
        RunState::Partly if execution.quarantined.is_empty() && !execution.unfilled.is_empty() => {
            format!(
                "is done but for references that stay NULL, for the reasons in runs/{}.jsonl; once those are gone, the same command \
                 fills them. Next: {verify}",
                execution.run
            )
        }
        RunState::Partly => format!(
            "is done but for {}, left out for the reasons in quarantine.jsonl. Next: {verify}",
            counted(execution.quarantined.len() as u64, "unit")
        ),
        _ => format!(
            "was stopped with {} pending; running the same command again goes on",
            counted(total.pending, "row")
        ),
    };
    context.ui.status(&format!("run {} {said}", execution.run));
    Ok(())
}

/// Large objects that the run created; null where the bundle has none.
fn large_objects(execution: &Execution) -> Value {
    let created = execution.large_objects;
    created.map_or(
        Value::Null,
        |(created, bytes)| json!({"created": created, "bytes": bytes}),
    )
}

/// Rows by table.
fn changed_by_triggers(execution: &Execution) -> Value {
    let changed = execution.changed.iter();
    changed
        .map(|(table, rows)| (table.to_string(), json!(rows)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What triggers did, and what became of that.
fn of_triggers(execution: &Execution) -> Vec<String> {
    let mut lines = Vec::new();
    let fired = execution.triggers.iter().filter(|t| !t.fire.is_empty());
    let fired: Vec<String> = fired
        .map(|t| format!("{} ({})", t.table, t.fire.join(", ")))
        .collect();
    if !fired.is_empty() && execution.tally.total().inserted > 0 {
        lines.push(format!(
            "triggers fired on {}; what they did is not taken back by an undo",
            fired.join("; ")
        ));
    }
    for (table, rows) in &execution.changed {
        lines.push(format!(
            "triggers changed {} of {table} as they came in; verify counts them as changed_since",
            counted(*rows, "row")
        ));
    }
    lines
}
