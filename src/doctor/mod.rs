//! What can be recovered, with which rights, and what stands in the way: findings, each with a level. Reads only.
//!
//! Works with whatever is there already: live alone before a backup is restored, then both sides.

mod both;
mod finding;
mod references;
mod rights;
mod server;
mod tables;

pub use finding::{Finding, Findings, Level, Side};

use crate::catalog::{Relation, introspect};
use crate::pg::{PgError, Session, same_database};

/// Oldest server version that is supported.
pub const OLDEST: u32 = 14;
/// Newest server version that this build was tested with.
pub const NEWEST: u32 = 18;

/// Looks at what could be connected to; `declared` are the relations that the configuration states.
pub async fn examine(
    live: Option<&Session>,
    snapshot: Option<&Session>,
    declared: &[Relation],
) -> Result<Findings, PgError> {
    let mut findings = Findings::default();
    let mut schemas = Vec::new();
    for (side, session) in [(Side::Live, live), (Side::Snapshot, snapshot)] {
        let Some(session) = session else { continue };
        server::look(session, side, &mut findings).await?;
        let schema = introspect(session).await?;
        tables::look(session, side, &schema, &mut findings).await?;
        if side == Side::Live {
            rights::look(session, &schema, &mut findings).await?;
        }
        schemas.push(schema);
    }
    // References are read from live where it can be reached; the closure uses both.
    if let Some(schema) = schemas.first() {
        let side = if live.is_some() {
            Side::Live
        } else {
            Side::Snapshot
        };
        references::look(side, schema, declared, &mut findings);
    }
    if let (Some(live), Some(snapshot), [live_schema, snapshot_schema]) =
        (live, snapshot, schemas.as_slice())
    {
        if same_database(live, snapshot).await? {
            findings
                .add(
                    Level::Problem,
                    Side::Both,
                    "same_database",
                    "live and snapshot are the same database",
                )
                .advice("the snapshot is a second database, restored from a backup: check both connection strings");
        } else {
            both::look(snapshot_schema, live_schema, &mut findings);
        }
    }
    Ok(findings)
}
