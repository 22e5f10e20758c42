//! `hold` and `unhold`: keep live's WAL from being recycled, and give that up again. Both act at once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::args::{self, Format};
use crate::cli::commands::{build, refuse_snapshot, stop_asked};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::Outcome;
use crate::event::Event;
use crate::hold::{self, Ended, Holder, Rate, SLOT, Unheld, Wanted};
use crate::ident::RunId;
use crate::pg::{Access, Session, lasting};

mod facts;

use facts::Facts;

/// Seconds that are too short for a person to react.
const SHORT: f64 = 3_600.0;

pub(super) async fn run(context: &Context, args: args::Hold) -> Result<Code, Failure> {
    let facts = tokio::select! {
        facts = begin(context, &args) => facts?,
        () = stop_asked() => {
            context.ui.warning(&format!(
                "interrupted; what is held by now stays held: {} says what, {} gives it up",
                context.next("hold"),
                context.next("unhold")
            ));
            return Ok(Code::Interrupted);
        }
    };
    if let Some(shortage) = facts.held.shortage() {
        context.ui.warning(&shortage.to_string());
    }
    if facts.lasts < SHORT {
        context.ui.warning(&format!(
            "at this rate the limit is reached in {}",
            lasting(facts.lasts)
        ));
    }
    if context.format == Format::Text {
        context.ui.data(&facts.text().join("\n"));
    }
    if args.watch {
        return watch(context, &facts, Duration::from_secs(args.every)).await;
    }
    if context.format == Format::Json {
        context.ui.data(&facts.document(None));
    }
    context.ui.status(&format!(
        "nobody watches it: the slot has no limit of its own, and fills the disk in the end. Next: {}, or {}",
        context.next("hold --watch"),
        context.next("unhold")
    ));
    Ok(Code::Done)
}

async fn begin(context: &Context, args: &args::Hold) -> Result<Facts, Failure> {
    let session = open(context).await?;
    let target = session.target().to_string();
    context.ui.status(&format!("holding WAL of {target}"));
    let wanted = Wanted {
        max_wal: args.max_wal,
        margin: args.margin,
        free_space: args.free_space,
    };
    let held = hold::hold(&session, &wanted, holder(context)).await?;
    let rate = Rate::sample(&session).await?;
    Ok(Facts::new(target, held, rate))
}

async fn open(context: &Context) -> Result<Session, Failure> {
    let session = context
        .open(&context.live()?, Access::Writing, "hold")
        .await?;
    refuse_snapshot(context, &session).await?;
    Ok(session)
}

fn holder(context: &Context) -> Holder {
    let salt = std::process::id() as u16 ^ context.clock.now().subsec_nanosecond() as u16;
    Holder {
        hold: RunId::new(context.clock.now(), salt).to_string(),
        os_user: build::os_user(),
        host: build::host(),
        command: build::command_line(),
    }
}

/// Stays until the hold ends or somebody asks to stop; stopping leaves the slot.
async fn watch(context: &Context, facts: &Facts, every: Duration) -> Result<Code, Failure> {
    let conninfo = context.live()?;
    let measured = facts.measured();
    if measured.is_none() {
        context
            .ui
            .warning("free space cannot be measured from here: only the amount of WAL is watched");
    }
    let sink = |event: Event| {
        if let Event::Note { text } = event {
            context.ui.status(&text);
        }
    };
    context.ui.status(&format!(
        "watching every {} s; Ctrl-C leaves the slot",
        every.as_secs()
    ));
    let ended = tokio::select! {
        ended = hold::watch(&conninfo, &facts.held.hold, measured, every, &sink) => Some(ended?),
        () = stop_asked() => None,
    };
    let (code, word, text) = match ended {
        None => (
            Code::Interrupted,
            "interrupted",
            format!(
                "not watched any more: slot {SLOT} is still there and keeps WAL. Next: {}, or {}",
                context.next("hold --watch"),
                context.next("unhold")
            ),
        ),
        Some(Ended::GivenUp(reason)) => (
            Code::Partly,
            "given_up",
            format!(
                "given up: {reason}. Slot {SLOT} was dropped, and WAL is recycled again: copy away what matters now"
            ),
        ),
        Some(Ended::Elsewhere) => (
            Code::Done,
            "ended",
            format!("slot {SLOT} was given up elsewhere; nothing is left to watch"),
        ),
    };
    if context.format == Format::Json {
        context.ui.data(&facts.document(Some(word)));
    }
    match code {
        Code::Done => context.ui.status(&text),
        _ => context.ui.warning(&text),
    }
    Ok(code)
}

fn document(command: &'static str, beside: Vec<(&'static str, Value)>) -> String {
    let outcome = Outcome {
        command,
        run: None,
        totals: Vec::new(),
        tables: Vec::new(),
        beside,
    };
    format!("{:#}", outcome.json())
}

pub(super) async fn unhold(context: &Context) -> Result<Code, Failure> {
    let session = open(context).await?;
    let target = session.target().to_string();
    context.ui.status(&format!("giving up WAL of {target}"));
    let (state, since, kept, text) = match hold::unhold(&session, "unhold").await? {
        Unheld::Released { since, kept } => {
            let text = format!(
                "given up: {target}\nslot {SLOT} was dropped; it kept {kept} of WAL since {since}, which the server recycles \
                 from now on"
            );
            ("released", Some(since), Some(kept), text)
        }
        Unheld::Gone { since } => {
            let text = format!(
                "nothing was held any more: {target}\nslot {SLOT}, held since {since}, had been dropped by somebody"
            );
            ("gone", Some(since), None, text)
        }
        Unheld::Nothing => {
            let text = format!("nothing is held: {target}");
            ("nothing", None, None, text)
        }
    };
    match context.format {
        Format::Text => context.ui.data(&text),
        Format::Json => context.ui.data(&document(
            "unhold",
            vec![
                ("state", json!(state)),
                ("slot", json!(SLOT)),
                ("since", json!(since)),
                ("retained_bytes", json!(kept)),
            ],
        )),
    }
    Ok(Code::Done)
}
