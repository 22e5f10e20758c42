//! Waits for transactions of others that have written to a table, or drawn from a sequence, and have not ended: what they
//! did is not to be seen yet. Whoever begins after us is none of them.
//!
//! Both are found by the lock that writing and `nextval` take on the relation, and that a transaction holds to its end
//! (PostgreSQL manual, "Explicit Locking" and the view `pg_locks`). Nothing is locked by waiting.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::pg::{PgError, Session};

/// How often we look.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until every transaction that holds such a lock now has ended.
///
/// Errors: as a lock that is not available (55P03) when `patience` has ended before.
pub(super) async fn ended(
    session: &Session,
    relation: &str,
    patience: Duration,
) -> Result<(), PgError> {
    let started = Instant::now();
    let first: HashSet<String> = at_work(session, relation).await?;
    let mut left = first.clone();
    while !left.is_empty() {
        if started.elapsed() > patience {
            let doing = format!("waiting for others that have written to {relation}");
            return Err(PgError::held(session, &doing));
        }
        tokio::time::sleep(PAUSE).await;
        let now = at_work(session, relation).await?;
        left.retain(|transaction| now.contains(transaction));
    }
    Ok(())
}

async fn at_work(session: &Session, relation: &str) -> Result<HashSet<String>, PgError> {
    let sql = "select distinct virtualtransaction
                 from pg_locks
                where locktype = 'relation' and granted and pid is distinct from pg_backend_pid()
                  and database = (select oid from pg_database where datname = current_database())
                  and relation in (select $1::regclass::oid union select relid::oid from pg_partition_tree($1::regclass))
                  and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
    let rows = session
        .ask("looking who else writes", sql, &[relation])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
