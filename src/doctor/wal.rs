//! What live writes down about changes, and for how long it keeps it: commit timestamps, WAL, the archive, replication.

use crate::hold::SLOT;
use crate::pg::{PgError, Session, Size, lasting};

use super::finding::listed;
use super::{Findings, Level, Side};

/// Lag of a standby that is worth a word, in seconds.
const LAG: f64 = 5.0;

pub(super) async fn look(live: &Session, findings: &mut Findings) {
    for (what, outcome) in [
        ("what it records", recording(live, findings).await),
        ("replication slots", slots(live, findings).await),
        ("the archive", archive(live, findings).await),
        ("pg_wal", kept(live, findings).await),
        ("standbys", standbys(live, findings).await),
    ] {
        findings.unless_seen(live, Side::Live, what, outcome);
    }
}

async fn recording(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql =
        "select current_setting('track_commit_timestamp')::bool, current_setting('wal_level')";
    let row = live.query_one("asking what it records", sql, &[]).await?;
    let (timed, level): (bool, &str) = (row.get(0), row.get(1));
    if timed {
        let text = "track_commit_timestamp is on: a transaction id tells when it was committed";
        findings.add(Level::Good, Side::Live, "commit_timestamps", text);
    } else {
        findings
            .add(
                Level::Note,
                Side::Live,
                "commit_timestamps",
                "track_commit_timestamp is off: when a transaction was committed can only be told from WAL or an audit table",
            )
            .advice("turning it on needs a restart, and dates nothing that was before");
    }
    let (found, text) = match level {
        "minimal" => (
            Level::Warning,
            "wal_level is minimal: WAL cannot be archived, and tells little".to_owned(),
        ),
        "replica" => (
            Level::Note,
            "wal_level is replica: WAL has every deletion but no TRUNCATE by name".to_owned(),
        ),
        other => (Level::Good, format!("wal_level is {other}")),
    };
    findings.add(found, Side::Live, "wal_level", text);
    Ok(())
}

async fn archive(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select current_setting('archive_mode'), archived_count,
                      extract(epoch from clock_timestamp() - last_archived_time)::float8,
                      failed_count, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
                      extract(epoch from clock_timestamp() - last_failed_time)::float8
                 from pg_stat_archiver";
    let row = live.query_one("looking at the archiver", sql, &[]).await?;
    let mode: &str = row.get(0);
    let (archived, failed): (i64, i64) = (row.get(1), row.get(3));
    let ago = |i: usize| {
        let seconds: Option<f64> = row.get(i);
        seconds.map_or_else(|| "never".to_owned(), |s| format!("{} ago", lasting(s)))
    };
    if mode == "off" {
        findings
            .add(
                Level::Note,
                Side::Live,
                "archive",
                "archives no WAL (archive_mode = off): what happened when is lost as WAL is recycled",
            )
            .advice("copy pg_wal away now, and keep what comes from here on")
            .next("reinstate hold");
    } else if row.get(4) {
        let text = format!(
            "archiving fails: {failed} times, last {}; the last success {}",
            ago(5),
            ago(2)
        );
        findings
            .add(Level::Warning, Side::Live, "archive", text)
            .advice("WAL piles up in pg_wal meanwhile; the server's log says why it fails");
    } else if archived == 0 {
        let text = format!("archive_mode is {mode}, but nothing was archived yet");
        findings.add(Level::Note, Side::Live, "archive", text);
    } else {
        let text = format!("archives its WAL: {archived} files, the last {}", ago(2));
        findings
            .add(Level::Good, Side::Live, "archive", text)
            .advice("keep the archive from expiring");
    }
    Ok(())
}

/// How far back the WAL on the server's own disk reaches.
async fn kept(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    // Files with a later name are recycled ones, still empty. A standby has no name for the current one.
    let sql = "select count(*)::int8, coalesce(sum(size), 0)::int8,
                      extract(epoch from clock_timestamp() - min(modification))::float8
                 from pg_ls_waldir()
                where name ~ '^[0-9A-F]{24}$'
                  and (pg_is_in_recovery()
                       or substr(name, 9) <= substr((select pg_walfile_name(pg_current_wal_lsn())
                                                      where not pg_is_in_recovery()), 9))";
    let row = live.query_one("looking at pg_wal", sql, &[]).await?;
    let (files, size) = (row.get::<_, i64>(0), Size::of(row.get(1)));
    let age: Option<f64> = row.get(2);
    let files = match files {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let text = format!(
        "pg_wal holds {files} ({size}); the oldest was written {} ago",
        lasting(age.unwrap_or(0.0))
    );
    let held = findings.0.iter().any(|f| f.code == "held");
    let finding = findings.add(Level::Note, Side::Live, "wal_kept", text);
    if held {
        finding.advice("nothing is recycled while it is held");
        return Ok(());
    }
    finding
        .next("reinstate hold")
        .advice("the server recycles them within minutes to hours: copy them away");
    Ok(())
}

async fn slots(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select slot_name::text, active, coalesce(wal_status, ''),
                      case when pg_is_in_recovery() then 0
                           else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) end::int8
                 from pg_replication_slots order by 1";
    let rows = live.query("looking at replication slots", sql, &[]).await?;
    let mut idle = Vec::new();
    for row in &rows {
        let (name, active, status): (&str, bool, &str) = (row.get(0), row.get(1), row.get(2));
        if matches!(status, "lost" | "unreserved") {
            let text = format!("replication slot {name} loses WAL (wal_status {status})");
            findings.add(Level::Warning, Side::Live, "slot_lost", text);
        } else if name == SLOT {
            let text = format!("WAL is held (slot {SLOT}): {} so far", Size::of(row.get(3)));
            findings
                .add(Level::Good, Side::Live, "held", text)
                .advice("the slot has no limit of its own: watch it")
                .next("reinstate hold --watch");
        } else if !active {
            idle.push(format!("{name} keeps {}", Size::of(row.get(3))));
        }
    }
    if !idle.is_empty() {
        let text = format!("replication slots that nobody reads: {}", listed(&idle));
        findings
            .add(Level::Note, Side::Live, "slots", text)
            .advice("they keep WAL, which is good for the incident and fills the disk in time");
    }
    Ok(())
}

async fn standbys(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select count(*)::int8, count(*) filter (where sync_state in ('sync', 'quorum'))::int8,
                      max(extract(epoch from replay_lag))::float8, count(*) filter (where state is null)::int8
                 from pg_stat_replication";
    let row = live.query_one("looking at standbys", sql, &[]).await?;
    let (count, sync, hidden): (i64, i64, i64) = (row.get(0), row.get(1), row.get(3));
    if count == 0 {
        findings.add(
            Level::Note,
            Side::Live,
            "standbys",
            "no standby or subscriber follows it",
        );
        return Ok(());
    }
    let lag: f64 = row.get::<_, Option<f64>>(2).unwrap_or(0.0);
    let seen = match (hidden, sync) {
        (1.., _) => "; their lag is hidden from this role (pg_monitor shows it)".to_owned(),
        (0, 0) => format!(", the slowest {lag:.1} s behind"),
        (_, sync) => format!(", the slowest {lag:.1} s behind; commits wait for {sync} of them"),
    };
    let level = if lag > LAG {
        Level::Warning
    } else {
        Level::Note
    };
    let text = match count {
        1 => format!("1 standby or subscriber follows it{seen}"),
        n => format!("{n} standbys or subscribers follow it{seen}"),
    };
    findings
        .add(level, Side::Live, "standbys", text)
        .advice("they replay the deletions too; diff may read a standby, to spare the primary");
    Ok(())
}
