//! `undo`: prints what taking a restore back would remove; with `--execute`, does it.

mod show;

use std::sync::Arc;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::event::Event;
use crate::ident::RunId;
use crate::journal::{RunState, SequenceMoves};
use crate::pg::{Access, Conninfo};
use crate::restore::Interrupt;
use crate::restore::undo::{Asked, Found, Undoing, Undone, find, plan, undo};

use super::recorder::Recorder;
use super::renamed::renamed;
use super::restore::{files, listen_for_signals, open_bundle};
use super::{build, given};
use show::{Shown, report, show, stays};

pub(super) async fn run(context: &Context, args: args::Undo) -> Result<Code, Failure> {
    let asked = asked(&args)?;
    let settings = settings(context, &args)?;
    let conninfo = context.live()?;
    let session = context.open(&conninfo, Access::Reading, "plan").await?;
    super::refuse_snapshot(context, &session).await?;
    let found = find(&session, &asked).await?;
    let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await;
    let bundle = bundle.map_err(|e| e.hint("--bundle DIR names the bundle that was restored"))?;
    let bundle = renamed(context, &session, bundle).await?;
    let moved = SequenceMoves::new(&session);
    let moved = moved.of(&found.restore.run).await?;
    if !args.execute {
        let plan = plan(&session, &bundle, &found, &settings).await?;
        let shown = Shown {
            target: session.target(),
            bundle: &bundle,
            found: &found,
            settings: &settings,
            plan: &plan,
            moved: &moved,
        };
        return show(context, &shown);
    }
    drop(session);
    let code = carry_out(context, &conninfo, &bundle, &found, &settings).await?;
    for one in &moved {
        context.ui.status(&stays(one));
    }
    Ok(code)
}

fn asked(args: &args::Undo) -> Result<Asked, Failure> {
    match &args.run {
        Some(run) => Ok(Asked::Run(RunId(run.clone()))),
        None if args.last => Ok(Asked::Last),
        None => Err(Failure::usage("which restore is to be taken back?").hint(
            "`undo --last` takes the last one that wrote something and is not yet taken back; `undo RUN` takes any: a restore \
             says its run when it begins, and `select run, kind, state, started from reinstate.run` in live lists them all",
        )),
    }
}

fn settings(context: &Context, args: &args::Undo) -> Result<Undoing, Failure> {
    let defaults = Undoing::default();
    let (triggers, accepted_triggers) = given::triggers(&args.triggers)?;
    let unit_time = args.max_unit_time.as_ref();
    Ok(Undoing {
        max_unit_time: given::time("--max-unit-time", unit_time, defaults.max_unit_time)?,
        triggers,
        accepted_triggers,
        declared: context.config.relations.clone(),
        ..defaults
    })
}

async fn carry_out(
    context: &Context,
    conninfo: &Conninfo,
    bundle: &Bundle,
    found: &Found,
    settings: &Undoing,
) -> Result<Code, Failure> {
    let new = build::new_run(context, "undo", &bundle.id, Value::Null);
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
