//! What one record of a log says, and what several say together. Pure.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::evidence::listing::{Column, Origin};
use crate::evidence::{Commits, EvidenceError, Interval};
use crate::ident::TableName;

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

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) deleted_at: Timestamp,
    pub(super) xid: Option<u32>,
}

impl AuditLog {
    pub(super) fn doing(&self) -> String {
        format!("reading the [[audit]] of {}", self.table)
    }

    pub(super) fn wrong(&self, reason: &str) -> EvidenceError {
        EvidenceError::Audit {
            table: self.table.clone(),
            reason: reason.to_owned(),
        }
    }

    /// A time without a zone is read as UTC, and said to be; a date is no time.
    pub(super) fn check_time(&self, columns: &[Column]) -> Result<Option<String>, EvidenceError> {
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

    pub(super) fn record(
        &self,
        time: Option<&str>,
        xid: Option<&str>,
    ) -> Result<Record, EvidenceError> {
        let deleted_at = time
            .and_then(|t| t.parse::<i64>().ok())
            .and_then(|t| Timestamp::from_microsecond(t).ok());
        let Some(deleted_at) = deleted_at else {
            return Err(self.wrong("`deleted_at` holds a time that is no time, such as infinity"));
        };
        let xid = xid.map(|x| self.xid(x)).transpose()?;
        Ok(Record { deleted_at, xid })
    }

    pub(super) fn xid(&self, text: &str) -> Result<u32, EvidenceError> {
        let number = text.trim().parse::<u64>();
        number
            .map(|n| n as u32)
            .map_err(|_| self.wrong(&format!("`xid` holds `{text}`, which is no transaction")))
    }

    /// What one record says.
    pub(super) fn interval(&self, record: Record, commits: &Commits) -> Interval {
        let from = record.deleted_at;
        // At least a microsecond: an interval is never empty.
        let slack = self.slack.max(SignedDuration::from_micros(1));
        let by_slack = Interval {
            from: Some(from),
            to: from.saturating_add(slack).unwrap_or(Timestamp::MAX),
        };
        // Whoever wrote the record had begun by then, and it was there when the transaction that its row names was
        // committed: whether that one deleted, or changed the record later.
        match record.xid.and_then(|x| commits.interval(x)) {
            None => by_slack,
            Some(commit) => Interval {
                from: Some(from.min(commit.from.unwrap_or(from))),
                to: match commit.from {
                    Some(commit_time) if commit_time < from => by_slack.to,
                    _ => commit.to,
                },
            },
        }
    }

    /// Whether the transaction that the record's row names can be the one that deleted: where its commit is known, it is
    /// within the slack.
    pub(super) fn believes(&self, record: Record, commits: &Commits) -> bool {
        let Some(commit) = record.xid.and_then(|x| commits.interval(x)) else {
            return true;
        };
        let latest = record.deleted_at.saturating_add(self.slack);
        latest.is_ok_and(|latest| commit.from.is_none_or(|from| from <= latest))
    }
}

/// Transactions that wrote records of several times. `now()` is one in a transaction, so these may have changed the records
/// of others later: nothing says that they deleted.
pub(super) fn doubtful(records: impl Iterator<Item = Record>) -> HashSet<u32> {
    let mut times: HashMap<u32, Timestamp> = HashMap::new();
    let mut doubtful = HashSet::new();
    for record in records {
        let Some(xid) = record.xid else { continue };
        if *times.entry(xid).or_insert(record.deleted_at) != record.deleted_at {
            doubtful.insert(xid);
        }
    }
    doubtful
}

/// What all records of one row say together.
pub(super) struct Said {
    pub(super) interval: Interval,
    pub(super) transaction: Option<u32>,
    /// More than one of them may speak of the snapshot's row.
    pub(super) several: bool,
    /// All of them are from before the snapshot.
    pub(super) early: bool,
}

pub(super) fn together(records: &[(Interval, Option<u32>)], period: Interval) -> Said {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::interval::times::interval;

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
