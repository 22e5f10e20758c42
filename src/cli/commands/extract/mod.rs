//! `extract`: packs what was deleted into a bundle.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::catalog::{Renames, merge_relations};
use crate::cli::args::{self, UndeterminedArg};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::diff::Sides;
use crate::event::Event;
use crate::evidence::{EvidenceError, Interval, Selection};
use crate::extract::{ExtractError, Request, Undetermined, extract};
use crate::ident::{Key, TableName};
use crate::pg::trimmed;

mod report;

use super::select::{
    EXCLUDE_UNRELATED, Schemas, leave_out_unrelated, patterns, refuse_unreadable, schemas,
};
use super::sources::{self, moment, snapshot_time};
use super::undecided::UndeterminedList;
use super::{build, declared, open_both};

pub(super) async fn run(context: &Context, args: args::Extract) -> Result<Code, Failure> {
    let mut request = request(context, &args)?;
    let both = open_both(context).await?;
    let Schemas {
        snapshot,
        live,
        mut pairs,
        renames,
    } = schemas(&both, &context.config.renames, &args.tables).await?;
    declared::identities(context, ("the snapshot", &snapshot), |t| renames.hint(t))?;
    declared::relations(context, ("the snapshot", &snapshot), |t| renames.hint(t))?;
    request.renames = renames;
    let relations = merge_relations(&snapshot, &live, &context.config.relations);
    leave_out_unrelated(&args.tables.exclude_table, &relations, &mut pairs)?;
    refuse_unreadable(&both, &pairs, EXCLUDE_UNRELATED)?;
    let dating = !request.selection.is_everything();
    let mut evidence =
        sources::open(context, &args.evidence, &both, &snapshot, &pairs, dating).await?;
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs)).await?;
    let sink = |event: Event| context.ui.event(&event);
    let mut undetermined = UndeterminedList::create(context)?;
    let extracted = extract(
        &request,
        &sides,
        (&snapshot, &live),
        pairs,
        &mut evidence.sources,
        &mut |row| undetermined.add(row),
        &sink,
    )
    .await;
    undetermined.finish(context, extracted.is_ok())?;
    let extracted = extracted.map_err(|e| match &e {
        ExtractError::Evidence(EvidenceError::None { .. }) => evidence.explain(e.into()),
        _ => e.into(),
    })?;
    report::report(context, &request, &extracted)?;
    Ok(Code::Done)
}

/// Which deletions were asked for.
fn selection(args: &args::Extract) -> Result<Selection, Failure> {
    let time = |option, text: &Option<String>| {
        let parsed = text.as_ref().map(|t| moment(option, t));
        parsed.transpose()
    };
    let (from, to) = (time("--from", &args.from)?, time("--to", &args.to)?);
    let window = (from.is_some() || to.is_some()).then(|| Interval {
        from,
        to: to.unwrap_or(Timestamp::MAX),
    });
    if let Some(Interval {
        from: Some(from),
        to,
    }) = window
        && from >= to
    {
        return Err(Failure::usage(format!(
            "the window is empty: --from {from} is not before --to {to}"
        ))
        .hint("--to is exclusive; mind the offsets, which may differ"));
    }
    let listed = args.only_transactions.as_deref().map(transactions);
    let mut xids = listed.transpose()?.unwrap_or_default();
    // As xmin and xmax show them: the lower 32 bits.
    xids.extend(args.xid.iter().map(|x| *x as u32));
    let asked = args.only_transactions.is_some() || !args.xid.is_empty();
    Ok(Selection {
        window,
        transactions: asked.then_some(xids),
    })
}

/// Reads a file of transactions, one a line.
fn transactions(path: &std::path::Path) -> Result<HashSet<u32>, Failure> {
    let failed = |reason: String| {
        Failure::usage(format!("--only-transactions {}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let xids = lines
        .map(|line| {
            let number = line.parse::<u64>().map(|x| x as u32);
            number.map_err(|_| failed(format!("`{line}` is no transaction")))
        })
        .collect::<Result<HashSet<_>, _>>()?;
    match xids.is_empty() {
        true => Err(failed("the file holds no transaction".into())),
        false => Ok(xids),
    }
}

fn request(context: &Context, args: &args::Extract) -> Result<Request, Failure> {
    let roots = args
        .root
        .iter()
        .map(|r| {
            r.parse::<TableName>()
                .map_err(|e| Failure::usage(format!("--root: {e}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let snapshot_time = snapshot_time(context, &args.evidence)?;
    let selection = selection(args)?;
    let target = args
        .output
        .clone()
        .unwrap_or_else(|| context.case.join("bundle"));
    let settings = json!({
        "roots": roots, "where": args.r#where, "keys": args.keys.is_some(),
        "schema": args.tables.schema, "table": args.tables.table, "exclude_table": args.tables.exclude_table,
        "relations": context.config.relations, "snapshot_time": snapshot_time.map(|t| t.to_string()),
        "window": selection.window.map(|w| w.to_string()), "transactions": sorted(&selection),
        "undetermined": format!("{:?}", args.undetermined), "exclude": context.config.exclusions,
        "identity": context.config.identities, "rename": context.config.renames,
    });
    Ok(Request {
        patterns: patterns(&args.tables)?,
        where_sql: args.r#where.as_deref().map(|w| trimmed(w).to_owned()),
        keys: args.keys.as_deref().map(keys).transpose()?,
        declared: context.config.relations.clone(),
        tool: build::tool(),
        settings_digest: Sha256::digest(settings.to_string())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect(),
        roots,
        snapshot_time,
        selection,
        undetermined: match args.undetermined {
            UndeterminedArg::Include => Undetermined::Include,
            UndeterminedArg::Exclude => Undetermined::Exclude,
            UndeterminedArg::Refuse => Undetermined::Refuse,
        },
        exclusions: context.config.exclusions.clone(),
        identities: context.config.identities.clone(),
        renames: Renames::default(),
        attachments: context.config.attachments.clone(),
        target,
    })
}

fn sorted(selection: &Selection) -> Option<Vec<u32>> {
    let mut xids: Vec<u32> = selection.transactions.as_ref()?.iter().copied().collect();
    xids.sort_unstable();
    Some(xids)
}

/// Reads a file of keys: CSV without a header, one key a line, a field a key column.
fn keys(path: &std::path::Path) -> Result<Vec<Key>, Failure> {
    let failed = |e: csv::Error| Failure::usage(format!("--keys {}: {e}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(path)
        .map_err(failed)?;
    let keys = reader
        .records()
        .map(|r| Ok(Key(r.map_err(failed)?.iter().map(str::to_owned).collect())))
        .collect::<Result<Vec<_>, Failure>>()?;
    if keys.is_empty() {
        return Err(Failure::usage(format!(
            "--keys {}: the file holds no key",
            path.display()
        )));
    }
    Ok(keys)
}
