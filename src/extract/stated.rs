//! What the manifest says of a bundle's making: from where, of what time, which roots.

use crate::bundle::{RootFilter, Source, Window};
use crate::evidence::Dated;
use crate::pg::{PgError, Session, system_identifier};

use super::Request;

/// What was asked for; without a window, from the backup to now.
pub(super) fn window(request: &Request, dated: &Dated) -> Window {
    let asked = request.selection.window.unwrap_or(dated.period);
    let mut transactions: Vec<u32> = Vec::new();
    transactions.extend(request.selection.transactions.iter().flatten());
    transactions.sort_unstable();
    Window {
        from: asked.from.map(|t| t.to_string()),
        to: asked.to.to_string(),
        transactions,
        asked: request.selection.window.is_some(),
    }
}

/// Where the rows come from.
pub(super) async fn source(session: &Session, request: &Request) -> Result<Source, PgError> {
    // It can be refused to an ordinary role, or have no answer: then the bundle says nothing about it.
    let text = async |sql: &str| -> Option<String> {
        session
            .ask("asking where the snapshot comes from", sql, &[])
            .await
            .ok()?
            .first()?
            .get(0)
    };
    let lsn = "select coalesce(pg_last_wal_replay_lsn(),
                      case when not pg_is_in_recovery() then pg_current_wal_lsn() end)::text";
    Ok(Source {
        system_identifier: system_identifier(session).await,
        lsn: text(lsn).await,
        server_version: session.server_version(),
        database: session.target().database.clone(),
        snapshot_time: request.snapshot_time.map(|t| t.to_string()),
    })
}

/// Which roots were asked for.
pub(super) fn filter(request: &Request) -> Option<RootFilter> {
    let table = request.roots.first()?.clone();
    Some(RootFilter {
        table,
        where_sql: request.where_sql.clone(),
        keys_file: request.keys.is_some(),
    })
}
