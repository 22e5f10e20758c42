//! Notices a pooler that gives every transaction to whichever server process is free.
//!
//! Behind one, the settings that a session pins would leak into the application's connections, and advisory locks
//! would hold nothing. So the question is asked before anything is set, with nothing but simple queries (prepared
//! statements fail there), once per [`Conninfo`].
//!
//! The proof: two live sessions that share one server process, or one session that changes its. A pooler in session
//! mode shows neither and passes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect::{Connected, connect};
use super::{Conninfo, PgError};

/// An idle pool hands out the process used last, or the next in turn, and shows itself in the first round. A busy one
/// hands out whichever comes free: in the worst case, two processes, each round misses it once in four times.
const ROUNDS: usize = 6;

/// How long a server process is waited for. A pool in session mode can have its last one taken by our own first
/// session; then the second waits in vain, and that alone proves nothing.
const PATIENCE: Duration = Duration::from_secs(3);

const DOING: &str = "looking for a transaction pooler";

/// Fails with [`PgError::Pooler`] if sessions of `conninfo` do not keep their server process. `first` must be fresh.
pub(super) async fn refuse(conninfo: &Conninfo, first: &Connected) -> Result<(), PgError> {
    if conninfo.direct.load(Ordering::Relaxed) {
        return Ok(());
    }
    let shown = first.target.to_string();
    let found = |one, other| PgError::Pooler {
        target: shown.clone(),
        first: one,
        second: other,
    };
    let own = first_process(conninfo, first, &shown).await?;
    let second = connect(conninfo, "reinstate pooler check").await?;
    for _ in 0..ROUNDS {
        let other = in_time(process(&second.client, &shown, "begin;")).await?;
        if other == Some(own) {
            return Err(found(own, own));
        }
        // With every process taken by others this waits too, which a session of its own never does.
        let meanwhile = in_time(process(&first.client, &shown, "")).await?;
        if meanwhile != Some(own) {
            return Err(found(own, meanwhile.unwrap_or_default()));
        }
        if other.is_none() {
            break;
        }
        let end = second.client.batch_execute("rollback").await;
        end.map_err(|e| PgError::from_client(&shown, DOING, &e))?;
        let afterwards = in_time(process(&first.client, &shown, "")).await?;
        if afterwards != Some(own) {
            return Err(found(own, afterwards.unwrap_or_default()));
        }
    }
    conninfo.direct.store(true, Ordering::Relaxed);
    Ok(())
}

/// `None` where no server process was free in time.
async fn in_time(
    asked: impl Future<Output = Result<i32, PgError>>,
) -> Result<Option<i32>, PgError> {
    tokio::time::timeout(PATIENCE, asked).await.ok().transpose()
}

/// The server process of a fresh session. A pooler accepts clients before it has a process for them.
async fn first_process(
    conninfo: &Conninfo,
    first: &Connected,
    shown: &str,
) -> Result<i32, PgError> {
    let asked = process(&first.client, shown, "");
    let Some(limit) = conninfo.timeout else {
        return asked.await;
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| {
            Err(PgError::Connect {
                target: shown.to_owned(),
                cause: format!("accepted, but not served within {} s", limit.as_secs()),
                sqlstate: None,
                hint: Some("a pooler in between may have no server connection left".to_owned()),
            })
        })
}

/// The server process that answers now.
async fn process(client: &Client, shown: &str, before: &str) -> Result<i32, PgError> {
    let sql = format!("{before} select pg_catalog.pg_backend_pid()");
    let answer = client.simple_query(&sql).await;
    let answer = answer.map_err(|e| PgError::from_client(shown, DOING, &e))?;
    let pid = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(pid.unwrap_or_default())
}
