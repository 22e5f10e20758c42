//! A timeline as a document, for plotting. Wire format, version 1.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::shown::Shown;
use crate::evidence::Interval;

impl Shown<'_> {
    /// Every missing row is in a bucket or among what is vague.
    pub(super) fn json(&self, missing: &[String], contradictions: usize) -> Value {
        let interval =
            |i: Interval| json!({"from": i.from.map(|t| t.to_string()), "to": i.to.to_string()});
        let with = |i: Interval, rows: &BTreeMap<usize, u64>| {
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
}
