//! Audit: a log of deletions that the application keeps, in a table of live or the snapshot, or in a file.
//!
//! A time that the application wrote by `now()` is the *start* of its transaction, so it says `[deleted_at, deleted_at +
//! slack)`. Where the query returns the audit row's `xmin` as `xid`, that is the deleting transaction; where live keeps
//! commit times, the commit replaces the slack: exactly, unless it lies beyond the slack, which a later update of the
//! audit row would cause as well as a long transaction; then the deletion lies somewhere up to it.
//!
//! Several records of one key say that it was deleted several times: the snapshot's row at one of them. A record from
//! before the snapshot cannot speak of a row that the snapshot has: it is passed over where others do, and is a
//! contradiction where it is alone (a column of that name may say when a record was *hidden*).

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::{Commits, EvidenceError, EvidenceSource, Hear, Interval, SourceKind, Testimony};
use crate::diff::Candidates;
use crate::ident::{Key, TableName};
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

use super::listing::{Column, Origin, key_texts, lacking, read_file, resolve, trimmed};

/// One `[[audit]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    /// The table whose deletions it tells.
    pub table: TableName,
    /// Where the records are.
    pub log: Origin,
    /// How long after `deleted_at` the deletion may have been committed.
    pub slack: SignedDuration,
}

/// The source: all audits of a case.
pub struct Audit {
    logs: Vec<AuditLog>,
    snapshot: Session,
    live: Session,
}

/// One record.
#[derive(Debug, Clone, Copy)]
struct Record {
    deleted_at: Timestamp,
    xid: Option<u32>,
}

impl Audit {
    /// Takes sessions of its own.
    pub fn new(logs: Vec<AuditLog>, snapshot: Session, live: Session) -> Self {
        Self {
            logs,
            snapshot,
            live,
        }
    }

    async fn all(
        &self,
        candidates: &Candidates,
        period: Interval,
        hear: Hear<'_>,
    ) -> Result<Vec<String>, EvidenceError> {
        let mut notes = Vec::new();
        for log in &self.logs {
            let Some(table) = candidates.table(&log.table) else {
                return Err(log.wrong("the snapshot and live have no such table in common"));
            };
            if candidates.tables[table].key.is_empty() {
                return Err(log.wrong("the table has no key by which a record could name a row"));
            }
            if candidates.count(table) == 0 {
                continue;
            }
            self.one(log, candidates, table, period, hear, &mut notes)
                .await?;
        }
        Ok(notes)
    }

    async fn one(
        &self,
        log: &AuditLog,
        candidates: &Candidates,
        table: usize,
        period: Interval,
        hear: Hear<'_>,
        notes: &mut Vec<String>,
    ) -> Result<(), EvidenceError> {
        let records = match &log.log {
            Origin::Live(sql) => {
                self.query(log, &self.live, sql, candidates, table, notes)
                    .await?
            }
            Origin::Snapshot(sql) => {
                self.query(log, &self.snapshot, sql, candidates, table, notes)
                    .await?
            }
            Origin::File(_) => self.file(log, candidates, table).await?,
        };
        let xids = records.values().flatten().filter_map(|r| r.xid);
        let commits = Commits::of(&self.live, xids).await?;
        let (mut several, mut early) = (0_u64, 0_u64);
        for (node, records) in &records {
            let intervals: Vec<(Interval, Option<u32>)> = records
                .iter()
                .map(|r| (log.interval(*r, &commits), r.xid))
                .collect();
            let said = together(&intervals, period);
            several += u64::from(said.several);
            early += u64::from(said.early);
            hear(Testimony {
                node: *node,
                interval: said.interval,
                transaction: said.transaction,
                source: SourceKind::Audit,
            });
        }
        let missing = candidates.count(table) - records.len();
        notes.extend(self.notes(log, missing, several, early));
        Ok(())
    }

    fn notes(&self, log: &AuditLog, missing: usize, several: u64, early: u64) -> Vec<String> {
        let t = &log.table;
        let mut notes = Vec::new();
        if early > 0 {
            notes.push(format!(
                "[[audit]] of {t}: {early} rows were deleted before the backup, if one believes it, and yet the backup has \
                 them: does `deleted_at` say when they were hidden, or is the time zone another?"
            ));
        }
        if several > 0 {
            notes.push(format!(
                "[[audit]] of {t}: {several} keys were deleted more than once; the row of the backup at one of those times"
            ));
        }
        if missing > 0 {
            notes.push(format!(
                "[[audit]] of {t} has no record of {missing} of its deleted rows"
            ));
        }
        notes
    }

    /// The records of candidates, by node.
    async fn query(
        &self,
        log: &AuditLog,
        session: &Session,
        sql: &str,
        candidates: &Candidates,
        table: usize,
        notes: &mut Vec<String>,
    ) -> Result<HashMap<u32, Vec<Record>>, EvidenceError> {
        let pair = &candidates.tables[table];
        session.search_as_role(true).await?;
        let columns = Column::of_query(session, &log.doing(), sql).await?;
        let has_xid = columns.iter().any(|c| c.name == "xid");
        let mut needed: Vec<&str> = pair.key.iter().map(String::as_str).collect();
        needed.push("deleted_at");
        if let Some(reason) = lacking(&columns, &needed) {
            return Err(log.wrong(&reason));
        }
        if let Some(note) = log.check_time(&columns)? {
            notes.push(note);
        }
        if has_xid && matches!(log.log, Origin::Snapshot(_)) {
            return Err(log.wrong(
                "`xid` is a transaction of live, which only live_sql can return; leave it out of snapshot_sql",
            ));
        }
        let xid = if has_xid { "a.xid::text" } else { "null::text" };
        let texts = key_texts("a", &pair.snapshot, &pair.key);
        let copy = format!(
            "copy (select {}, (extract(epoch from a.deleted_at::timestamptz) * 1000000)::int8, {xid}
                     from (\n{}\n) a where a.deleted_at is not null) to stdout",
            texts.join(", "),
            trimmed(sql),
        );
        let mut records: HashMap<u32, Vec<Record>> = HashMap::new();
        let mut lines = CopyLines::start(session, &log.doing(), &copy).await?;
        while let Some(line) = lines.next().await? {
            let mut fields: Vec<Option<String>> = raw_fields(&line).map(unescape).collect();
            let xid = fields.pop().flatten();
            let time = fields.pop().flatten();
            let Some(key) = fields.into_iter().collect::<Option<Vec<String>>>() else {
                continue;
            };
            if let Some(node) = candidates.find_key(table, &Key(key)) {
                records
                    .entry(node)
                    .or_default()
                    .push(log.record(time.as_deref(), xid.as_deref())?);
            }
        }
        session.search_as_role(false).await?;
        Ok(records)
    }

    async fn file(
        &self,
        log: &AuditLog,
        candidates: &Candidates,
        table: usize,
    ) -> Result<HashMap<u32, Vec<Record>>, EvidenceError> {
        let Origin::File(path) = &log.log else {
            return Ok(HashMap::new());
        };
        let key = &candidates.tables[table].key;
        let listing = read_file(path, key, &["deleted_at"], &["xid"]).map_err(|e| log.wrong(&e))?;
        let nodes = resolve(&self.snapshot, candidates, table, &listing.keys).await?;
        let mut records: HashMap<u32, Vec<Record>> = HashMap::new();
        for (n, node) in nodes {
            let [deleted_at, xid] = [0, 1].map(|c| listing.others[n][c].as_deref());
            let time = deleted_at.and_then(|t| t.parse::<Timestamp>().ok());
            let Some(deleted_at) = time else {
                return Err(log.wrong(&format!(
                    "{}: `{}` is not an RFC 3339 time with an offset, such as 2020-01-21T16:40:00+01:00",
                    path.display(),
                    deleted_at.unwrap_or_default()
                )));
            };
            let xid = xid.map(|x| log.xid(x)).transpose()?;
            records
                .entry(node)
                .or_default()
                .push(Record { deleted_at, xid });
        }
        Ok(records)
    }
}

impl AuditLog {
    fn doing(&self) -> String {
        format!("reading the [[audit]] of {}", self.table)
    }

    fn wrong(&self, reason: &str) -> EvidenceError {
        EvidenceError::Audit {
            table: self.table.clone(),
            reason: reason.to_owned(),
        }
    }

    /// A time without a zone is read as UTC, and said to be; a date is no time.
    fn check_time(&self, columns: &[Column]) -> Result<Option<String>, EvidenceError> {
        let column = columns.iter().find(|c| c.name == "deleted_at");
        match column.map(|c| c.type_name.as_str()) {
            Some("timestamp with time zone") | None => Ok(None),
            Some("timestamp without time zone") => Ok(Some(format!(
                "[[audit]] of {}: `deleted_at` has no time zone and is read as UTC; say otherwise in the SQL: deleted_at at \
                 time zone 'Europe/Paris' as deleted_at",
                self.table
            ))),
            Some(other) => Err(self.wrong(&format!(
                "`deleted_at` is of type {other}; it must be a timestamp"
            ))),
        }
    }

    fn record(&self, time: Option<&str>, xid: Option<&str>) -> Result<Record, EvidenceError> {
        let deleted_at = time
            .and_then(|t| t.parse::<i64>().ok())
            .and_then(|t| Timestamp::from_microsecond(t).ok());
        let Some(deleted_at) = deleted_at else {
            return Err(self.wrong("`deleted_at` holds a time that is no time, such as infinity"));
        };
        let xid = xid.map(|x| self.xid(x)).transpose()?;
        Ok(Record { deleted_at, xid })
    }

    fn xid(&self, text: &str) -> Result<u32, EvidenceError> {
        let number = text.trim().parse::<u64>();
        number
            .map(|n| n as u32)
            .map_err(|_| self.wrong(&format!("`xid` holds `{text}`, which is no transaction")))
    }

    /// What one record says.
    fn interval(&self, record: Record, commits: &Commits) -> Interval {
        let from = record.deleted_at;
        // At least a microsecond: an interval is never empty.
        let slack = self.slack.max(SignedDuration::from_micros(1));
        let by_slack = Interval {
            from: Some(from),
            to: from.saturating_add(slack).unwrap_or(Timestamp::MAX),
        };
        match record.xid.and_then(|x| commits.interval(x)) {
            None => by_slack,
            Some(commit) if commit.intersect(by_slack).is_some() => commit,
            Some(commit) => Interval {
                from: Some(from.min(commit.from.unwrap_or(from))),
                to: commit.to.max(by_slack.to),
            },
        }
    }
}

/// What all records of one row say together.
struct Said {
    interval: Interval,
    transaction: Option<u32>,
    /// More than one of them may speak of the snapshot's row.
    several: bool,
    /// All of them are from before the snapshot.
    early: bool,
}

fn together(records: &[(Interval, Option<u32>)], period: Interval) -> Said {
    let possible = |i: &Interval| period.from.is_none_or(|from| i.to > from);
    let mut rest: Vec<&(Interval, Option<u32>)> =
        records.iter().filter(|r| possible(&r.0)).collect();
    let early = rest.is_empty();
    if early {
        rest = records.iter().collect();
    }
    let from = rest.iter().filter_map(|r| r.0.from).min();
    let to = rest.iter().map(|r| r.0.to).max();
    let first = rest.first().and_then(|r| r.1);
    let same = rest.iter().all(|r| r.1 == first);
    Said {
        interval: Interval {
            from,
            to: to.unwrap_or(Timestamp::MAX),
        },
        transaction: first.filter(|_| same),
        several: rest.len() > 1 && !early,
        early,
    }
}

impl EvidenceSource for Audit {
    fn kind(&self) -> SourceKind {
        SourceKind::Audit
    }

    fn testify<'a>(
        &'a mut self,
        candidates: &'a Candidates,
        period: Interval,
        hear: Hear<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, EvidenceError>> {
        Box::pin(self.all(candidates, period, hear))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn interval(from: i64, to: i64) -> Interval {
        Interval {
            from: Some(at(from)),
            to: at(to),
        }
    }

    #[test]
    fn records_from_before_the_backup_speak_of_another_life() {
        let period = interval(100, 1_000);
        let said = together(
            &[(interval(10, 20), Some(5)), (interval(200, 210), Some(6))],
            period,
        );
        assert_eq!(
            (said.interval, said.transaction),
            (interval(200, 210), Some(6))
        );
        assert!(!said.several && !said.early);
        // Alone, it contradicts the backup.
        let said = together(&[(interval(10, 20), None)], period);
        assert!(said.early);
        assert_eq!(said.interval, interval(10, 20));
    }

    #[test]
    fn of_several_records_nobody_knows_which() {
        let said = together(
            &[(interval(200, 210), Some(6)), (interval(300, 310), Some(7))],
            interval(100, 1_000),
        );
        assert_eq!(
            (said.interval, said.transaction),
            (interval(200, 310), None)
        );
        assert!(said.several);
    }
}
