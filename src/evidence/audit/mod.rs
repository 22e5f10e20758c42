//! Audit: a log of deletions that the application keeps, in a table of live or the snapshot, or in a file.
//!
//! A time that the application wrote by `now()` is the *start* of its transaction, so it says `[deleted_at, deleted_at +
//! slack)`. Where the query returns the audit row's `xmin` as `xid`, and live keeps commit times, that commit takes the place
//! of the slack: the record was there by then, whether that transaction deleted or changed the record later. It is taken
//! for the deleting one only if all its records have one time, and if it was committed within the slack.
//!
//! Several records of one key say that it was deleted several times: the snapshot's row at one of them. A record from
//! before the snapshot cannot speak of a row that the snapshot has: it is passed over where others do, and is a
//! contradiction where it is alone (a column of that name may say when a record was *hidden*).

use std::collections::HashMap;

use futures_util::future::BoxFuture;

use super::{Commits, EvidenceError, EvidenceSource, Hear, Interval, SourceKind, Testimony};
use crate::diff::Candidates;
use crate::ident::Key;
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

mod file;
mod log;

pub use log::AuditLog;
use log::{Record, together};

use super::listing::{Column, Origin, key_texts, lacking, trimmed};

/// The source: all audits of a case.
pub struct Audit {
    logs: Vec<AuditLog>,
    snapshot: Session,
    live: Session,
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
                return Err(log.wrong(&candidates.lacks(&log.table)));
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
            Origin::File(path) => {
                file::read(log, path, &self.snapshot, (candidates, table), notes).await?
            }
        };
        let xids = records.values().flatten().filter_map(|r| r.xid);
        let commits = Commits::of(&self.live, xids).await?;
        let doubtful = log::doubtful(records.values().flatten().copied());
        let (mut several, mut early) = (0_u64, 0_u64);
        for (node, records) in &records {
            let intervals: Vec<(Interval, Option<u32>)> = records
                .iter()
                .map(|r| {
                    let believed = |x: &u32| !doubtful.contains(x) && log.believes(*r, &commits);
                    (log.interval(*r, &commits), r.xid.filter(believed))
                })
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
        if !doubtful.is_empty() {
            notes.push(format!(
                "[[audit]] of {}: {} transactions are named by records of several times, so they may have changed records of \
                 others later; they are not taken for those that deleted",
                log.table,
                doubtful.len()
            ));
        }
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
        // No instant: infinity, and years that only PostgreSQL counts to.
        let copy = format!(
            "copy (select {}, case when isfinite(a.deleted_at)
                                   and a.deleted_at::timestamptz < timestamptz '9999-12-30 00:00:00+00'
                                  then (extract(epoch from a.deleted_at::timestamptz) * 1000000)::int8 end, {xid}
                     from (\n{}\n) a where a.deleted_at is not null) to stdout",
            texts.join(", "),
            trimmed(sql),
        );
        let mut records: HashMap<u32, Vec<Record>> = HashMap::new();
        let mut endless = 0_u64;
        let mut lines = CopyLines::start(session, &log.doing(), &copy).await?;
        while let Some(line) = lines.next().await? {
            let mut fields: Vec<Option<String>> = raw_fields(&line).map(unescape).collect();
            let xid = fields.pop().flatten();
            let time = fields.pop().flatten();
            if time.is_none() {
                endless += 1;
                continue;
            }
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
        if endless > 0 {
            notes.push(format!(
                "[[audit]] of {}: the `deleted_at` of {endless} records is infinity, or beyond the year 9999; they are passed \
                 over",
                log.table
            ));
        }
        Ok(records)
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
