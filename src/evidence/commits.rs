//! When transactions of live were committed, where live keeps that (`track_commit_timestamp`).
//!
//! Source: PostgreSQL manual, 9.27.13 "Committed Transaction Information Functions".

use std::collections::HashMap;

use jiff::Timestamp;

use super::Interval;
use crate::pg::{PgError, Session};

/// Transactions that one question holds.
const A_QUESTION: usize = 5_000;

/// Whether live keeps commit times at all.
pub async fn tracked(live: &Session) -> Result<bool, PgError> {
    let sql = "select current_setting('track_commit_timestamp') = 'on'";
    let row = live
        .query_one("asking whether commit times are kept", sql, &[])
        .await?;
    Ok(row.get(0))
}

/// Commit times of some transactions. Those from before the setting was turned on, and those of which nothing is kept any
/// more, are not among them.
#[derive(Debug, Default)]
pub struct Commits(HashMap<u32, Timestamp>);

impl Commits {
    /// Asks live. Numbers that are no ordinary transaction are passed over.
    pub async fn of(
        live: &Session,
        transactions: impl IntoIterator<Item = u32>,
    ) -> Result<Self, PgError> {
        let mut wanted: Vec<u32> = transactions.into_iter().filter(|x| *x >= 3).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut commits = Self::default();
        if wanted.is_empty() || !tracked(live).await? {
            return Ok(commits);
        }
        for part in wanted.chunks(A_QUESTION) {
            let numbers: Vec<String> = part.iter().map(ToString::to_string).collect();
            let sql = format!(
                "select x, (extract(epoch from pg_xact_commit_timestamp(x::text::xid)) * 1000000)::int8
                   from unnest('{{{}}}'::int8[]) x
                  where pg_xact_commit_timestamp(x::text::xid) is not null",
                numbers.join(",")
            );
            for row in live.ask("asking for commit times", &sql, &[]).await? {
                let xid = u32::try_from(row.get::<_, i64>(0)).unwrap_or_default();
                if let Ok(time) = Timestamp::from_microsecond(row.get(1)) {
                    commits.0.insert(xid, time);
                }
            }
        }
        Ok(commits)
    }

    /// Whether nothing is known of any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When a transaction was committed: to the microsecond, as the server keeps it.
    pub fn interval(&self, transaction: u32) -> Option<Interval> {
        let from = *self.0.get(&transaction)?;
        Some(Interval {
            from: Some(from),
            to: from + jiff::SignedDuration::from_micros(1),
        })
    }
}
