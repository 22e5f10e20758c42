//! `diff`: what is deleted, inserted and changed, per table; `diff.json` and `diff.jsonl` in the case.

use std::io::{BufWriter, Write};

use crate::catalog::{Comparable, Drift, TablePatterns, compare, introspect};
use crate::cli::args::{self, DepthArg, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{columns, grouped};
use crate::diff::report::{DiffLine, DiffReport, Status, TableReport, Totals};
use crate::diff::{Depth, DiffOptions, Found, Sides, diff_table};
use crate::event::Event;
use crate::ident::TableName;

use super::open_both;

/// A table whose rows are mostly missing is suspicious beyond this many rows.
const MANY_ROWS: u64 = 1_000;

pub(super) async fn run(context: &Context, args: args::Diff) -> Result<Code, Failure> {
    let patterns = patterns(&args.tables)?;
    let both = open_both(context).await?;
    let (snapshot, live) = tokio::try_join!(
        introspect(&both.snapshot_session),
        introspect(&both.live_session)
    )?;
    let pairs: Vec<_> = compare(&snapshot, &live)
        .into_iter()
        .filter(|(t, _)| patterns.chooses(t))
        .collect();
    refuse_empty(context, &args.tables, &pairs)?;
    refuse_unreadable(&pairs)?;

    let content = args.depth == DepthArg::Rows;
    let depth = if content { Depth::Rows } else { Depth::Keys };
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs), depth).await?;
    let mut lines = Lines::create(context)?;
    let mut tables = Vec::new();
    for (name, pair) in &pairs {
        tables.push(match pair {
            Ok(pair) => {
                one(
                    context,
                    &sides,
                    name,
                    pair,
                    DiffOptions::new(depth),
                    &mut lines,
                )
                .await?
            }
            Err(drift) => not_compared(name, drift),
        });
    }
    lines.finish(context)?;
    let report = DiffReport::new(tables, content);
    let json = serde_json::to_string_pretty(&report).map_err(|e| Failure::bug(e.to_string()))?;
    context.write("diff.json", json.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&json),
        Format::Text => print(context, &report),
    }
    warn(context, &report);
    Ok(if report.has_differences() {
        Code::Found
    } else {
        Code::Done
    })
}

type Pairs = [(TableName, Result<Box<Comparable>, Drift>)];

/// The patterns of the three options.
pub(super) fn patterns(tables: &args::Tables) -> Result<TablePatterns, Failure> {
    TablePatterns::parse(&tables.schema, &tables.table, &tables.exclude_table)
        .map_err(|e| Failure::usage(e.to_string()))
}

fn refuse_empty(context: &Context, args: &args::Tables, pairs: &Pairs) -> Result<(), Failure> {
    if pairs.is_empty() {
        let asked: Vec<&str> = args
            .table
            .iter()
            .chain(&args.schema)
            .map(String::as_str)
            .collect();
        let what = if asked.is_empty() {
            "any table".to_owned()
        } else {
            asked.join(", ")
        };
        return Err(Failure::usage(format!("neither snapshot nor live has {what}"))
            .hint("check the names (as pg_dump takes them) and the databases of both connection strings"));
    }
    let only = |d: &Drift| matches!(d, Drift::OnlyInLive | Drift::OnlyInSnapshot);
    if pairs.iter().all(|(_, pair)| pair.as_ref().is_err_and(only)) {
        let sides = (context.snapshot()?, context.live()?);
        return Err(Failure::usage(format!(
            "snapshot ({}) and live ({}) have no table in common",
            sides.0.target(),
            sides.1.target()
        ))
        .hint("is one of them the wrong database, or still empty?"));
    }
    Ok(())
}

/// A table that cannot be read could hide any number of losses.
pub(super) fn refuse_unreadable(pairs: &Pairs) -> Result<(), Failure> {
    let unreadable: Vec<String> = pairs
        .iter()
        .filter_map(|(name, pair)| match pair {
            Err(Drift::Skipped(reason)) if reason.contains("grant SELECT") => {
                Some(format!("{name}: {reason}"))
            }
            _ => None,
        })
        .collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(unreadable.join("\n       ")).hint(
        "docs/RIGHTS.md lists the grants of a reading role; --exclude-table leaves a table out",
    ))
}

async fn one(
    context: &Context,
    sides: &Sides,
    name: &TableName,
    pair: &Comparable,
    options: DiffOptions,
    lines: &mut Lines,
) -> Result<TableReport, Failure> {
    let keyed = !pair.key.is_empty();
    let mut failed = None;
    let mut write = |found: Found| {
        if failed.is_none() {
            failed = lines.write(name, keyed, &found).err();
        }
    };
    let sink = |event: Event| context.ui.event(&event);
    let counts = diff_table(sides, pair, options, &mut write, &sink).await?;
    if let Some(e) = failed {
        return Err(Failure::usage(format!("cannot write diff.jsonl: {e}")));
    }
    let bag = (!keyed).then(|| "no key: compared as a bag of rows".to_owned());
    let reason = match (bag, pair.drift.sentence()) {
        (Some(a), Some(b)) => Some(format!("{a}; {b}")),
        (a, b) => a.or(b),
    };
    Ok(TableReport {
        table: name.clone(),
        key: pair.key.clone(),
        status: if keyed {
            Status::Compared
        } else {
            Status::NoKey
        },
        reason,
        totals: Totals::counted(counts, options.depth == Depth::Rows),
    })
}

fn not_compared(name: &TableName, drift: &Drift) -> TableReport {
    let (status, reason) = match drift {
        Drift::OnlyInSnapshot => (
            Status::OnlyInSnapshot,
            "live does not have this table".to_owned(),
        ),
        Drift::OnlyInLive => (
            Status::OnlyInLive,
            "the snapshot does not have this table".to_owned(),
        ),
        Drift::Skipped(reason) => (Status::Skipped, reason.clone()),
    };
    TableReport {
        table: name.clone(),
        key: Vec::new(),
        status,
        reason: Some(reason),
        totals: Totals::default(),
    }
}

/// `diff.jsonl`, written beside its final name and moved there when it is whole.
struct Lines(BufWriter<tempfile::NamedTempFile>);

impl Lines {
    fn create(context: &Context) -> Result<Self, Failure> {
        let file = tempfile::NamedTempFile::new_in(&context.case).map_err(|e| {
            Failure::usage(format!("cannot write into {}: {e}", context.case.display()))
        })?;
        Ok(Self(BufWriter::new(file)))
    }

    fn write(&mut self, table: &TableName, keyed: bool, found: &Found) -> std::io::Result<()> {
        let key = Some(&found.key);
        let line = DiffLine {
            table,
            change: found.change.word(),
            key: key.filter(|_| keyed),
            place: key.filter(|_| !keyed),
        };
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    fn finish(self, context: &Context) -> Result<(), Failure> {
        let failed = |e: String| Failure::usage(format!("cannot write diff.jsonl: {e}"));
        let file = self.0.into_inner().map_err(|e| failed(e.to_string()))?;
        file.persist(context.case.join("diff.jsonl"))
            .map_err(|e| failed(e.error.to_string()))?;
        Ok(())
    }
}

fn print(context: &Context, report: &DiffReport) {
    let cell = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
    let row = |name: String, t: &Totals| {
        vec![
            name,
            cell(t.snapshot_rows),
            cell(t.live_rows),
            cell(t.deleted),
            cell(t.inserted),
            cell(t.changed),
        ]
    };
    let mut rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|t| row(t.table.to_string(), &t.totals))
        .collect();
    rows.push(row("total".into(), &report.totals));
    let head = [
        "table", "snapshot", "live", "deleted", "inserted", "changed",
    ]
    .map(str::to_owned);
    context.ui.data(&columns(&head, &rows));
    for table in &report.tables {
        if let Some(reason) = &table.reason {
            context.ui.data(&format!("{}: {reason}", table.table));
        }
    }
}

/// Says what a person should look at twice.
fn warn(context: &Context, report: &DiffReport) {
    for table in &report.tables {
        let (Some(rows), Some(deleted)) = (table.totals.snapshot_rows, table.totals.deleted) else {
            continue;
        };
        if rows >= MANY_ROWS && deleted * 2 > rows {
            context.ui.warning(&format!(
                "{} of {} rows of {} are not in live: is this the right live database?",
                grouped(deleted),
                grouped(rows),
                table.table
            ));
        }
    }
    let deleted = report.totals.deleted.unwrap_or(0);
    if deleted > 0 {
        context.ui.status(&format!(
            "{} rows are missing in live; the keys are in diff.jsonl. Next: reinstate extract",
            grouped(deleted)
        ));
    }
}
