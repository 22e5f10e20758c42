//! `verify`: compares every row of a bundle with live and writes the certificate.

use serde_json::json;

use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted, grouped};
use crate::cli::unknowable::lines;
use crate::event::Event;
use crate::pg::Access;
use crate::restore::excluded::Rules;
use crate::verify::{Verified, verify};

use super::build;
use super::renamed::as_live_is;
use super::restore::open_bundle;

/// Absent rows named on the terminal; the certificate has up to a hundred.
const LISTED: usize = 10;

pub(super) async fn run(context: &Context, args: args::Verify) -> Result<Code, Failure> {
    let conninfo = context.live()?;
    let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await?;
    let session = context.open(&conninfo, Access::Reading, "verify").await?;
    super::refuse_snapshot(context, &session).await?;
    let bundle = as_live_is(context, &session, bundle).await?;
    let sink = |event: Event| context.ui.event(&event);
    let rules = Rules {
        exclusions: &context.config.exclusions,
        declared: &context.config.relations,
    };
    let verified = verify(&session, &bundle, rules, &context.config.fills, &sink).await?;
    let total = verified.total();
    if total.sum() != bundle.manifest.totals.rows {
        return Err(Failure::bug(format!(
            "the states add up to {} rows, but the bundle has {}: please report this",
            total.sum(),
            bundle.manifest.totals.rows
        )));
    }
    let outcome = Outcome {
        command: "verify",
        run: None,
        totals: total.named(),
        tables: verified
            .tables
            .iter()
            .map(|(t, v)| (t.clone(), v.named()))
            .collect(),
        beside: vec![
            ("bundle", json!(bundle.id)),
            ("bundle_rows", json!(bundle.manifest.totals.rows)),
            ("at", json!(context.clock.now().to_string())),
            ("live", json!(session.target().to_string())),
            ("tool", json!(build::tool())),
            ("absent", json!(verified.absent)),
            ("excluded_but_back", json!(verified.excluded_but_back)),
            ("exclusions_dropped", json!(verified.exclusions_dropped)),
            ("relinks", json!(verified.relinks)),
            ("large_objects", json!(verified.large_objects)),
            ("other_content", json!(verified.other_content)),
            ("doubtful_parents", json!(bundle.manifest.doubtful_parents)),
            ("left_deleted", json!(bundle.manifest.left_out)),
            ("not_compared", json!(verified.not_compared)),
            ("window", json!(bundle.manifest.window)),
            ("cannot_be_known", json!(unknowable(&bundle))),
            ("unknowable", json!(bundle.manifest.unknowable)),
        ],
    };
    let document = format!("{:#}", outcome.json());
    let path = context.write("certificate.json", document.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&document),
        Format::Text => show(context, &outcome, &verified, &bundle),
    }
    context
        .ui
        .status(&format!("the certificate is in {}", path.display()));
    super::warn_of_parents(context, &bundle.manifest);
    relinks(context, &verified);
    large_objects(context, &verified);
    let lost = total.missing + total.quarantined;
    if total.missing > 0 {
        context.ui.status(&format!(
            "{} missing. Next: {}",
            counted(total.missing, "row"),
            context.next_on("restore", &bundle.dir)
        ));
    }
    if verified.displaced > 0 {
        context.ui.status(&format!(
            "{} of the bundle cannot come back while live has other content under their keys: decide which is right",
            counted(verified.displaced, "row")
        ));
    }
    if total.quarantined > 0 {
        context.ui.status(&format!(
            "{} left out by the last run; the reasons are in quarantine.jsonl",
            counted(total.quarantined, "row")
        ));
    }
    if verified.excluded_but_back > 0 {
        context.ui.warning(&format!(
            "{} that must not come back by [[exclude]] are in live: they came back before they were excluded, or another \
             way; deleting them is yours to decide",
            counted(verified.excluded_but_back, "row")
        ));
    }
    for dropped in &verified.exclusions_dropped {
        context.ui.warning(&dropped.describe());
    }
    let since = total.changed_since + total.gone_since;
    let objects = verified.large_objects.as_ref();
    let lost = lost + objects.map_or(0, |o| o.lost());
    let since = since + objects.map_or(0, |o| o.other);
    Ok(if lost > 0 || (args.strict && since > 0) {
        Code::Found
    } else {
        Code::Done
    })
}

fn show(context: &Context, outcome: &Outcome, verified: &Verified, bundle: &crate::bundle::Bundle) {
    context.ui.data(&outcome.text());
    for left in &verified.not_compared {
        let columns = left.columns.join(", ");
        let line = format!("not compared: {}: {columns}: {}", left.table, left.reason);
        context.ui.data(&line);
    }
    let total = verified.total();
    context.ui.data(&format!(
        "{} of {} of the bundle are in live as in the backup",
        grouped(total.identical),
        counted(bundle.manifest.totals.rows, "row")
    ));
    let lost = total.missing + total.quarantined;
    list(
        context,
        "absent",
        &verified.absent,
        lost - verified.displaced,
    );
    let other = "in live with other content";
    list(context, other, &verified.other_content, verified.displaced);
    for line in unknowable(bundle) {
        context.ui.data(&format!("cannot be known: {line}"));
    }
}

/// References of rows that live still has, of which nothing else would show that they belonged to rows of the bundle.
fn relinks(context: &Context, verified: &Verified) {
    for (table, states) in &verified.relinks {
        for (state, n) in states {
            let holds = match *state {
                "as_before" => "as in the backup",
                "null" => "NULL",
                "set_default" => "their default",
                "elsewhere" => "something else",
                "gone" => "gone with their rows",
                _ => "not compared",
            };
            let line = format!(
                "{} of {table} to rows of the bundle: {holds}",
                counted(*n, "reference")
            );
            match *state {
                "null" | "set_default" => context.ui.warning(&line),
                _ => context.ui.status(&line),
            }
        }
    }
}

/// Large objects, beside the rows that point at them.
fn large_objects(context: &Context, verified: &Verified) {
    let Some(objects) = &verified.large_objects else {
        return;
    };
    context.ui.status(&format!(
        "{} that these rows point at: as in the backup",
        counted(objects.identical, "large object")
    ));
    let bad = [
        (objects.missing, "not in live"),
        (objects.other, "in live with another content"),
        (
            objects.unreadable,
            "in live, and this role may not read them",
        ),
    ];
    for (n, what) in bad.into_iter().filter(|(n, _)| *n > 0) {
        context.ui.warning(&format!(
            "{} that these rows point at: {what}; the certificate names them",
            counted(n, "large object")
        ));
    }
    if objects.rows_without > 0 {
        context.ui.warning(&format!(
            "in live as in the backup, but pointing at such an object: {} of the bundle",
            counted(objects.rows_without, "row")
        ));
    }
}

/// Names some of the rows of one kind, and counts the others.
fn list(context: &Context, what: &str, keys: &[String], all: u64) {
    for key in keys.iter().take(LISTED) {
        context.ui.data(&format!("{what}: {key}"));
    }
    if let Some(more) = all.checked_sub(LISTED as u64).filter(|n| *n > 0) {
        let more = counted(more, "row");
        context.ui.data(&format!("{what}: {more} more"));
    }
}

/// What no comparison can tell: as `extract` found it, or, in a bundle that an older version wrote, in general.
fn unknowable(bundle: &crate::bundle::Bundle) -> Vec<String> {
    if let Some(found) = &bundle.manifest.unknowable {
        return lines(found);
    }
    let since = match &bundle.manifest.window.from {
        Some(time) => format!("since the backup of {time}"),
        None => "since the backup".to_owned(),
    };
    vec![
        format!("edits that people made to these rows {since}, before they were deleted"),
        format!("rows born {since} and deleted before the bundle was extracted"),
    ]
}
