//! `diff`: what is deleted, inserted and changed, per table; `diff.json` and `diff.jsonl` in the case.

use std::io::Write;

use crate::catalog::{Comparable, Drift, Schema};
use crate::cli::args::{self, DepthArg, Format};
use crate::cli::case_file::CaseFile;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{columns, counted, grouped};
use crate::cli::unknowable::lines as unknowable_lines;
use crate::diff::report::{DiffLine, DiffReport, Status, TableReport, Totals};
use crate::diff::{Compared, Depth, DiffOptions, Found, Sides, Unknowable, diff_table, unknowable};
use crate::event::Event;
use crate::ident::TableName;

use super::open_both;
use super::select::{EXCLUDE, Schemas, patterns, refuse_unreadable, schemas};

/// A table whose rows are mostly missing is suspicious beyond this many rows.
const MANY_ROWS: u64 = 1_000;

pub(super) async fn run(context: &Context, args: args::Diff) -> Result<Code, Failure> {
    let patterns = patterns(&args.tables)?;
    let both = open_both(context).await?;
    let Schemas {
        snapshot,
        live,
        mut pairs,
        ..
    } = schemas(&both, &context.config.renames, &args.tables).await?;
    pairs.retain(|(t, _)| patterns.chooses(t));
    if pairs.is_empty() {
        return Err(Failure::usage("no table is left to compare")
            .hint("--schema, --table and --exclude-table hold together: loosen one of them"));
    }
    refuse_unreadable(&both, &pairs, EXCLUDE)?;

    let content = args.depth == DepthArg::Rows;
    let depth = if content { Depth::Rows } else { Depth::Keys };
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs)).await?;
    let mut lines = Lines(context.create("diff.jsonl")?);
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
    lines.0.finish()?;
    let mut report = DiffReport::new(tables, content);
    let schemas = (&snapshot, &live);
    report.unknowable = Some(look_beyond(context, &sides, schemas, &pairs, &report).await?);
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

/// What the comparison cannot tell.
async fn look_beyond(
    context: &Context,
    sides: &Sides,
    schemas: (&Schema, &Schema),
    pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
    report: &DiffReport,
) -> Result<Unknowable, Failure> {
    let compared: Vec<Compared<'_>> = pairs
        .iter()
        .zip(&report.tables)
        .filter_map(|((_, pair), counted)| {
            Some(Compared {
                table: pair.as_ref().ok()?,
                inserted: counted.totals.inserted.unwrap_or(0),
            })
        })
        .collect();
    let deleted = report
        .tables
        .iter()
        .map(|t| (&t.table, t.totals.deleted.unwrap_or(0)));
    let found = unknowable(sides, schemas, &compared, &context.config.relations).await?;
    Ok(found.may_be_stale(context.config.snapshot_time.clone(), deleted))
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
        return Err(lines.0.failed(&e));
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
    let status = match drift {
        Drift::OnlyInSnapshot => Status::OnlyInSnapshot,
        Drift::OnlyInLive => Status::OnlyInLive,
        Drift::Unreadable { .. } | Drift::Skipped(_) => Status::Skipped,
    };
    TableReport {
        table: name.clone(),
        key: Vec::new(),
        status,
        reason: Some(drift.to_string()),
        totals: Totals::default(),
    }
}

/// `diff.jsonl`.
struct Lines(CaseFile);

impl Lines {
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
    for line in report.unknowable.iter().flat_map(unknowable_lines) {
        context.ui.data(&format!("cannot be known: {line}"));
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
            "{} missing in live; the keys are in diff.jsonl. Next: {}",
            counted(deleted, "row"),
            context.next("timeline")
        ));
    }
}
