//! What `extract` prints.

use serde_json::json;

use crate::bundle::{SourceSum, Totals};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::output::{Outcome, counted, grouped};
use crate::extract::{Extracted, Request};

pub(super) fn report(
    context: &Context,
    request: &Request,
    extracted: &Extracted,
) -> Result<(), Failure> {
    let t = extracted.totals;
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
            ("evidence", json!(extracted.evidence)),
            ("notes", json!(extracted.notes)),
            ("doubtful_parents", json!(extracted.doubtful_parents)),
            ("set_default", json!(t.set_default)),
            ("large_objects", json!(t.large_objects)),
        ],
    };
    for parent in &extracted.doubtful_parents {
        let words = "restore leaves their units out while they are; [[identity]] says otherwise";
        context
            .ui
            .warning(&format!("{}: {words}", parent.describe()));
    }
    warn_of_relinks(context, &t);
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
    if t.large_objects > 0 {
        context.ui.data(&format!(
            "{} that these rows point at: in the bundle with them",
            counted(t.large_objects, "large object")
        ));
    }
    let told = |s: &&SourceSum| s.source != "none";
    let any = extracted.evidence.iter().any(|s| told(&s));
    for source in extracted.evidence.iter().filter(|_| any) {
        context.ui.data(&dated(source));
    }
    if request.snapshot_time.is_none() && request.selection.is_everything() {
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

/// How many rows a source dates, for people.
fn dated(sum: &SourceSum) -> String {
    let what = match sum.source.as_str() {
        "none" => "no evidence of when".to_owned(),
        source => format!("evidence by {source}"),
    };
    let mut text = format!("{what}: {}", counted(sum.rows, "row"));
    if sum.with_transaction > 0 {
        text += &format!(", of {} the transaction", grouped(sum.with_transaction));
    }
    if sum.contradicted > 0 {
        text += &format!(", {} contradicted", grouped(sum.contradicted));
    }
    text
}

/// References of rows that live still has: nothing else would show that these belonged to rows that come back.
fn warn_of_relinks(context: &Context, totals: &Totals) {
    if totals.relinks > 0 {
        context.ui.warning(&format!(
            "{} of rows that live still has pointed at rows of the bundle when the backup was made, and NULL now: the \
             deletion's doing, or their owners'. restore fills those that the deletion is proved to have emptied (--relinks)",
            counted(totals.relinks, "reference")
        ));
    }
    if totals.set_default > 0 {
        context.ui.warning(&format!(
            "{} of rows that live still has were set to their default as the rows of the bundle were deleted; they are listed \
             in relinks.jsonl.zst of the bundle with what they held, and left to you",
            counted(totals.set_default, "reference")
        ));
    }
}
