//! Whether two sessions reach the same database of the same server.
//!
//! Asked by a random advisory lock held through one and tried through the other: such a lock is seen exactly within one
//! database of one running server. System identifiers would lie, since physical copies share them. Works on standbys
//! and in read-only sessions. A standby and its primary are two.
//!
//! Source: PostgreSQL manual, "Advisory Locks".

use std::hash::{BuildHasher, RandomState};

use super::{PgError, Session};

const DOING: &str = "asking whether two connections reach the same database";

/// The identifier that a server shares with its physical copies alone. None where the role may not ask, and then nobody knows.
pub async fn system_identifier(session: &Session) -> Option<String> {
    let sql = "select system_identifier::text from pg_control_system()";
    let doing = "asking for the system identifier";
    let rows = session.ask(doing, sql, &[]).await.ok()?;
    Some(rows.first()?.get(0))
}

/// Whether `a` and `b` are connected to the same database of the same server.
pub async fn same_database(a: &Session, b: &Session) -> Result<bool, PgError> {
    if std::ptr::eq(a, b) {
        return Ok(true);
    }
    let key = loop {
        // The hasher's keys are random; the process id keeps two machines with a poor source apart.
        let key = RandomState::new().hash_one(std::process::id());
        if try_lock(a, key.cast_signed()).await? {
            break key.cast_signed();
        }
    };
    let answer = try_lock(b, key).await;
    let released = unlock(a, key).await;
    if matches!(answer, Ok(true)) {
        unlock(b, key).await?;
    }
    released?;
    answer.map(|got_it| !got_it)
}

async fn try_lock(session: &Session, key: i64) -> Result<bool, PgError> {
    let sql = "select pg_try_advisory_lock($1)";
    Ok(session.query_one(DOING, sql, &[&key]).await?.get(0))
}

async fn unlock(session: &Session, key: i64) -> Result<(), PgError> {
    let sql = "select pg_advisory_unlock($1)";
    session.query_one(DOING, sql, &[&key]).await.map(drop)
}
