//! Where the snapshot comes from: a physical copy or a restored dump, and of what time it is.

use crate::pg::{PgError, Session};

use super::{Findings, Level, Side};

/// What tells servers apart.
struct Identity {
    system: i64,
    timeline: i32,
    started: String,
    replays: bool,
}

/// Says how the snapshot was made; returns whether it is a database of live's own server, where nothing is isolated.
pub(super) async fn look(
    snapshot: &Session,
    live: Option<&Session>,
    findings: &mut Findings,
) -> bool {
    let ours = match identity(snapshot).await {
        Ok(identity) => identity,
        Err(error) => {
            let what = "how the snapshot was made";
            findings.unless_seen(snapshot, Side::Snapshot, what, Err(error));
            return false;
        }
    };
    let theirs = match live {
        Some(live) => identity(live).await.ok(),
        None => None,
    };
    let same_server = theirs
        .as_ref()
        .is_some_and(|t| (t.system, &t.started) == (ours.system, &ours.started));
    let text = made(&ours, theirs.as_ref(), same_server);
    let finding = findings.add(Level::Note, Side::Snapshot, "origin", text);
    if same_server {
        finding.level = Level::Warning;
        finding.advice(
            "good for a trial; in an incident the copy belongs on another server, or reading it slows production",
        );
    }
    same_server
}

fn made(ours: &Identity, theirs: Option<&Identity>, same_server: bool) -> String {
    let timeline = ours.timeline;
    let system = ours.system;
    match theirs {
        _ if same_server => "is a database of live's own server".to_owned(),
        Some(theirs) if theirs.system == ours.system => format!(
            "is a physical copy of live's server (system identifier {system}, timeline {timeline}, live's {})",
            theirs.timeline
        ),
        _ if ours.replays => {
            format!("is a physical copy: it replays WAL (timeline {timeline})")
        }
        Some(_) => {
            "is a logical copy, such as a restored dump: its system identifier is not live's"
                .to_owned()
        }
        None => format!(
            "physical or logical copy: only live's system identifier can tell (here {system}, timeline {timeline})"
        ),
    }
}

async fn identity(session: &Session) -> Result<Identity, PgError> {
    let sql = "select s.system_identifier, c.timeline_id, pg_postmaster_start_time()::text, pg_is_in_recovery()
                 from pg_control_system() s, pg_control_checkpoint() c";
    let row = session
        .query_one("asking which server it is", sql, &[])
        .await?;
    Ok(Identity {
        system: row.get(0),
        timeline: row.get(1),
        started: row.get(2),
        replays: row.get(3),
    })
}

/// Says of what time the snapshot is, and returns what it says of itself (RFC 3339).
pub(super) async fn time(
    snapshot: &Session,
    stated: Option<&str>,
    findings: &mut Findings,
) -> Option<String> {
    let sql = r#"select to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;
    let replayed: Option<String> = match snapshot.query_one("asking for its time", sql, &[]).await {
        Ok(row) => row.get(0),
        Err(error) => {
            findings.unless_seen(snapshot, Side::Snapshot, "its time", Err(error));
            None
        }
    };
    match (&replayed, stated) {
        (Some(replayed), None) => {
            let text = format!("of {replayed}: the last transaction that it replayed");
            findings.add(Level::Good, Side::Snapshot, "snapshot_time", text);
        }
        (Some(replayed), Some(stated)) => compare(replayed, stated, findings),
        (None, Some(stated)) => {
            let text = format!("of {stated}, as the configuration says");
            findings.add(Level::Good, Side::Snapshot, "snapshot_time", text);
        }
        (None, None) => {
            findings
                .add(
                    Level::Warning,
                    Side::Snapshot,
                    "snapshot_time",
                    "does not say of what time it is",
                )
                .advice("without it nothing is known about when rows were deleted; the backup's log has it (or write snapshot_time in reinstate.toml)")
                .next("reinstate extract --snapshot-time TIME");
        }
    }
    replayed
}

fn compare(replayed: &str, stated: &str, findings: &mut Findings) {
    let (Ok(there), Ok(said)) = (
        replayed.parse::<jiff::Timestamp>(),
        stated.parse::<jiff::Timestamp>(),
    ) else {
        // What cannot be read is refused where it is used.
        return;
    };
    // A quiet minute before the backup leaves the last transaction earlier than the backup.
    let (level, text) = if said < there {
        let text = format!(
            "the configuration says that it is of {stated}, but it holds a transaction of {replayed}"
        );
        (Level::Warning, text)
    } else {
        let text = format!(
            "of {stated}, as the configuration says; its last transaction is of {replayed}"
        );
        (Level::Good, text)
    };
    findings.add(level, Side::Snapshot, "snapshot_time", text);
}
