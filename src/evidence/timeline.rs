//! The timeline: how many rows were deleted when, by table and by transaction, and where a burst stands out. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Findings, Interval};

/// Buckets below the burst's threshold that a burst may contain.
const GAP: i64 = 2;
/// A bucket belongs to a burst if it has at least this part of the highest.
const PART_OF_PEAK: u64 = 20;
/// A burst stands out where its buckets have, on average, so many times what the others have.
const STANDS_OUT: f64 = 5.0;
/// An interval that says when well enough, whatever the buckets' width.
const NARROW: SignedDuration = SignedDuration::from_mins(1);
/// Rows that a burst has at least.
const LEAST: u64 = 3;
/// Transactions that are listed.
const BIGGEST: usize = 10;
/// Buckets that a timeline may have.
pub const MOST_BUCKETS: i64 = 100_000;

/// Deletions of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its begin.
    pub from: Timestamp,
    /// Rows by table.
    pub tables: BTreeMap<usize, u64>,
}

impl Bucket {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().sum()
    }
}

/// Rows whose deletion nobody knows to the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vague {
    /// When, as far as known.
    pub interval: Interval,
    /// Who says so.
    pub sources: String,
    /// Whether the sources contradict each other.
    pub contradicted: bool,
    /// Rows by table.
    pub tables: BTreeMap<usize, u64>,
}

/// A transaction that deleted rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BigTransaction {
    /// Its number, the lower 32 bits.
    pub xid: u32,
    /// When it was committed, as far as known.
    pub interval: Interval,
    /// Rows by table.
    pub tables: BTreeMap<usize, u64>,
}

/// When rows were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Buckets that have rows, in order.
    pub buckets: Vec<Bucket>,
    /// Rows that fit in no bucket, by what is known of them, most first.
    pub vague: Vec<Vague>,
    /// The transactions that deleted most, most first.
    pub transactions: Vec<BigTransaction>,
    /// How many transactions are known.
    pub known_transactions: u64,
    /// From the first begin to the last end of what fits in buckets.
    pub span: Option<Interval>,
    /// The greatest width of an interval that was put in a bucket: how exact the buckets are.
    pub blur: SignedDuration,
    /// A window that holds the burst, where one stands out.
    pub burst: Option<Interval>,
    /// Rows in all.
    pub rows: u64,
}

/// Draws a timeline with buckets of `width`. `table` tells the table of a candidate.
pub fn timeline(
    findings: &Findings,
    width: SignedDuration,
    table: impl Fn(u32) -> usize,
) -> Timeline {
    let mut drawing = Drawing {
        width: width.as_micros().max(1) as i64,
        buckets: BTreeMap::new(),
        vague: BTreeMap::new(),
        transactions: BTreeMap::new(),
        timeline: Timeline::default(),
    };
    for (node, finding) in findings.iter().enumerate() {
        drawing.add(finding, table(node as u32));
    }
    drawing.finish()
}

/// What a vague interval is sorted by, who says so, and whether they contradict each other.
type VagueKey = (Option<Timestamp>, Timestamp, String, bool);

/// Rows by table, and what their intervals span.
struct Column {
    tables: BTreeMap<usize, u64>,
    span: Interval,
}

struct Drawing {
    width: i64,
    buckets: BTreeMap<i64, Column>,
    vague: BTreeMap<VagueKey, BTreeMap<usize, u64>>,
    transactions: BTreeMap<u32, (Interval, BTreeMap<usize, u64>)>,
    timeline: Timeline,
}

impl Drawing {
    fn add(&mut self, finding: &super::Finding, table: usize) {
        let interval = finding.interval();
        self.timeline.rows += 1;
        if let Some(xid) = finding.transaction() {
            let (known, tables) = self
                .transactions
                .entry(xid)
                .or_insert_with(|| (interval, BTreeMap::new()));
            // All its deletions were committed at once.
            *known = known.intersect(interval).unwrap_or(*known);
            *tables.entry(table).or_default() += 1;
        }
        match interval.from {
            Some(from) if !finding.contradicted() && self.fits(from, interval.to) => {
                let bucket = from.as_microsecond().div_euclid(self.width);
                let column = self.buckets.entry(bucket).or_insert_with(|| Column {
                    tables: BTreeMap::new(),
                    span: interval,
                });
                column.span = hull(column.span, interval);
                *column.tables.entry(table).or_default() += 1;
                let blur = interval.to.duration_since(from);
                self.timeline.blur = self.timeline.blur.max(blur);
            }
            _ => {
                let key = (
                    interval.from,
                    interval.to,
                    finding.sources().to_string(),
                    finding.contradicted(),
                );
                *self.vague.entry(key).or_default().entry(table).or_default() += 1;
            }
        }
    }

    /// An interval no wider than a bucket, or than a log's slack usually is, is counted where it begins.
    fn fits(&self, from: Timestamp, to: Timestamp) -> bool {
        to.duration_since(from).as_micros() <= i128::from(self.width).max(NARROW.as_micros())
    }

    fn finish(mut self) -> Timeline {
        self.timeline.burst = self.burst();
        self.timeline.span = self.buckets.values().map(|c| c.span).reduce(hull);
        let width = self.width;
        self.timeline.buckets = self
            .buckets
            .into_iter()
            .filter_map(|(bucket, column)| {
                Some(Bucket {
                    from: Timestamp::from_microsecond(bucket.checked_mul(width)?).ok()?,
                    tables: column.tables,
                })
            })
            .collect();
        let mut vague: Vec<Vague> = self
            .vague
            .into_iter()
            .map(|((from, to, sources, contradicted), tables)| Vague {
                interval: Interval { from, to },
                sources,
                contradicted,
                tables,
            })
            .collect();
        vague.sort_by_key(|v| std::cmp::Reverse(v.tables.values().sum::<u64>()));
        self.timeline.vague = vague;
        self.timeline.known_transactions = self.transactions.len() as u64;
        let mut transactions: Vec<BigTransaction> = self
            .transactions
            .into_iter()
            .map(|(xid, (interval, tables))| BigTransaction {
                xid,
                interval,
                tables,
            })
            .collect();
        transactions.sort_by_key(|t| std::cmp::Reverse(t.tables.values().sum::<u64>()));
        transactions.truncate(BIGGEST);
        self.timeline.transactions = transactions;
        self.timeline
    }

    /// The buckets around the highest that belong to it, as long as the rest is quiet.
    fn burst(&self) -> Option<Interval> {
        let rows = |c: &Column| c.tables.values().sum::<u64>();
        let (peak, highest) = self
            .buckets
            .iter()
            .map(|(b, c)| (*b, rows(c)))
            .max_by_key(|(b, n)| (*n, std::cmp::Reverse(*b)))?;
        let high = |n: u64| n * PART_OF_PEAK >= highest;
        let (mut first, mut last) = (peak, peak);
        for (b, c) in self.buckets.range(..peak).rev() {
            if first - b > GAP + 1 {
                break;
            }
            if high(rows(c)) {
                first = *b;
            }
        }
        for (b, c) in self.buckets.range(peak + 1..) {
            if b - last > GAP + 1 {
                break;
            }
            if high(rows(c)) {
                last = *b;
            }
        }
        let inside = self.buckets.range(first..=last);
        let (mut span, mut burst) = (None::<Interval>, 0);
        for (_, column) in inside {
            span = Some(span.map_or(column.span, |s| hull(s, column.span)));
            burst += rows(column);
        }
        let all: u64 = self.buckets.values().map(rows).sum();
        let length = (last - first + 1) as f64;
        let (begin, end) = (
            *self.buckets.first_key_value()?.0,
            *self.buckets.last_key_value()?.0,
        );
        let outside = ((end - begin + 1) as f64 - length).max(1.0);
        let dense = burst as f64 / length >= STANDS_OUT * ((all - burst) as f64 / outside);
        let others = self
            .buckets
            .iter()
            .filter(|(b, _)| !(first..=last).contains(*b));
        let next = others.map(|(_, c)| rows(c)).max().unwrap_or(0);
        span.filter(|_| dense && burst >= LEAST && burst >= 2 * next)
    }
}

fn hull(a: Interval, b: Interval) -> Interval {
    Interval {
        from: a.from.min(b.from),
        to: a.to.max(b.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::interval::times::{at, interval};
    use crate::evidence::{SourceKind, Testimony};

    fn drawn(times: &[(i64, i64, Option<u32>)]) -> Timeline {
        let mut findings = Findings::new(times.len() as u32 + 1, interval(0, 100_000));
        for (node, (from, to, transaction)) in times.iter().enumerate() {
            findings.hear(&Testimony {
                node: node as u32,
                interval: interval(*from, *to),
                transaction: *transaction,
                source: SourceKind::Audit,
            });
        }
        timeline(&findings, SignedDuration::from_mins(1), |_| 0)
    }

    #[test]
    fn every_row_is_somewhere() {
        let t = drawn(&[
            (60, 61, None),
            (100, 110, Some(7)),
            (100, 110, Some(7)),
            (0, 900, None),
        ]);
        let in_buckets: u64 = t.buckets.iter().map(Bucket::rows).sum();
        let vague: u64 = t.vague.iter().flat_map(|v| v.tables.values()).sum();
        assert_eq!((in_buckets, vague, t.rows), (3, 2, 5));
        assert_eq!(t.buckets.len(), 1);
        assert_eq!(t.span, Some(interval(60, 110)));
        assert_eq!(t.blur, SignedDuration::from_secs(10));
        assert_eq!((t.transactions[0].xid, t.known_transactions), (7, 1));
        assert_eq!(t.transactions[0].tables[&0], 2);
    }

    #[test]
    fn a_burst_among_single_deletions_stands_out() {
        let mut times: Vec<(i64, i64, Option<u32>)> =
            (0..60).map(|m| (m * 600, m * 600 + 1, None)).collect();
        times.extend((0..500).map(|i| (20_000 + i, 20_001 + i, None)));
        let burst = drawn(&times).burst.unwrap();
        assert!(burst.from.unwrap() <= at(20_000) && burst.from.unwrap() > at(19_900));
        assert!(burst.to >= at(20_500) && burst.to < at(20_700));
    }

    #[test]
    fn nothing_stands_out_of_evenness() {
        let times: Vec<(i64, i64, Option<u32>)> =
            (0..100).map(|m| (m * 600, m * 600 + 1, None)).collect();
        assert_eq!(drawn(&times).burst, None);
        assert_eq!(drawn(&[]).burst, None);
    }
}
