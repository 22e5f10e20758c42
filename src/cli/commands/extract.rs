//! `extract`: packs what was deleted into a bundle.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::catalog::{compare, introspect, merge_relations};
use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::diff::Sides;
use crate::event::Event;
use crate::extract::{Extracted, Request, extract};
use crate::ident::{Key, TableName};

use super::select::{
    EXCLUDE_UNRELATED, check_patterns, leave_out_unrelated, patterns, refuse_strangers,
    refuse_unreadable,
};
use super::{build, open_both};

pub(super) async fn run(context: &Context, args: args::Extract) -> Result<Code, Failure> {
    if args.from.is_some() || args.to.is_some() {
        return Err(Failure::usage(
            "a window needs evidence of when rows were deleted, which this version does not read",
        )
        .hint("leave --from and --to out, and choose with --root, --where and --keys"));
    }
    let request = request(context, &args)?;
    let both = open_both(context).await?;
    let (snapshot, live) = tokio::try_join!(
        introspect(&both.snapshot_session),
        introspect(&both.live_session)
    )?;
    let mut pairs = compare(&snapshot, &live);
    refuse_strangers(&both, &pairs)?;
    check_patterns(&args.tables, &pairs)?;
    check_declared(context, &snapshot)?;
    let relations = merge_relations(&snapshot, &live, &context.config.relations);
    leave_out_unrelated(&args.tables.exclude_table, &relations, &mut pairs)?;
    refuse_unreadable(&both, &pairs, EXCLUDE_UNRELATED)?;
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs)).await?;
    let sink = |event: Event| context.ui.event(&event);
    let extracted = extract(&request, &sides, (&snapshot, &live), pairs, &sink).await?;
    report(context, &request, &extracted)?;
    Ok(Code::Done)
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
    let time = args
        .snapshot_time
        .as_ref()
        .or(context.config.snapshot_time.as_ref());
    let snapshot_time = time
        .map(|t| {
            t.parse::<Timestamp>().map_err(|_| {
                Failure::usage(format!(
                    "snapshot time `{t}` is not an RFC 3339 time with an offset"
                ))
                .hint("write it like 2020-01-21T03:00:00+01:00")
            })
        })
        .transpose()?;
    let target = args
        .output
        .clone()
        .unwrap_or_else(|| context.case.join("bundle"));
    let settings = json!({
        "roots": roots, "where": args.r#where, "keys": args.keys.is_some(),
        "schema": args.tables.schema, "table": args.tables.table, "exclude_table": args.tables.exclude_table,
        "relations": context.config.relations, "snapshot_time": snapshot_time.map(|t| t.to_string()),
    });
    Ok(Request {
        patterns: patterns(&args.tables)?,
        where_sql: args.r#where.clone(),
        keys: args.keys.as_deref().map(keys).transpose()?,
        declared: context.config.relations.clone(),
        tool: build::tool(),
        settings_digest: Sha256::digest(settings.to_string())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect(),
        roots,
        snapshot_time,
        target,
    })
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

/// A declared relation that names what is not there would be passed over.
fn check_declared(context: &Context, snapshot: &crate::catalog::Schema) -> Result<(), Failure> {
    for relation in &context.config.relations {
        let when = relation.when.iter().map(|(column, _)| column);
        let sides = [
            (
                &relation.child,
                relation
                    .child_columns
                    .iter()
                    .chain(when)
                    .collect::<Vec<_>>(),
            ),
            (&relation.parent, relation.parent_columns.iter().collect()),
        ];
        for (table, columns) in sides {
            let Some(found) = snapshot.tables.get(table) else {
                return Err(Failure::usage(format!(
                    "[[relation]]: the snapshot has no table {table}"
                )));
            };
            if let Some(missing) = columns.into_iter().find(|c| found.column(c).is_none()) {
                return Err(Failure::usage(format!(
                    "[[relation]]: {table} has no column {missing}"
                )));
            }
        }
    }
    Ok(())
}

fn report(context: &Context, request: &Request, extracted: &Extracted) -> Result<(), Failure> {
    let t = &extracted.totals;
    let outcome = Outcome {
        command: "extract",
        run: None,
        totals: vec![
            ("rows", t.rows),
            ("units", t.units),
            ("relinks", t.relinks),
            ("outside_window", t.outside_window),
            ("undetermined", t.undetermined),
            ("excluded", t.excluded),
            ("attachments", t.attachments),
        ],
        tables: extracted
            .tables
            .iter()
            .map(|(table, rows, units)| (table.clone(), vec![("rows", *rows), ("units", *units)]))
            .collect(),
        beside: vec![
            ("bundle", json!(extracted.bundle)),
            ("path", json!(request.target)),
            ("left_out", json!(extracted.left_out)),
            ("doubtful_parents", json!(extracted.doubtful_parents)),
        ],
    };
    super::warn_of_parents(context, &extracted.doubtful_parents);
    if context.format == Format::Json {
        context.ui.data(&format!("{:#}", outcome.json()));
        return Ok(());
    }
    context.ui.data(&outcome.text());
    for left in extracted.left_out.iter().filter(|l| l.rows > 0) {
        context.ui.data(&format!(
            "left deleted: {} of {}: {}",
            counted(left.rows, "row"),
            left.table,
            left.reason
        ));
    }
    for left in extracted.left_out.iter().filter(|l| l.rows == 0) {
        context.ui.warning(&format!(
            "{} was not looked at: {}",
            left.table, left.reason
        ));
    }
    if request.snapshot_time.is_none() {
        context.ui.status("the time of the backup is unknown (--snapshot-time): nothing says when these rows were deleted");
    }
    let short: String = extracted.bundle.chars().take(8).collect();
    context.ui.status(&format!(
        "bundle {short} is in {}. Next: {}",
        request.target.display(),
        context.next_on("restore", &request.target)
    ));
    Ok(())
}
