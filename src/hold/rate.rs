//! How fast WAL is written: at this moment, and on average since the server's counters were reset.

use std::time::{Duration, Instant};

use crate::pg::{PgError, Session, Size};

/// Time between two samples.
const BETWEEN: Duration = Duration::from_secs(1);

/// Bytes of WAL a second.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// While it was looked at.
    pub now: f64,
    /// On average, where the counters say.
    pub average: Option<f64>,
}

impl Rate {
    /// Samples for a second.
    pub async fn sample(session: &Session) -> Result<Self, PgError> {
        let position = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8";
        let doing = "sampling how fast WAL is written";
        let began = Instant::now();
        let before: i64 = session.query_one(doing, position, &[]).await?.get(0);
        tokio::time::sleep(BETWEEN).await;
        let after: i64 = session.query_one(doing, position, &[]).await?.get(0);
        let seconds = began.elapsed().as_secs_f64();
        let sql = "select (wal_bytes / greatest(extract(epoch from clock_timestamp() - stats_reset), 1))::float8
                     from pg_stat_wal";
        Ok(Self {
            now: (after - before).max(0) as f64 / seconds,
            average: session.query_one(doing, sql, &[]).await?.get(0),
        })
    }

    /// How long `room` lasts at the faster of the two, in seconds.
    pub fn lasts(&self, room: Size) -> f64 {
        room.0 as f64 / self.now.max(self.average.unwrap_or(0.0))
    }
}
