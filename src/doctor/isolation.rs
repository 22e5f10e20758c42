//! Whether the snapshot is isolated. A restored copy of production goes on doing what production did: archiving,
//! following a primary, running jobs, reaching into other databases.

use crate::pg::{PgError, Session};

use super::finding::listed;
use super::{Findings, Level, Side};

pub(super) async fn look(session: &Session, findings: &mut Findings) {
    let before = findings.0.len();
    for (what, outcome) in [
        ("its settings", settings(session, findings).await),
        ("its jobs", jobs(session, findings).await),
        ("its subscriptions", subscriptions(session, findings).await),
        (
            "its foreign servers",
            foreign_servers(session, findings).await,
        ),
        ("who follows it", followers(session, findings).await),
    ] {
        findings.unless_seen(session, Side::Snapshot, what, outcome);
    }
    if findings.0.len() == before {
        let text = "isolated: it archives nothing, follows nobody, and runs no jobs of its own";
        findings.add(Level::Good, Side::Snapshot, "isolated", text);
    }
}

async fn settings(session: &Session, findings: &mut Findings) -> Result<(), PgError> {
    // Settings that this role may not see have no row.
    let sql = "select coalesce(max(setting) filter (where name = 'archive_mode'), 'off'),
                      coalesce(max(setting) filter (where name = 'archive_command'), ''),
                      coalesce(max(setting) filter (where name = 'archive_library'), ''),
                      max(setting) filter (where name = 'primary_conninfo'),
                      pg_is_in_recovery(), exists (select from pg_stat_get_wal_receiver() r where r.pid is not null),
                      case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() = 'paused' end
                 from pg_settings";
    let row = session
        .query_one("asking whether it is isolated", sql, &[])
        .await?;
    let (mode, command, library): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
    let replays: bool = row.get(4);
    archiving(mode, command, library, replays, findings);
    let primary: Option<&str> = row.get(3);
    let primary = primary.is_some_and(|p| !p.trim().is_empty());
    if row.get(5) {
        findings
            .add(
                Level::Warning,
                Side::Snapshot,
                "follows",
                "receives WAL from a primary at this moment: it will lose the very rows that are to be read",
            )
            .advice("set primary_conninfo = '' there and restart it")
            .next("ALTER SYSTEM SET primary_conninfo = ''");
    } else if primary && replays {
        findings
            .add(
                Level::Warning,
                Side::Snapshot,
                "follows",
                "knows a primary to follow (primary_conninfo)",
            )
            .next("ALTER SYSTEM SET primary_conninfo = ''");
    }
    if replays {
        let paused = row.get::<_, Option<bool>>(6) == Some(true);
        replaying(paused, findings);
    }
    Ok(())
}

fn archiving(mode: &str, command: &str, library: &str, replays: bool, findings: &mut Findings) {
    let harmless = |c: &str| matches!(c.trim(), "/bin/true" | "true" | ":" | "exit 0");
    // A server that replays archives only where archive_mode is always.
    let at_work = mode == "always" || (mode == "on" && !replays);
    if mode == "off" || (library.is_empty() && harmless(command)) {
        return;
    }
    let (program, _) = command.split_once(' ').unwrap_or((command, ""));
    let by = match (library, program) {
        ("", "") => "archive_command is empty: its WAL piles up",
        ("", program) => program,
        (library, _) => library,
    };
    let text = if at_work {
        format!(
            "archives its own WAL (archive_mode = {mode}, {by}): perhaps into production's archive"
        )
    } else {
        format!("would archive its own WAL once it is promoted (archive_mode = {mode}, {by})")
    };
    findings
        .add(Level::Warning, Side::Snapshot, "archives", text)
        .advice("set archive_mode = off there and restart it; at once, without a restart:")
        .next("ALTER SYSTEM SET archive_command = '/bin/true'; SELECT pg_reload_conf()");
}

fn replaying(paused: bool, findings: &mut Findings) {
    if paused {
        let text = "replay is paused: it stays as it is until somebody resumes it";
        findings
            .add(Level::Note, Side::Snapshot, "standby", text)
            .next("SELECT pg_promote()  -- for good");
        return;
    }
    findings
        .add(
            Level::Warning,
            Side::Snapshot,
            "standby",
            "replays another server's WAL: it may lose the very rows again",
        )
        .advice("stop that: recovery_target_action = 'promote' with a target before the loss, or pg_promote()")
        .next("SELECT pg_wal_replay_pause()");
}

async fn jobs(session: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql =
        "select to_regclass('cron.job') is not null, to_regclass('pgagent.pga_job') is not null";
    let row = session.query_one("looking for jobs", sql, &[]).await?;
    for (there, name, table, active, stop) in [
        (
            row.get::<_, bool>(0),
            "pg_cron",
            "cron.job",
            "active",
            "UPDATE cron.job SET active = false  -- on the snapshot",
        ),
        (
            row.get(1),
            "pgAgent",
            "pgagent.pga_job",
            "jobenabled",
            "UPDATE pgagent.pga_job SET jobenabled = false  -- on the snapshot",
        ),
    ] {
        if !there {
            continue;
        }
        let sql = format!("select count(*)::int8 from {table} where {active}");
        let count: i64 = session.query_one("counting jobs", &sql, &[]).await?.get(0);
        if count > 0 {
            let text =
                format!("has {count} active {name} jobs: the copy may run production's jobs");
            findings
                .add(Level::Warning, Side::Snapshot, "jobs", text)
                .next(stop);
        }
    }
    Ok(())
}

async fn subscriptions(session: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select subname::text from pg_subscription
                where subenabled and subdbid = (select oid from pg_database where datname = current_database())
                order by 1";
    let names = names(session, "looking for subscriptions", sql).await?;
    if let Some(first) = names.first() {
        let text = format!(
            "has enabled subscriptions, and takes changes from other servers: {}",
            listed(&names)
        );
        findings
            .add(Level::Warning, Side::Snapshot, "subscriptions", text)
            .next(format!(
                "ALTER SUBSCRIPTION {} DISABLE  -- on the snapshot",
                crate::ident::quote_ident(first)
            ));
    }
    Ok(())
}

async fn foreign_servers(session: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select srvname::text from pg_foreign_server order by 1";
    let names = names(session, "looking for foreign servers", sql).await?;
    if !names.is_empty() {
        let text = format!(
            "has foreign servers, through which it reaches other databases: {}",
            listed(&names)
        );
        findings
            .add(Level::Note, Side::Snapshot, "foreign_servers", text)
            .advice("nothing here reads through them; jobs and triggers of the copy could write through them");
    }
    Ok(())
}

async fn followers(session: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select count(*)::int8 from pg_stat_replication";
    let row = session.query_one("asking who follows it", sql, &[]).await?;
    let count: i64 = row.get(0);
    if count > 0 {
        let text = format!("{count} servers or subscribers follow it: is it the copy?");
        findings.add(Level::Warning, Side::Snapshot, "followed", text);
    }
    Ok(())
}

async fn names(session: &Session, doing: &str, sql: &str) -> Result<Vec<String>, PgError> {
    let rows = session.query(doing, sql, &[]).await?;
    Ok(rows.iter().map(|r| r.get(0)).collect())
}
