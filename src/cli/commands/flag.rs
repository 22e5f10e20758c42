//! `flag` and `unflag`: marks records whose files are lost, so that the application can say so; plan first.

use serde_json::{Value, json};

use super::blobs::WHOLE;
use super::build;
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::flag::{Flagged, Flags, Notices};
use crate::ident::RunId;
use crate::pg::{Access, Session, Target};

/// How notices are written.
const EXAMPLE: &str = r#"say in reinstate.toml what people are told, for each audience:
[[notice]]
audience = "owner"
text = "{% if state == 'draft' %}Please attach {{ filename }} again.{% else %}{{ filename }} was lost.{% endif %}""#;

pub(super) async fn run(context: &Context, args: args::Flag) -> Result<Code, Failure> {
    let notices = Notices::new(&context.config.notices)?;
    let path = context.case.join(WHOLE);
    if !path.exists() {
        return Err(Failure::usage(format!(
            "there is no {}: nobody knows which files are lost",
            path.display()
        ))
        .hint(format!(
            "look for them first: {}",
            context.next("blobs check")
        )));
    }
    let partial = context.case.join("blobs.partial.jsonl");
    if partial.exists() {
        return Err(Failure::refused(format!(
            "a check of the files was interrupted ({}): what {} says may be out of date",
            partial.display(),
            path.display()
        ))
        .hint(format!("let it end first: {}", context.next("blobs check"))));
    }
    if notices.is_empty() && context.config.flag.flag.is_none() {
        context
            .ui
            .warning("no [[notice]]: records are marked, and people are told nothing");
        context.ui.status(EXAMPLE);
    }
    let session = open(context, args.execute).await?;
    let mut flags = Flags::open(&session, &notices, &context.config.flag).await?;
    let (done, run) = match args.execute {
        false => (flags.plan(&path).await?, None),
        true => {
            let new = build::new_run(context, "flag", "", json!({"blobs": path}));
            (flags.carry_out(&path, &new).await?, Some(new.run))
        }
    };
    report(context, session.target(), &done, run);
    Ok(Code::Done)
}

pub(super) async fn unflag(context: &Context, args: args::Unflag) -> Result<Code, Failure> {
    let notices = Notices::new(&[])?;
    let session = open(context, args.execute).await?;
    let mut flags = Flags::open(&session, &notices, &context.config.flag).await?;
    let marked = flags.count().await?;
    let mut done = Flagged::default();
    let mut run = None;
    if args.execute && marked > 0 {
        let new = build::new_run(context, "flag", "", json!({"unflag": "all"}));
        done.unflagged = flags.unflag(&new).await?;
        run = Some(new.run);
    } else {
        done.unflagged = marked;
    }
    let would = run.is_none();
    let outcome = outcome("unflag", &done, run.clone(), would);
    print(
        context,
        &outcome,
        session.target(),
        would,
        &[unflagged(&done, would)],
    );
    if would && marked > 0 {
        context.ui.status(&format!(
            "nothing was changed. To carry it out: {}",
            context.next("unflag --execute")
        ));
    }
    Ok(Code::Done)
}

async fn open(context: &Context, execute: bool) -> Result<Session, Failure> {
    let conninfo = context.live()?;
    let access = if execute {
        Access::Writing
    } else {
        Access::Reading
    };
    let session = context.open(&conninfo, access, "flag").await?;
    super::refuse_snapshot(context, &session).await?;
    Ok(session)
}

fn outcome(command: &'static str, done: &Flagged, run: Option<RunId>, would: bool) -> Outcome {
    let example = done.example.as_ref().map(|(mark, notice)| {
        json!({"owner_table": mark.table, "owner_key": mark.key, "attachment": mark.attachment,
               "filename": mark.filename, "state": mark.state, "notice": notice})
    });
    Outcome {
        command,
        run,
        totals: vec![
            ("flagged", done.flagged),
            ("already_flagged", done.already_flagged),
            ("unflagged", done.unflagged),
        ],
        tables: Vec::new(),
        beside: vec![
            ("plan", json!(would)),
            ("absent", json!(done.absent)),
            ("example", example.unwrap_or(Value::Null)),
        ],
    }
}

fn print(context: &Context, outcome: &Outcome, target: &Target, would: bool, lines: &[String]) {
    let what = if would { "plan" } else { "marks" };
    match context.format {
        args::Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        args::Format::Text => {
            context.ui.data(&format!("{what} for {target}"));
            lines.iter().for_each(|line| context.ui.data(line));
        }
    }
}

fn unflagged(done: &Flagged, would: bool) -> String {
    let verb = if would {
        "would be taken off"
    } else {
        "taken off"
    };
    format!("{} {verb}", counted(done.unflagged, "mark"))
}

fn report(context: &Context, target: &Target, done: &Flagged, run: Option<RunId>) {
    let would = run.is_none();
    let verb = if would { "would be written" } else { "written" };
    let mut lines = vec![
        format!(
            "{} {verb}, of records and their lost or corrupt files",
            counted(done.flagged, "mark")
        ),
        format!("{} there already", counted(done.already_flagged, "mark")),
        format!("{}: the file has turned up", unflagged(done, would)),
    ];
    if done.absent > 0 {
        lines.push(format!(
            "{} of records that are not in live (not restored yet, say) are not marked; run `flag` again when they are",
            counted(done.absent, "file")
        ));
    }
    if let Some((mark, notice)) = &done.example {
        let name = mark.filename.as_deref().unwrap_or(&mark.blob_key);
        lines.push(format!("for example {}, {name}:", mark.record()));
        lines.extend(
            notice
                .iter()
                .map(|(audience, text)| format!("  {audience}: {}", text.trim())),
        );
    }
    print(
        context,
        &outcome("flag", done, run, would),
        target,
        would,
        &lines,
    );
    let next = match would {
        true => format!(
            "nothing was changed. To carry it out: {}",
            context.next("flag --execute")
        ),
        false => {
            "the application reads them from reinstate.flagged_record (docs/FILES.md)".to_owned()
        }
    };
    context.ui.status(&next);
}
