//! `doctor`: what can be recovered, with which rights, and what to do next.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::doctor::{Finding, Findings, Given, Level, Side, examine};
use crate::pg::{Access, Conninfo, Session};

/// Findings of one kind that are shown.
const ALIKE: usize = 6;

pub(super) async fn run(context: &Context) -> Result<Code, Failure> {
    let mut unreachable = Findings::default();
    // Without live there is nothing to look at yet; without a snapshot there is.
    let live = open(&context.live()?, Side::Live, &mut unreachable).await;
    let snapshot = if context.has_snapshot() {
        open(&context.snapshot()?, Side::Snapshot, &mut unreachable).await
    } else {
        None
    };
    let mut findings = examine(&Given {
        live: live.as_ref(),
        snapshot: snapshot.as_ref(),
        declared: &context.config.relations,
        renames: &context.config.renames,
        snapshot_time: context.config.snapshot_time.as_deref(),
        clock: context.clock.as_ref(),
    })
    .await
    .findings;
    findings.0.extend(unreachable.0);
    let next = next_command(context, &findings);
    match context.format {
        Format::Json => context.ui.data(&document(&findings, &next)),
        Format::Text => show(context, &findings, &next),
    }
    Ok(if findings.worst() >= Level::Problem {
        Code::Found
    } else {
        Code::Done
    })
}

/// A side that cannot be reached is a finding like others: the rest is looked at.
async fn open(conninfo: &Conninfo, side: Side, findings: &mut Findings) -> Option<Session> {
    match Session::open(conninfo, Access::Reading, "doctor").await {
        Ok(session) => Some(session),
        Err(error) => {
            let failure = Failure::from(error);
            let finding = findings.add(Level::Problem, side, "unreachable", failure.message);
            finding.advice = failure.hint;
            None
        }
    }
}

fn next_command(context: &Context, findings: &Findings) -> String {
    match (findings.worst(), context.has_snapshot()) {
        (Level::Problem, _) => format!("mend the problems, then {}", context.next("doctor")),
        (_, false) => format!(
            "restore a backup as a second database, then {}",
            context.next("doctor --snapshot CONNINFO")
        ),
        (_, true) => context.next("diff"),
    }
}

fn document(findings: &Findings, next: &str) -> String {
    let document = json!({
        "schema_version": 1,
        "command": "doctor",
        "run": null,
        "totals": {
            "problem": findings.count(Level::Problem),
            "warning": findings.count(Level::Warning),
            "note": findings.count(Level::Note),
            "good": findings.count(Level::Good),
        },
        "tables": [],
        "findings": findings.0,
        "next": next,
    });
    format!("{document:#}")
}

/// One page: what is looked at, then what is worst. Findings of one kind are cut short; JSON has them all.
fn show(context: &Context, findings: &Findings, next: &str) {
    let mut sorted: Vec<&Finding> = findings.0.iter().collect();
    sorted.sort_by_key(|f| (f.code != "version", Reverse(f.level)));
    let mut lines = Vec::new();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in sorted {
        let seen = seen
            .entry((finding.code, finding.about.word()))
            .or_default();
        *seen += 1;
        if *seen <= ALIKE {
            lines.extend(shown(context, finding));
        }
    }
    for ((code, about), count) in seen {
        if count > ALIKE {
            let more = count - ALIKE;
            lines.push(format!(
                "and {more} more of {about} like `{code}` above; --format json has all"
            ));
        }
    }
    lines.push(String::new());
    lines.push(format!("next: {next}"));
    context.ui.data(&lines.join("\n"));
}

fn shown(context: &Context, finding: &Finding) -> Vec<String> {
    let mark = match finding.level {
        Level::Good => "ok",
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Problem => "PROBLEM",
    };
    let about = finding.about.word();
    let mut lines = vec![format!("{mark:<7}  {about:<8}  {}", finding.text)];
    for line in finding.advice.iter().flat_map(|a| a.lines()) {
        lines.push(format!("{:>19}  {line}", ""));
    }
    if let Some(next) = &finding.next {
        let next = match next.strip_prefix("reinstate ") {
            Some(verb) => context.next(verb),
            None => next.clone(),
        };
        lines.push(format!("{:>19}  → {next}", ""));
    }
    lines
}
