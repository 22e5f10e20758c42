//! References that the deletion set to NULL: what became, or would become, of them.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::output::counted;
use crate::restore::RelinkOutcome;

/// `relinks.jsonl`: every reference that is not filled, with the reason; keys, and what the reference held.
pub(super) fn file(context: &Context, outcome: &RelinkOutcome) -> Result<(), Failure> {
    let mut file = context.create("relinks.jsonl")?;
    for left in &outcome.left {
        writeln!(file, "{}", json!(left)).map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(())
}

/// For the document.
pub(super) fn document(outcome: &RelinkOutcome) -> Value {
    json!({"mode": outcome.mode.name(), "totals": outcome.totals(), "tables": outcome.tables})
}

/// For people; `would` is how a plan says it.
pub(super) fn lines(outcome: &RelinkOutcome, would: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, states) in &outcome.tables {
        let of = |state: &str| states.get(state).copied().unwrap_or_default();
        let (filled, before) = (of("relinked"), of("as_before"));
        let verb = match would {
            true => "would be pointed to them again",
            false => "were pointed to them again",
        };
        if filled > 0 {
            lines.push(format!(
                "{table}: {} to rows that come back, set to NULL by the deletion, {verb}",
                counted(filled, "reference")
            ));
        }
        if before > 0 {
            lines.push(format!(
                "{table}: {} as before already",
                counted(before, "reference")
            ));
        }
        for (state, n) in states.iter().filter(|(s, _)| why(s).is_some()) {
            let why = why(state).unwrap_or_default();
            lines.push(format!("{table}: {} left: {why}", counted(*n, "reference")));
        }
    }
    lines
}

/// Why references are left, for people.
fn why(state: &str) -> Option<&'static str> {
    Some(match state {
        "set_default" => {
            "the deletion set them to their default; what they held is in relinks.jsonl"
        }
        "older_bundle" => {
            "an older version made the bundle, which does not say enough; extract again"
        }
        "gone" => "the rows that referred are gone",
        "parent_not_back" => "the rows that they pointed at are not back",
        "parent_changed" => "the rows that they pointed at are other ones now",
        "pending" => "not tried yet; running the same command again goes on",
        "reassigned" => "they point at something else since",
        "emptied_since" => "they were filled before, and somebody has emptied them since",
        "not_asked" => "--relinks none",
        "unproven" => {
            "nothing proves that the deletion emptied them, and not their owners; relinks.jsonl names them, --relinks all fills \
             those of rows that are otherwise as in the backup"
        }
        "changed" => {
            "nothing proves that the deletion emptied them, and the rows were edited since the backup"
        }
        "locked" => "somebody held the rows all the time; run it again",
        "refused" => "the server refused, or would; relinks.jsonl has its words",
        _ => return None,
    })
}
