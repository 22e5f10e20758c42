//! `blobs copy`: looks, says what would be copied and how, and with `--execute` copies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::look::{JOURNAL, Looked, checking, look};
use super::report;
use crate::blobs::{
    BlobRow, CheckError, Copied, CopyOptions, Copying, Journal, Means, Outcome, Outcomes, State,
    blob_rows, wants_copy,
};
use crate::cli::args::BlobsCopy;
use crate::cli::commands::recorder::Recorder;
use crate::cli::commands::{build, stop_asked};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{counted, grouped};
use crate::event::Event;
use crate::ident::RunId;
use crate::pg::Size;

/// Files that cannot be brought back, or were not, that are named.
const NAMED: usize = 10;

/// Files by what was, or would be, done about them.
#[derive(Default)]
struct Work {
    /// Files and bytes.
    by_means: BTreeMap<Means, (u64, u64)>,
    /// Other objects that appeared meanwhile.
    appeared: u64,
    /// Not brought back, and why, the first few.
    left: u64,
    named: Vec<String>,
}

impl Work {
    fn does(&mut self, means: Means, bytes: u64) {
        let sum = self.by_means.entry(means).or_default();
        *sum = (sum.0 + 1, sum.1 + bytes);
    }

    fn leaves(&mut self, row: &BlobRow, reason: &str) {
        self.left += 1;
        if self.named.len() < NAMED {
            self.named
                .push(format!("{} `{}`: {reason}", row.store, row.key));
        }
    }

    fn files(&self) -> u64 {
        self.by_means.values().map(|(files, _)| files).sum()
    }

    fn json(&self) -> Value {
        let of = |means: Means| {
            let (files, bytes) = self.by_means.get(&means).copied().unwrap_or_default();
            (
                means.name().to_owned(),
                json!({"files": files, "bytes": bytes}),
            )
        };
        Value::Object(Means::ALL.into_iter().map(of).collect())
    }

    fn lines(&self, would: bool) -> Vec<String> {
        let mut lines: Vec<String> = self
            .by_means
            .iter()
            .map(|(m, sum)| done(*m, *sum, would))
            .collect();
        if self.appeared > 0 {
            let files = counted(self.appeared, "file");
            lines.push(format!(
                "{files} had come back meanwhile, by somebody else, and were left alone"
            ));
        }
        if self.left > 0 {
            let verb = if would { "cannot be" } else { "could not be" };
            lines.push(format!(
                "{} {verb} brought back:",
                counted(self.left, "file")
            ));
            lines.extend(self.named.iter().map(|n| format!("  {n}")));
            let more = self.left - self.named.len() as u64;
            if more > 0 {
                lines.push(format!(
                    "  and {} more: \"reason\" in blobs.jsonl",
                    grouped(more)
                ));
            }
        }
        lines
    }
}

fn done(means: Means, (files, bytes): (u64, u64), would: bool) -> String {
    let files = counted(files, "file");
    let size = Size(bytes);
    let (does, did) = match means {
        Means::Undelete => ("takes the delete marker off", "delete marker taken off"),
        Means::OlderVersion => ("puts an older version on top", "older version put on top"),
        Means::ServerSide => (
            "lets the store copy from the backup",
            "copied from the backup by the store itself",
        ),
        Means::Streamed => (
            "copies from the backup, through this machine",
            "copied from the backup",
        ),
    };
    match would {
        true => format!("would bring {files} back ({size}): {does}"),
        false => format!("{files} back ({size}): {did}"),
    }
}

pub(super) async fn run(context: &Context, args: BlobsCopy) -> Result<Code, Failure> {
    let options = options(&args);
    let looked = look(context, &args.look, None).await?;
    name_the_stores(context, &looked);
    let plan = plan(&looked, &options)?;
    match args.execute {
        true => carry_out(context, &args, options, looked, plan.files() + plan.left).await,
        false => {
            print(context, &args, &looked, &plan, None);
            Ok(Code::Done)
        }
    }
}

fn options(args: &BlobsCopy) -> CopyOptions {
    let defaults = CopyOptions::default();
    let above = args.parts_above.map(|size| size.0);
    CopyOptions {
        streamed_whole: above.unwrap_or(defaults.streamed_whole),
        copied_whole: above.unwrap_or(defaults.copied_whole),
        replace_corrupt: args.replace_corrupt,
    }
}

/// What is written to, read aloud before anything is.
fn name_the_stores(context: &Context, looked: &Looked) {
    for sides in looked.stores.values() {
        let side = sides.primary.side();
        let at = side
            .endpoint_url
            .as_ref()
            .map_or_else(String::new, |url| format!(" at {url}"));
        context.ui.status(&format!(
            "store {}: files come back into {}{at}",
            sides.name,
            sides.primary.place()
        ));
    }
}

fn plan(looked: &Looked, options: &CopyOptions) -> Result<Work, Failure> {
    let mut plan = Work::default();
    for row in blob_rows(&looked.path).map_err(CheckError::Scratch)? {
        let row = row?;
        let (true, Some(sides)) = (wants_copy(&row, options), looked.stores.get(&row.store)) else {
            continue;
        };
        match Means::of(&row, sides) {
            Ok(means) => plan.does(means, row.source.as_ref().map_or(0, |s| s.size)),
            Err(why) => plan.leaves(&row, &why),
        }
    }
    Ok(plan)
}

fn print(context: &Context, args: &BlobsCopy, looked: &Looked, work: &Work, run: Option<RunId>) {
    let would = run.is_none();
    let own = vec![
        ("plan", json!(would)),
        ("means", work.json()),
        ("appeared", json!(work.appeared)),
        ("left", json!(work.left)),
    ];
    let mut outcome = report::outcome("blobs copy", &args.look, looked, own);
    outcome.run = run;
    let mut lines = work.lines(would);
    let tally = &looked.tally;
    let corrupt = tally.blobs.of(State::Corrupt);
    if corrupt > 0 && !args.replace_corrupt {
        lines.push(format!(
            "{} in the primary store with other bytes than recorded: left as they are (--replace-corrupt overwrites those of \
             which a good copy is known)",
            counted(corrupt, "file")
        ));
    }
    if tally.blobs.of(State::Lost) > 0 {
        lines.push(format!(
            "{} lost: no store has a good copy, of {}",
            counted(tally.blobs.of(State::Lost), "file"),
            counted(tally.owners_hit, "record")
        ));
    }
    if work.files() == 0 && work.left == 0 {
        lines.push("nothing is to be copied".to_owned());
    }
    report::print(context, &outcome, &lines);
    let next = match (would, work.files()) {
        (true, 1..) => context.next("blobs copy --execute"),
        _ => context.next("restore"),
    };
    if !args.look.live_all || (would && work.files() > 0) {
        context.ui.status(&format!(
            "every file is in {}. Next: {next}",
            looked.path.display()
        ));
    }
}

async fn carry_out(
    context: &Context,
    args: &BlobsCopy,
    options: CopyOptions,
    mut looked: Looked,
    files: u64,
) -> Result<Code, Failure> {
    let run = build::new_run(context, "blobs", &looked.of, Value::Null).run;
    let opened = Journal::open(&context.case.join(JOURNAL), &run.to_string());
    let Some((journal, unfinished)) = opened.map_err(CheckError::Write)? else {
        return Err(
            Failure::refused("another `blobs copy` is at work in this case")
                .hint("wait for it to end; if its machine is gone, so is its lock"),
        );
    };
    let primaries: Vec<&str> = looked.stores.values().map(|s| s.primary.place()).collect();
    let recorder = Recorder::new(context, &primaries.join(", "));
    let sink = |event: Event| {
        recorder.record(&event);
        context.ui.event(&event);
    };
    sink(Event::RunStarted {
        run: run.to_string(),
        rows: files,
    });
    let stop = listen(context);
    let (mut work, mut outcomes) = (Work::default(), Outcomes::new(&context.case));
    let copying = Copying::new(
        checking(context, &args.look, &looked.stores)?,
        options,
        journal,
    );
    let dropped = copying.clean(&unfinished).await?;
    if dropped > 0 {
        context.ui.status(&format!(
            "gave up {} that an earlier run had left unfinished",
            counted(dropped, "upload")
        ));
    }
    let rows = blob_rows(&looked.path).map_err(CheckError::Scratch)?;
    let wanted = rows.filter(|row| row.as_ref().map_or(true, |r| copying.wants(r)));
    let mut kept = Ok(());
    let ran = copying
        .run(
            wanted,
            || stop.load(Ordering::Relaxed),
            |copied| {
                kept = std::mem::replace(&mut kept, Ok(())).and_then(|()| outcomes.add(&copied));
                note(&mut work, &copied, &sink);
            },
        )
        .await;
    drop(copying);
    let merged = kept.and_then(|()| outcomes.merge_into(&looked.path));
    looked.tally = merged.map_err(CheckError::Write)?;
    let state = match &ran {
        Ok(true) => "interrupted",
        Ok(false) if work.left == 0 => "done",
        _ => "partly",
    };
    sink(Event::RunFinished {
        run: run.to_string(),
        state: state.to_owned(),
    });
    let stopped = ran.map_err(|e| stopped(e, &work))?;
    print(context, args, &looked, &work, Some(run));
    Ok(match (stopped, work.left) {
        (true, _) => Code::Interrupted,
        (false, 0) => Code::Done,
        (false, _) => Code::Partly,
    })
}

/// Counts one file, and announces it.
fn note(work: &mut Work, copied: &Copied, sink: &impl Fn(Event)) {
    let row = &copied.row;
    let reason = row.reason.clone().unwrap_or_default();
    let (store, key) = (row.store.clone(), row.key.clone());
    match copied.outcome {
        Outcome::Back(means) => {
            work.does(means, row.size.unwrap_or(0));
            let means = means.name().to_owned();
            sink(Event::FileBack { store, key, means });
        }
        Outcome::Appeared => work.appeared += 1,
        Outcome::Left => {
            work.leaves(row, &reason);
            sink(Event::FileLeft { store, key, reason });
        }
    }
    sink(Event::FilesChecked { files: 1 });
}

/// What was copied stays, whatever ended the run.
fn stopped(error: CheckError, work: &Work) -> Failure {
    let failure = Failure::from(error).with_code(Code::Partly);
    let message = format!(
        "{}; {} were brought back before",
        failure.message,
        counted(work.files(), "file")
    );
    Failure { message, ..failure }
}

/// Ends the run after the files at hand when a signal comes; at once at the second.
fn listen(context: &Context) -> Arc<AtomicBool> {
    let (ui, stop) = (context.ui.clone(), Arc::new(AtomicBool::new(false)));
    let asked = stop.clone();
    tokio::spawn(async move {
        stop_asked().await;
        ui.status("stopping after the files at hand; once more stops at once");
        asked.store(true, Ordering::Relaxed);
        stop_asked().await;
        let failure = Failure::interrupted(
            "stopped at once: what was copied stays, nothing half is to be seen",
        )
        .hint("running the same command again goes on, and gives up what was being uploaded");
        ui.failure(&failure);
        std::process::exit(failure.code.number().into());
    });
    stop
}
