//! `blobs check`: where every file is; `blobs.jsonl` in the case.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{gather, report, stores};
use crate::blobs::{
    CheckError, Checking, Fault, Gate, Level, Record, Sides, StoreConfig, Strategy, Tally,
    read_inventory,
};
use crate::cli::args::{BlobsCheck, LevelArg, StrategyArg};
use crate::cli::commands::restore::open_bundle;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{counted, grouped};
use crate::event::Event;

/// Where a check keeps what it has found so far.
const PARTIAL: &str = "blobs.partial.jsonl";
/// Where it puts it in the end.
const WHOLE: &str = "blobs.jsonl";

pub(super) async fn run(context: &Context, args: BlobsCheck) -> Result<Code, Failure> {
    let within = expires_within(&args.expires_within)?;
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
    let inventory = match &args.inventory {
        None => None,
        Some(path) => Some(report::of_inventory(
            context,
            read_inventory(path, &configs, &context.case)?,
        )),
    };
    let mut tally = Tally::default();
    let path = context.case.join(PARTIAL);
    let check = identity(&of, &args, &configs);
    let opened = Record::open(&path, &check, args.fresh, |row| tally.add(row));
    let (mut record, progress) = opened.map_err(CheckError::Write)?;
    if progress.blobs > 0 {
        context.ui.status(&format!(
            "going on after {} of an interrupted check (--fresh begins anew)",
            counted(progress.blobs, "file")
        ));
    }
    let checking = Checking {
        stores: &sides,
        level: level(args.level),
        strategy: strategy(args.strategy),
        concurrency: usize::from(args.asking.concurrency),
        expiring_before: context
            .clock
            .now()
            .saturating_add(within)
            .unwrap_or(jiff::Timestamp::MAX),
    };
    context.ui.event(&Event::FilesStarted { files });
    context.ui.event(&Event::FilesChecked {
        files: progress.blobs,
    });
    let rest = blobs.skip_while(|b| b.as_ref().is_ok_and(|b| progress.covers(&b.store, &b.path)));
    let mut kept = progress.blobs;
    let checked = checking.run(rest, inventory, |rows| {
        record.add(&rows).map_err(CheckError::Write)?;
        rows.iter().for_each(|row| tally.add(row));
        kept += rows.len() as u64;
        context.ui.event(&Event::FilesChecked {
            files: rows.len() as u64,
        });
        Ok(())
    });
    checked.await.map_err(|e| stopped(e, kept))?;
    let whole = context.case.join(WHOLE);
    record.finish(&whole).map_err(CheckError::Write)?;
    let methods: Vec<_> = sides.values().map(Sides::method).collect();
    report::report(context, &args, &of, &tally, &methods, &whole);
    Ok(match tally.trouble() {
        true => Code::Found,
        false => Code::Done,
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
fn identity(of: &str, args: &BlobsCheck, stores: &[StoreConfig]) -> String {
    let said = json!({
        "of": of, "level": format!("{:?}", args.level), "inventory": args.inventory,
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
