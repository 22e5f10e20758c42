//! A timeline for people.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::cli::context::Context;
use crate::cli::output::{columns, counted, grouped};
use crate::evidence::timeline::{BigTransaction, Timeline};
use crate::evidence::{Dated, Interval};
use crate::ident::TableName;

/// Width of the longest bar.
const BAR: u64 = 40;
/// Lines of the histogram that a person looks at; more are for JSON.
const LINES: usize = 200;
/// Kinds of vague evidence that are shown.
const VAGUE: usize = 8;

/// Transactions that are shown.
const TRANSACTIONS: usize = 5;
/// A transaction is worth a line where it deleted at least this part of all rows.
const FEW: u64 = 1_000;

/// A timeline with the candidates that it is drawn from.
pub(super) struct Shown<'a> {
    pub(super) dated: &'a Dated,
    pub(super) drawn: &'a Timeline,
    pub(super) width: SignedDuration,
}

impl Shown<'_> {
    pub(super) fn name(&self, table: usize) -> &TableName {
        &self.dated.candidates.tables[table].snapshot.name
    }

    pub(super) fn print(&self, context: &Context) {
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
        self.print_transactions(context);
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

    /// The biggest transactions; not where each deleted a row or so, as an application does it.
    fn print_transactions(&self, context: &Context) {
        let rows = |t: &BigTransaction| t.tables.values().sum::<u64>();
        let Some(biggest) = self.drawn.transactions.first().map(rows) else {
            return;
        };
        let known = self.drawn.known_transactions;
        if biggest * FEW < self.drawn.rows && known > TRANSACTIONS as u64 {
            context.ui.data(&format!(
                "{} transactions are known, none of which deleted more than {}",
                grouped(known),
                counted(biggest, "row")
            ));
            return;
        }
        for transaction in self.drawn.transactions.iter().take(TRANSACTIONS) {
            context.ui.data(&format!(
                "transaction {} in {}: {}",
                transaction.xid,
                transaction.interval,
                self.each(&transaction.tables)
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

    fn each(&self, tables: &BTreeMap<usize, u64>) -> String {
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
