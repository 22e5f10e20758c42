//! The looking that `check` and `copy` begin with: where every file is; `blobs.jsonl` in the case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{gather, report, stores};
use crate::blobs::{
    BlobRow, BroughtBack, CheckError, Checking, Fault, Gate, Level, Method, Record, Sides, State,
    StoreConfig, Strategy, Tally, read_inventory,
};
use crate::cli::args::{BlobsLook, LevelArg, StrategyArg};
use crate::cli::commands::restore::open_bundle;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{counted, grouped};
use crate::event::Event;

/// Where a check keeps what it has found so far.
const PARTIAL: &str = "blobs.partial.jsonl";
/// Where it puts it in the end.
pub(in crate::cli::commands) const WHOLE: &str = "blobs.jsonl";
/// What copies meant to do, and did.
pub(super) const JOURNAL: &str = "blobs.copy.jsonl";

/// What was found, and where.
pub(super) struct Looked {
    /// The bundle's id, or `live`.
    pub(super) of: String,
    pub(super) tally: Tally,
    pub(super) stores: BTreeMap<String, Sides>,
    /// `blobs.jsonl`.
    pub(super) path: PathBuf,
}

impl Looked {
    pub(super) fn methods(&self) -> Vec<Method> {
        self.stores.values().map(Sides::method).collect()
    }
}

/// Looks at every file, and leaves what it finds in `blobs.jsonl`.
pub(super) async fn look(
    context: &Context,
    args: &BlobsLook,
    inventory: Option<&Path>,
) -> Result<Looked, Failure> {
    let configs = stores(context, &args.asking);
    let (of, wanted) = match args.live_all {
        true => ("live".to_owned(), gather::of_live(context, &configs).await?),
        false => {
            let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await?;
            (
                bundle.id.clone(),
                gather::of_bundle(context, &bundle, &configs)?,
            )
        }
    };
    let used = wanted.stores();
    let (blobs, files) = wanted.finish()?;
    let gate = Gate::new(usize::from(args.asking.concurrency), args.asking.rps);
    let sides = open(context, &configs, &used, &gate).await?;
    let listed = match inventory {
        None => None,
        Some(path) => Some(report::of_inventory(
            context,
            read_inventory(path, &configs, &context.case)?,
        )),
    };
    let mut tally = Tally::default();
    let back = BroughtBack::read(&context.case.join(JOURNAL)).map_err(CheckError::Write)?;
    let check = identity(&of, args, inventory, &configs);
    let opened = Record::open(&context.case.join(PARTIAL), &check, args.fresh, |row| {
        tally.add(row)
    });
    let (mut record, progress) = opened.map_err(CheckError::Write)?;
    if progress.blobs > 0 {
        context.ui.status(&format!(
            "going on after {} of an interrupted check (--fresh begins anew)",
            counted(progress.blobs, "file")
        ));
    }
    let checking = checking(context, args, &sides)?;
    context.ui.event(&Event::FilesStarted { files });
    context.ui.event(&Event::FilesChecked {
        files: progress.blobs,
    });
    let rest = blobs.skip_while(|b| b.as_ref().is_ok_and(|b| progress.covers(&b.store, &b.path)));
    let mut kept = progress.blobs;
    let checked = checking.run(rest, listed, |mut rows| {
        let ours =
            |row: &&mut BlobRow| row.state == State::Present && back.has(&row.store, row.path());
        rows.iter_mut()
            .filter(ours)
            .for_each(|row| row.state = State::Restored);
        record.add(&rows).map_err(CheckError::Write)?;
        rows.iter().for_each(|row| tally.add(row));
        kept += rows.len() as u64;
        context.ui.event(&Event::FilesChecked {
            files: rows.len() as u64,
        });
        Ok(())
    });
    checked.await.map_err(|e| stopped(e, kept))?;
    let path = context.case.join(WHOLE);
    record.finish(&path).map_err(CheckError::Write)?;
    Ok(Looked {
        of,
        tally,
        stores: sides,
        path,
    })
}

/// How to look, as the command line says.
pub(super) fn checking<'a>(
    context: &Context,
    args: &BlobsLook,
    stores: &'a BTreeMap<String, Sides>,
) -> Result<Checking<'a>, Failure> {
    let within = expires_within(&args.expires_within)?;
    let now = context.clock.now();
    Ok(Checking {
        stores,
        level: level(args.level),
        strategy: strategy(args.strategy),
        concurrency: usize::from(args.asking.concurrency),
        expiring_before: now.saturating_add(within).unwrap_or(jiff::Timestamp::MAX),
    })
}

/// A check that had begun goes on where it stopped, whatever stopped it.
fn stopped(error: CheckError, kept: u64) -> Failure {
    let fails_again =
        matches!(&error, CheckError::Store { cause, .. } if matches!(cause.fault, Fault::BadKey));
    let failure = Failure::from(error);
    if kept == 0 || fails_again {
        return failure;
    }
    let mut failure = failure.with_code(Code::Partly);
    failure.message = format!(
        "{}; {} were checked before, and are kept",
        failure.message,
        grouped(kept)
    );
    failure
}

/// Opens the stores that files are in.
async fn open(
    context: &Context,
    configs: &[StoreConfig],
    used: &[String],
    gate: &Gate,
) -> Result<BTreeMap<String, Sides>, Failure> {
    let mut sides = BTreeMap::new();
    for config in configs.iter().filter(|c| used.contains(&c.name)) {
        let opened = Sides::open(config, gate).await?;
        for note in opened.notes() {
            context.ui.warning(&note);
        }
        sides.insert(config.name.clone(), opened);
    }
    Ok(sides)
}

/// What tells this check from others: an interrupted one is only gone on with where all of it is the same.
fn identity(
    of: &str,
    args: &BlobsLook,
    inventory: Option<&Path>,
    stores: &[StoreConfig],
) -> String {
    let said = json!({
        "of": of, "level": format!("{:?}", args.level), "inventory": inventory,
        "stores": format!("{stores:?}"), "expires_within": args.expires_within,
    });
    let digest = Sha256::digest(said.to_string());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn expires_within(text: &str) -> Result<SignedDuration, Failure> {
    let read = text.parse::<SignedDuration>().ok();
    read.filter(|d| !d.is_negative()).ok_or_else(|| {
        Failure::usage(format!(
            "--expires-within {text} is no length of time, such as 72h"
        ))
    })
}

fn level(level: LevelArg) -> Level {
    match level {
        LevelArg::Exists => Level::Exists,
        LevelArg::Size => Level::Size,
        LevelArg::Checksum => Level::Checksum,
    }
}

fn strategy(strategy: StrategyArg) -> Strategy {
    match strategy {
        StrategyArg::Auto => Strategy::Auto,
        StrategyArg::List => Strategy::List,
        StrategyArg::Head => Strategy::Head,
    }
}
