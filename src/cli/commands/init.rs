//! `init`: writes a commented `reinstate.toml` into the case, from what `doctor` finds.

use std::io::Write;

use serde_json::json;

use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::doctor::{Draft, Examination, Given, Level, draft, examine};
use crate::pg::{Access, Session};

/// The file.
const NAME: &str = "reinstate.toml";

pub(super) async fn run(context: &Context) -> Result<Code, Failure> {
    if std::fs::symlink_metadata(context.case.join(NAME)).is_ok() {
        return Err(exists(context));
    }
    let live = open(context, "live").await?;
    let snapshot = match context.has_snapshot() {
        true => Some(open(context, "snapshot").await?),
        false => None,
    };
    let exam = examine(&Given {
        live: Some(&live),
        snapshot: snapshot.as_ref(),
        declared: &context.config.relations,
        renames: &context.config.renames,
        snapshot_time: context.config.snapshot_time.as_deref(),
        clock: context.clock.as_ref(),
    })
    .await;
    if exam.schema.is_none() {
        return Err(unread(&exam));
    }
    let snapshot_target = snapshot.as_ref().map(Session::target);
    let draft = draft(&exam, live.target(), snapshot_target);
    let mut file = context.create(NAME)?;
    file.write_all(format!("{}\n", draft.text.trim_end()).as_bytes())
        .map_err(|e| file.failed(&e))?;
    let path = file.finish_new()?.ok_or_else(|| exists(context))?;
    show(context, &draft, &path.display().to_string());
    Ok(Code::Done)
}

async fn open(context: &Context, side: &str) -> Result<Session, Failure> {
    let conninfo = match side {
        "live" => context.live()?,
        _ => context.snapshot()?,
    };
    context
        .open(&conninfo, Access::Reading, "init")
        .await
        .map_err(|e| e.about(side))
}

fn exists(context: &Context) -> Failure {
    Failure::refused(format!(
        "{} exists, and was left as it is",
        context.case.join(NAME).display()
    ))
    .hint(format!(
        "move it away to have a new one written, or add to it what {} finds",
        context.next("doctor")
    ))
}

/// Why there is nothing to write from.
fn unread(exam: &Examination) -> Failure {
    let problem = exam.findings.0.iter().find(|f| f.level == Level::Problem);
    let text = problem.map_or("the schema could not be read", |f| f.text.as_str());
    Failure::usage(format!("{text}; nothing was written"))
}

fn show(context: &Context, draft: &Draft, path: &str) {
    let counts = vec![
        ("active", draft.active as u64),
        ("commented", draft.doubtful as u64),
    ];
    match context.format {
        Format::Json => {
            let outcome = Outcome {
                command: "init",
                run: None,
                totals: counts,
                tables: Vec::new(),
                beside: vec![("file", json!(path))],
            };
            context.ui.data(&format!("{:#}", outcome.json()));
        }
        Format::Text => context.ui.data(&format!(
            "{path}: {} active, {} left to you as comments",
            counted(draft.active as u64, "reference"),
            draft.doubtful
        )),
    }
    context.ui.status(&format!(
        "Read every line of it. Next: {}",
        context.next("diff")
    ));
}
