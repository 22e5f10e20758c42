//! `timeline`: when the missing rows were deleted; `timeline.json` and `contradictions.jsonl` in the case.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::catalog::{compare, introspect};
use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{columns, counted, grouped};
use crate::diff::Sides;
use crate::event::Event;
use crate::evidence::timeline::{MOST_BUCKETS, Timeline, timeline};
use crate::evidence::{Dated, Interval, Selection, date};
use crate::ident::TableName;

use super::select::{check_patterns, patterns, refuse_strangers, refuse_unreadable};
use super::{open_both, sources, undecided};

/// Width of the longest bar.
const BAR: u64 = 40;
/// Lines of the histogram that a person looks at; more are for JSON.
const LINES: usize = 200;
/// Kinds of vague evidence that are shown.
const VAGUE: usize = 8;

pub(super) async fn run(context: &Context, args: args::Timeline) -> Result<Code, Failure> {
    let width = bucket(&args.bucket)?;
    let patterns = patterns(&args.tables)?;
    let snapshot_time = sources::snapshot_time(context, &args.evidence)?;
    let both = open_both(context).await?;
    let (snapshot, live) = tokio::try_join!(
        introspect(&both.snapshot_session),
        introspect(&both.live_session)
    )?;
    let mut pairs = compare(&snapshot, &live);
    refuse_strangers(&both, &pairs)?;
    check_patterns(&args.tables, &pairs)?;
    pairs.retain(|(t, _)| patterns.chooses(t));
    refuse_unreadable(&both, &pairs)?;
    let mut evidence =
        sources::open(context, &args.evidence, &both, &snapshot, &pairs, true).await?;
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs)).await?;
    let sink = |event: Event| context.ui.event(&event);
    let everything = Selection::default();
    let dated = date(
        &sides,
        pairs,
        &mut evidence.sources,
        snapshot_time,
        &everything,
        &sink,
    )
    .await?;
    let contradictions = undecided::contradictions(context, &dated)?;
    let drawn = timeline(&dated.findings, width, |node| {
        dated.candidates.place(node).0
    });
    if too_many(&drawn, width) {
        return Err(Failure::usage(format!(
            "--bucket {} gives more than {MOST_BUCKETS} lines between the first deletion and the last",
            args.bucket
        ))
        .hint("choose a wider one, such as 1h"));
    }
    let shown = Shown {
        dated: &dated,
        drawn: &drawn,
        width,
    };
    let json = shown.json(&evidence.missing, contradictions);
    let text = format!("{json:#}");
    context.write("timeline.json", text.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&text),
        Format::Text => shown.print(context),
    }
    for note in &dated.notes {
        context.ui.status(note);
    }
    if evidence.sources.is_empty() && dated.rows > 0 {
        let missing = evidence.missing.join("; ");
        context
            .ui
            .status(&format!("nothing tells when; what would: {missing}"));
    }
    Ok(Code::Done)
}

fn bucket(text: &str) -> Result<SignedDuration, Failure> {
    text.parse::<SignedDuration>()
        .ok()
        .filter(|d| *d >= SignedDuration::from_millis(1))
        .ok_or_else(|| {
            Failure::usage(format!("--bucket `{text}` is no length of time"))
                .hint("write it like 10s, 1m or 1h")
        })
}

fn too_many(drawn: &Timeline, width: SignedDuration) -> bool {
    let span = drawn.span.and_then(|s| Some(s.to.duration_since(s.from?)));
    span.is_some_and(|s| s.as_micros() / width.as_micros().max(1) > i128::from(MOST_BUCKETS))
}

struct Shown<'a> {
    dated: &'a Dated,
    drawn: &'a Timeline,
    width: SignedDuration,
}

impl Shown<'_> {
    fn name(&self, table: usize) -> &TableName {
        &self.dated.candidates.tables[table].snapshot.name
    }

    fn json(&self, missing: &[String], contradictions: usize) -> Value {
        let interval =
            |i: Interval| json!({"from": i.from.map(|t| t.to_string()), "to": i.to.to_string()});
        let with = |i: Interval, rows: &std::collections::BTreeMap<usize, u64>| {
            let tables: Map<String, Value> = rows
                .iter()
                .map(|(t, n)| (self.name(*t).to_string(), json!(n)))
                .collect();
            let mut value = interval(i);
            value["rows"] = json!(rows.values().sum::<u64>());
            value["tables"] = Value::Object(tables);
            value
        };
        let buckets = self.drawn.buckets.iter().map(|b| {
            let to = b.from.saturating_add(self.width).unwrap_or(Timestamp::MAX);
            let from = Some(b.from);
            with(Interval { from, to }, &b.tables)
        });
        let vague = self.drawn.vague.iter().map(|v| {
            let mut value = with(v.interval, &v.tables);
            value["source"] = json!(v.sources);
            value["contradicted"] = json!(v.contradicted);
            value
        });
        let transactions = self.drawn.transactions.iter().map(|t| {
            let mut value = with(t.interval, &t.tables);
            value["xid"] = json!(t.xid);
            value
        });
        json!({
            "schema_version": 1,
            "command": "timeline",
            "run": null,
            "bucket_seconds": self.width.as_secs_f64(),
            "totals": {
                "rows": self.drawn.rows,
                "dated": self.drawn.buckets.iter().map(|b| b.rows()).sum::<u64>(),
                "vague": self.drawn.vague.iter().flat_map(|v| v.tables.values()).sum::<u64>(),
                "contradicted": self.dated.findings.iter().filter(|f| f.contradicted()).count(),
                "transactions": self.drawn.known_transactions,
            },
            "tables": self.tables(),
            "first": self.drawn.span.and_then(|s| s.from).map(|t| t.to_string()),
            "last": self.drawn.span.map(|s| s.to.to_string()),
            "blur_seconds": self.drawn.blur.as_secs_f64(),
            "unknown": interval(self.dated.period),
            "suggestion": self.drawn.burst.map(interval),
            "buckets": buckets.collect::<Vec<_>>(),
            "vague": vague.collect::<Vec<_>>(),
            "transactions": transactions.collect::<Vec<_>>(),
            "contradictions": contradictions,
            "notes": self.dated.notes,
            "sources_not_used": missing,
        })
    }

    fn tables(&self) -> Vec<Value> {
        (0..self.dated.candidates.tables.len())
            .map(|t| {
                let dated = self.drawn.buckets.iter().filter_map(|b| b.tables.get(&t));
                json!({
                    "table": self.name(t),
                    "rows": self.dated.candidates.count(t),
                    "dated": dated.sum::<u64>(),
                })
            })
            .collect()
    }

    fn print(&self, context: &Context) {
        let say = |text: &str| context.ui.data(text);
        if self.drawn.rows == 0 {
            say("no row of the snapshot is missing in live");
            return;
        }
        if !self.drawn.buckets.is_empty() {
            say(&self.histogram());
            say(&self.by_table());
        }
        for vague in self.drawn.vague.iter().take(VAGUE) {
            let rows = vague.tables.values().sum::<u64>();
            let who = match (vague.contradicted, vague.sources.as_str()) {
                (true, sources) => format!("{sources}, contradicting each other"),
                (false, "none") => "no evidence".to_owned(),
                (false, sources) => sources.to_owned(),
            };
            say(&format!(
                "{} some time in {} ({who}): {}",
                counted(rows, "row"),
                vague.interval,
                self.each(&vague.tables)
            ));
        }
        if self.drawn.vague.len() > VAGUE {
            let more = self.drawn.vague.len() - VAGUE;
            say(&format!("and {more} more such intervals in timeline.json"));
        }
        for transaction in self.drawn.transactions.iter().take(5) {
            say(&format!(
                "transaction {} in {}: {}",
                transaction.xid,
                transaction.interval,
                self.each(&transaction.tables)
            ));
        }
        if let Some(span) = self.drawn.span {
            let first = span
                .from
                .map_or_else(|| "unknown".into(), |t| t.to_string());
            say(&format!(
                "first deletion at {first}, last before {}; each known to {} at worst",
                span.to,
                length(self.drawn.blur)
            ));
        }
        if let Some(Interval {
            from: Some(from),
            to,
        }) = self.drawn.burst
        {
            say("a burst stands out; the window that holds it:");
            say(&format!("  --from {from} --to {to}"));
            context.ui.status(&format!(
                "look at what lies around it, then: {}",
                context.next(&format!("extract --from {from} --to {to}"))
            ));
        }
    }

    /// A line a bucket that has rows; a gap is one line.
    fn histogram(&self) -> String {
        let highest = self
            .drawn
            .buckets
            .iter()
            .map(|b| b.rows())
            .max()
            .unwrap_or(1);
        let mut lines = Vec::new();
        let mut expected: Option<Timestamp> = None;
        for bucket in self.drawn.buckets.iter().take(LINES) {
            if expected.is_some_and(|e| e < bucket.from) {
                lines.push("   …".to_owned());
            }
            let rows = bucket.rows();
            let length = (rows * BAR).div_ceil(highest) as usize;
            lines.push(format!(
                "{}  {:<width$} {}",
                bucket.from,
                "█".repeat(length),
                grouped(rows),
                width = BAR as usize
            ));
            expected = bucket.from.saturating_add(self.width).ok();
        }
        if self.drawn.buckets.len() > LINES {
            let more = self.drawn.buckets.len() - LINES;
            lines.push(format!(
                "and {more} more lines in timeline.json; a wider --bucket gives fewer"
            ));
        }
        lines.join("\n")
    }

    fn by_table(&self) -> String {
        let head = ["table", "missing", "dated", "first", "last"].map(str::to_owned);
        let rows: Vec<Vec<String>> = (0..self.dated.candidates.tables.len())
            .filter(|t| self.dated.candidates.count(*t) > 0)
            .map(|t| {
                let of: Vec<(Timestamp, u64)> = self
                    .drawn
                    .buckets
                    .iter()
                    .filter_map(|b| Some((b.from, *b.tables.get(&t)?)))
                    .collect();
                let time = |at: Option<&(Timestamp, u64)>| {
                    at.map_or_else(|| "-".to_owned(), |(t, _)| t.to_string())
                };
                vec![
                    self.name(t).to_string(),
                    grouped(self.dated.candidates.count(t) as u64),
                    grouped(of.iter().map(|(_, n)| n).sum()),
                    time(of.first()),
                    time(of.last()),
                ]
            })
            .collect();
        columns(&head, &rows)
    }

    fn each(&self, tables: &std::collections::BTreeMap<usize, u64>) -> String {
        let each: Vec<String> = tables
            .iter()
            .map(|(t, n)| format!("{} of {}", grouped(*n), self.name(*t)))
            .collect();
        each.join(", ")
    }
}

/// A length of time for people.
fn length(time: SignedDuration) -> String {
    match time.as_micros() {
        0..1_000 => "a microsecond".to_owned(),
        1_000..1_000_000 => format!("{} ms", time.as_millis()),
        _ => format!("{} s", time.as_secs()),
    }
}
