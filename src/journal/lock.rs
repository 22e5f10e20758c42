//! One run at a time: an advisory lock, held by the session that writes, so that it ends with that session.

use std::time::{Duration, Instant};

use crate::pg::{PgError, Session};

use super::JournalError;

/// The lock's two numbers: "rein", "stat".
const LOCK: (i32, i32) = (0x7265_696e, 0x7374_6174);

/// How long a predecessor that died may take to end its session.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where no run is known to be unfinished: it may have died before it could record one.
const SOME_PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Takes the lock.
#[derive(Debug, Clone, Copy)]
pub struct RunLock;

impl RunLock {
    /// Takes the lock for `session`; waits a moment for a dead predecessor's session to end, with `patient` up to ten
    /// seconds.
    ///
    /// Errors: `Busy`, naming who holds it.
    pub async fn take(session: &Session, patient: bool) -> Result<Self, JournalError> {
        let started = Instant::now();
        let patience = if patient { PATIENCE } else { SOME_PATIENCE };
        // A session that ended a moment ago is gone in a few milliseconds.
        let mut pause = PAUSES.0;
        loop {
            let sql = "select pg_try_advisory_lock($1, $2)";
            let row = session
                .query_one("taking the run lock", sql, &[&LOCK.0, &LOCK.1])
                .await?;
            if row.get(0) {
                return Ok(Self);
            }
            if started.elapsed() >= patience {
                return Err(Self::busy(session).await?);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Ends the session with server process `predecessor`, one of ours that was lost, if it still holds the lock and only waits
    /// for us: where the end of a connection does not reach the server, it would wait, and hold the lock, for hours. A session
    /// that is at work (committing, say) is left to finish.
    pub async fn release(session: &Session, predecessor: i32) -> Result<(), PgError> {
        let sql = "select pg_terminate_backend(a.pid)
                     from pg_stat_activity a join pg_locks l using (pid)
                    where a.pid = $1 and a.state like 'idle%' and a.application_name like 'reinstate %'
                      and l.locktype = 'advisory' and l.granted
                      and l.classid = $2::int8::oid and l.objid = $3::int8::oid
                      and l.database = (select oid from pg_database where datname = current_database())";
        let (class, object) = (i64::from(LOCK.0), i64::from(LOCK.1));
        let doing = "ending a session that was lost";
        session
            .query(doing, sql, &[&predecessor, &class, &object])
            .await?;
        Ok(())
    }

    async fn busy(session: &Session) -> Result<JournalError, JournalError> {
        let sql = "select l.pid, coalesce(a.application_name, '')
                     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
                    where l.locktype = 'advisory' and l.classid = $1::int8::oid and l.objid = $2::int8::oid
                      and l.database = (select oid from pg_database where datname = current_database())
                      and l.granted limit 1";
        let (class, object) = (i64::from(LOCK.0), i64::from(LOCK.1));
        let rows = session
            .query("asking who holds the run lock", sql, &[&class, &object])
            .await?;
        let row = rows.first();
        Ok(JournalError::Busy {
            target: session.target().to_string(),
            pid: row.map_or(0, |r| r.get(0)),
            application: row.map_or_else(String::new, |r| r.get(1)),
        })
    }
}
