//! `doctor`: what can be recovered, with which rights, and what to do next.

use serde_json::json;

use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::doctor::{Findings, Level, examine};
use crate::pg::{Access, Session};

pub(super) async fn run(context: &Context) -> Result<Code, Failure> {
    let live = Session::open(&context.live()?, Access::Reading, "doctor").await?;
    let snapshot = if context.has_snapshot() {
        Some(Session::open(&context.snapshot()?, Access::Reading, "doctor").await?)
    } else {
        None
    };
    let findings = examine(&live, snapshot.as_ref()).await?;
    let next = next_command(&findings, snapshot.is_some());
    match context.format {
        Format::Json => {
            let document = json!({
                "schema_version": 1, "command": "doctor", "findings": findings.0, "next": next,
            });
            context.ui.data(&format!("{document:#}"));
        }
        Format::Text => show(context, &findings, next),
    }
    Ok(if findings.worst() >= Level::Problem {
        Code::Found
    } else {
        Code::Done
    })
}

fn next_command(findings: &Findings, has_snapshot: bool) -> &'static str {
    match (findings.worst(), has_snapshot) {
        (Level::Problem, _) => "mend the problems above, then reinstate doctor again",
        (_, false) => {
            "restore a backup as a second database, then reinstate doctor --snapshot CONNINFO"
        }
        (_, true) => "reinstate diff",
    }
}

fn show(context: &Context, findings: &Findings, next: &str) {
    for finding in &findings.0 {
        let mark = match finding.level {
            Level::Good => "ok     ",
            Level::Note => "note   ",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        context
            .ui
            .data(&format!("{mark}  {:<8}  {}", finding.about, finding.text));
        if let Some(advice) = &finding.advice {
            context.ui.data(&format!("                     → {advice}"));
        }
    }
    context.ui.data(&format!("next: {next}"));
}
