//! Files of the case that list what evidence leaves open: `undetermined.jsonl` and `contradictions.jsonl`.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::case_file::CaseFile;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::evidence::{Dated, Finding, Interval};
use crate::extract::Undecided;

const UNDETERMINED: &str = "undetermined.jsonl";
const CONTRADICTIONS: &str = "contradictions.jsonl";

/// `undetermined.jsonl`, written as rows turn up.
pub(super) struct UndeterminedList {
    file: CaseFile,
    rows: u64,
    failed: Option<std::io::Error>,
}

impl UndeterminedList {
    pub(super) fn create(context: &Context) -> Result<Self, Failure> {
        Ok(Self {
            file: context.create(UNDETERMINED)?,
            rows: 0,
            failed: None,
        })
    }

    pub(super) fn add(&mut self, row: &Undecided<'_>) {
        self.rows += 1;
        let mut line = json!({"table": row.table, "key": row.key});
        describe(row.finding, &mut line);
        if self.failed.is_none() {
            self.failed = writeln!(self.file, "{line}").err();
        }
    }

    /// Keeps the file where it lists something. Where a command that `succeeded` lists nothing, that of an earlier run
    /// goes: it would be taken for this one's.
    pub(super) fn finish(self, context: &Context, succeeded: bool) -> Result<(), Failure> {
        if let Some(e) = &self.failed {
            return Err(self.file.failed(e));
        }
        if self.rows > 0 {
            let path = self.file.finish()?;
            context
                .ui
                .detail(&format!("{} lists {} rows", path.display(), self.rows));
        } else if succeeded {
            context.remove(UNDETERMINED)?;
        }
        Ok(())
    }
}

/// Writes `contradictions.jsonl` where there are some, and else removes that of an earlier run; returns how many.
pub(super) fn contradictions(context: &Context, dated: &Dated) -> Result<usize, Failure> {
    let all = dated.findings.contradictions();
    if all.is_empty() {
        context.remove(CONTRADICTIONS)?;
        return Ok(0);
    }
    let mut file = context.create(CONTRADICTIONS)?;
    for contradiction in all {
        let said = &contradiction.testimony;
        let (table, _) = dated.candidates.place(said.node);
        let mut known = json!({});
        describe(&contradiction.before, &mut known);
        let line = json!({
            "table": dated.candidates.tables[table].snapshot.name,
            "key": dated.candidates.key(said.node),
            "known": known,
            "contradicted_by": {
                "source": said.source.name(),
                "from": text(said.interval).0, "to": text(said.interval).1, "transaction": said.transaction,
            },
        });
        writeln!(file, "{line}").map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(all.len())
}

fn describe(finding: &Finding, line: &mut Value) {
    let (from, to) = text(finding.interval());
    line["from"] = json!(from);
    line["to"] = json!(to);
    line["source"] = json!(finding.sources());
    line["transaction"] = json!(finding.transaction());
    line["contradicted"] = json!(finding.contradicted());
}

fn text(interval: Interval) -> (Option<String>, Option<String>) {
    let end = (interval.to != jiff::Timestamp::MAX).then(|| interval.to.to_string());
    (interval.from.map(|t| t.to_string()), end)
}
