//! `restore`: prints the plan; with `--execute`, carries it out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, grouped};
use crate::event::Event;
use crate::ident::RunId;
use crate::journal::{NewRun, RunState, Store};
use crate::pg::{Access, Conninfo, Session};
use crate::restore::{Execution, Interrupt, Plan, Settings, execute, plan};

use super::build;
use super::recorder::Recorder;

/// Units listed on the terminal; all of them are in `plan.json` and `quarantine.jsonl`.
const LISTED: usize = 10;

pub(super) async fn run(context: &Context, args: args::Restore) -> Result<Code, Failure> {
    refuse_unsupported(context, &args)?;
    let settings = settings(context, &args)?;
    let conninfo = context.live()?;
    let path = context.bundle(args.bundle.as_deref());
    let bundle = open_bundle(&path).await?;
    if args.execute && args.unrehearsed.is_none() {
        return Err(Failure::refused("this bundle was not rehearsed, and this version cannot rehearse")
            .hint("give the reason for going ahead with --unrehearsed REASON; it is recorded in the journal"));
    }
    let session = Session::open(&conninfo, Access::Reading, "plan").await?;
    let heading = format!("{}, bundle {}", session.target(), &bundle.id[..8]);
    if args.execute {
        if let Some(asked) = &args.plan {
            let fresh = plan(&session, &bundle, &settings).await?;
            if fresh.id != *asked {
                return Err(crate::restore::RestoreError::PlanChanged {
                    asked: asked.clone(),
                    fresh: fresh.id,
                }
                .into());
            }
        }
        drop(session);
        context.ui.status(&format!("restoring into {heading}"));
        return carry_out(context, &args, &conninfo, &bundle, &settings).await;
    }
    let plan = plan(&session, &bundle, &settings).await?;
    show_plan(context, &heading, &bundle, &plan)
}

/// Opens a bundle; reading every file once can take a while.
pub(super) async fn open_bundle(path: &Path) -> Result<Bundle, Failure> {
    let owned: PathBuf = path.to_path_buf();
    let opened = tokio::task::spawn_blocking(move || Bundle::open(&owned)).await;
    Ok(opened.map_err(|e| Failure::bug(e.to_string()))??)
}

fn refuse_unsupported(context: &Context, args: &args::Restore) -> Result<(), Failure> {
    let on_conflict = match args.on_conflict.as_str() {
        "quarantine" => context
            .config
            .on_conflict
            .as_deref()
            .unwrap_or("quarantine"),
        other => other,
    };
    let unsupported = match (on_conflict, &args.triggers, args.relinks.as_deref()) {
        ("quarantine", None, None | Some("none")) => return Ok(()),
        ("quarantine", Some(_), _) => "--triggers",
        ("quarantine", None, _) => "--relinks",
        ("remap" | "skip", _, _) => "--on-conflict other than quarantine",
        (other, _, _) => {
            return Err(
                Failure::usage(format!("`{other}` is no way to treat conflicts"))
                    .hint("quarantine, remap or skip; this version knows quarantine"),
            );
        }
    };
    Err(Failure::refused(format!(
        "{unsupported} is not supported by this version; nothing was changed"
    ))
    .hint(
        "units that something is in the way of are left out and listed (--on-conflict quarantine)",
    ))
}

fn settings(context: &Context, args: &args::Restore) -> Result<Settings, Failure> {
    let time = |name: &str, text: Option<&String>, default: Duration| match text {
        None => Ok(default),
        Some(text) => duration(text).ok_or_else(|| {
            Failure::usage(format!(
                "{name}: `{text}` is not a time; write it like 50ms or 5s"
            ))
        }),
    };
    let defaults = Settings::default();
    Ok(Settings {
        target_batch: time(
            "target_batch",
            context.config.target_batch.as_ref(),
            defaults.target_batch,
        )?,
        max_unit_time: time(
            "--max-unit-time",
            args.max_unit_time.as_ref(),
            defaults.max_unit_time,
        )?,
        max_units: args.max_units,
    })
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok().filter(|n| *n > 0)?;
    match text[digits..].trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "min" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn show_plan(
    context: &Context,
    heading: &str,
    bundle: &Bundle,
    plan: &Plan,
) -> Result<Code, Failure> {
    let outcome = Outcome {
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
            ("relinked", json!(0)),
            ("plan", json!(true)),
            ("plan_id", json!(plan.id)),
            ("bundle", json!(bundle.id)),
            ("batches", json!(plan.batches)),
            ("resumes", json!(plan.resumes)),
            ("checks", json!(plan.tables)),
            (
                "left_out",
                json!(
                    plan.left_out
                        .iter()
                        .map(|(unit, root, reason, sqlstate)| json!({
                            "unit": unit, "root": root, "reason": reason, "sqlstate": sqlstate
                        }))
                        .collect::<Vec<_>>()
                ),
            ),
        ],
    };
    let document = format!("{:#}", outcome.json());
    context.write("plan.json", document.as_bytes())?;
    if context.format == Format::Json {
        context.ui.data(&document);
        return Ok(Code::Done);
    }
    let total = plan.tally.total();
    let mut text = vec![
        format!("plan {} for {heading}", plan.id),
        String::new(),
        plan_table(plan),
        String::new(),
    ];
    if let Some(run) = &plan.resumes {
        text.push(format!("goes on with run {run}, which was stopped"));
    }
    for (table, entry) in plan
        .tables
        .iter()
        .filter(|(_, e)| !e.dropped_columns.is_empty())
    {
        text.push(format!(
            "{table}: live no longer has {}; not restored",
            entry.dropped_columns.join(", ")
        ));
    }
    for (unit, root, reason, sqlstate) in plan.left_out.iter().take(LISTED) {
        let code = sqlstate
            .as_deref()
            .map(|s| format!(" [{s}]"))
            .unwrap_or_default();
        text.push(format!(
            "unit {unit} ({root}) would be left out{code}: {reason}"
        ));
    }
    if plan.left_out.len() > LISTED {
        text.push(format!(
            "… and {} more units, in plan.json",
            plan.left_out.len() - LISTED
        ));
    }
    text.push(match total.inserted {
        0 => "nothing to insert".to_owned(),
        n => format!(
            "{} rows in about {} batches, each one transaction of about {} ms",
            grouped(n),
            plan.batches,
            Settings::default().target_batch.as_millis()
        ),
    });
    context.ui.data(&text.join("\n"));
    context.ui.status(&format!(
        "nothing was changed. To carry it out: reinstate restore --execute --plan {}",
        plan.id
    ));
    Ok(Code::Done)
}

/// Per table: what would be inserted, what is there, what is in the way.
fn plan_table(plan: &Plan) -> String {
    let head = [
        "table",
        "to insert",
        "already present",
        "gone since",
        "left out",
        "conflicts",
        "parents missing",
    ];
    let mut rows: Vec<Vec<String>> = plan
        .tables
        .iter()
        .map(|(table, entry)| {
            let states = plan.tally.0.get(table).copied().unwrap_or_default();
            let mut row = vec![table.to_string()];
            let counts = [
                states.inserted,
                states.already_present,
                states.gone_since,
                states.quarantined,
            ];
            row.extend(counts.map(grouped));
            row.extend([entry.conflicts, entry.missing_parents].map(grouped));
            row
        })
        .collect();
    let total = plan.tally.total();
    let mut last = vec!["total".to_owned()];
    last.extend(
        [
            total.inserted,
            total.already_present,
            total.gone_since,
            total.quarantined,
        ]
        .map(grouped),
    );
    let sum = |f: fn(&crate::restore::TablePlan) -> u64| grouped(plan.tables.values().map(f).sum());
    last.extend([sum(|t| t.conflicts), sum(|t| t.missing_parents)]);
    rows.push(last);
    crate::cli::output::columns(&head.map(str::to_owned), &rows)
}

async fn carry_out(
    context: &Context,
    args: &args::Restore,
    conninfo: &Conninfo,
    bundle: &Bundle,
    settings: &Settings,
) -> Result<Code, Failure> {
    let salt = std::process::id() as u16 ^ context.clock.now().subsec_nanosecond() as u16;
    let run = RunId::new(context.clock.now(), salt);
    let tool = build::tool();
    let new = NewRun {
        run,
        kind: "restore".into(),
        bundle: bundle.id.clone(),
        tool: serde_json::to_string(&tool).unwrap_or_default(),
        settings: json!(settings),
        unrehearsed: args.unrehearsed.clone(),
        os_user: build::os_user(),
        host: build::host(),
        command: build::command_line(),
    };
    let interrupt = Arc::new(Interrupt::default());
    listen_for_signals(context, interrupt.clone());
    let recorder = Recorder::new(context, &conninfo.target().to_string())?;
    let sink = |event: Event| {
        recorder.record(&event);
        context.ui.event(&event);
    };
    let execution = execute(conninfo, bundle, settings, new, &interrupt, &sink).await?;
    recorder.finish()?;
    restored_csv(context, conninfo, &execution).await?;
    quarantine_file(context, &execution)?;
    report(context, bundle, &execution)?;
    Ok(match execution.state {
        RunState::Interrupted if args.max_units.is_none() => Code::Interrupted,
        RunState::Interrupted | RunState::Partly | RunState::Running => Code::Partly,
        RunState::Done => Code::Done,
    })
}

/// The first Ctrl-C or SIGTERM stops after the batch at hand.
fn listen_for_signals(context: &Context, interrupt: Arc<Interrupt>) {
    use tokio::signal::unix::{SignalKind, signal};
    let ui = context.ui.clone();
    let (Ok(mut int), Ok(mut term)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        ui.status("stopping after the batch at hand");
        interrupt.ask();
    });
}

/// `restored.csv`: keys given back, for search indexes, caches and counters of the application.
async fn restored_csv(
    context: &Context,
    conninfo: &Conninfo,
    execution: &Execution,
) -> Result<(), Failure> {
    let session = Session::open(conninfo, Access::Reading, "report").await?;
    let store = Store::new(&session);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Failure::usage(format!("cannot write restored.csv: {e}"));
    writer
        .write_record(["table", "unit", "key"])
        .map_err(failed)?;
    let mut after = 0;
    while let Some((batch, rows)) = store
        .restored(&execution.run, after)
        .await
        .map_err(crate::restore::RestoreError::from)?
    {
        for (table, unit, key) in rows {
            let key = match key.0.as_slice() {
                [one] => one.clone(),
                _ => serde_json::to_string(&key).unwrap_or_default(),
            };
            writer
                .write_record([table, unit.to_string(), key])
                .map_err(failed)?;
        }
        after = batch;
    }
    let content = writer
        .into_inner()
        .map_err(|e| Failure::usage(format!("cannot write restored.csv: {e}")))?;
    context.write("restored.csv", &content)?;
    Ok(())
}

/// `quarantine.jsonl`: every unit left out, with the reason.
fn quarantine_file(context: &Context, execution: &Execution) -> Result<(), Failure> {
    let lines: Vec<String> = execution
        .quarantined
        .iter()
        .map(|q| {
            json!({
                "unit": q.unit, "root": {"table": q.root_table, "key": q.root_key}, "reason": q.reason,
                "sqlstate": q.sqlstate, "rows": q.rows,
            })
            .to_string()
        })
        .collect();
    let mut content = lines.join("\n");
    if !content.is_empty() {
        content.push('\n');
    }
    context.write("quarantine.jsonl", content.as_bytes())?;
    Ok(())
}

fn report(context: &Context, bundle: &Bundle, execution: &Execution) -> Result<(), Failure> {
    let total = execution.tally.total();
    if total.sum() != bundle.manifest.totals.rows {
        return Err(Failure::bug(format!(
            "the states of run {} add up to {} rows, but the bundle has {}: please report this",
            execution.run,
            total.sum(),
            bundle.manifest.totals.rows
        )));
    }
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
            ("relinked", json!(0)),
            ("state", json!(execution.state)),
            ("bundle", json!(bundle.id)),
        ],
    };
    match context.format {
        Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        Format::Text => context.ui.data(&outcome.text()),
    }
    let next = match execution.state {
        RunState::Done => "Next: reinstate verify".to_owned(),
        RunState::Partly => format!(
            "{} units were left out; they are in quarantine.jsonl with the reasons. Next: reinstate verify",
            execution.quarantined.len()
        ),
        _ => format!(
            "{} rows are pending; running the same command again goes on",
            grouped(total.pending)
        ),
    };
    context.ui.status(&format!(
        "run {} {}. {next}",
        execution.run, execution.state
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(duration("2 s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("1min"), Some(Duration::from_secs(60)));
        for wrong in ["", "5", "0s", "-1s", "5h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
