//! A server: its version, the role's rights, whether it is a standby, what a restored backup should not be doing.

use crate::pg::{PgError, Session};

use super::{Findings, Level, NEWEST, OLDEST, Side};

pub(super) async fn look(
    session: &Session,
    side: Side,
    findings: &mut Findings,
) -> Result<(), PgError> {
    version(session, side, findings);
    let sql = "select r.rolsuper, r.rolbypassrls, pg_has_role(current_user, 'pg_read_all_data', 'member'),
                      pg_is_in_recovery(), current_setting('archive_mode')::text, to_regclass('cron.job') is not null
                 from pg_roles r where r.rolname = current_user";
    let row = session
        .query_one("asking for role and state", sql, &[])
        .await?;
    let (superuser, bypass, reads_all): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let rights = match (superuser, reads_all) {
        (true, _) => "is a superuser",
        (false, true) => "may read all data (pg_read_all_data)",
        (false, false) => "has the rights that were granted to it, table by table",
    };
    let obeys = if superuser || bypass {
        ""
    } else {
        ", and obeys row-level security"
    };
    let role = &session.target().role;
    findings.add(
        Level::Note,
        side,
        "role",
        format!("role {role} {rights}{obeys}"),
    );
    let in_recovery: bool = row.get(3);
    if in_recovery {
        standby(side, findings);
    } else if side == Side::Snapshot {
        still_at_work(row.get(4), row.get(5), findings);
    }
    Ok(())
}

fn version(session: &Session, side: Side, findings: &mut Findings) {
    let number = session.server_version();
    let (major, minor) = (number / 10_000, number % 10_000);
    let level = match major {
        ..OLDEST => Level::Problem,
        OLDEST..=NEWEST => Level::Good,
        _ => Level::Warning,
    };
    let text = format!("{}: PostgreSQL {major}.{minor}", session.target());
    let finding = findings.add(level, side, "version", text);
    if level != Level::Good {
        finding.advice(format!("PostgreSQL {OLDEST} to {NEWEST} are supported"));
    }
}

fn standby(side: Side, findings: &mut Findings) {
    let (text, advice) = match side {
        Side::Live => (
            "is a standby: it can be compared with, but not restored into",
            "give the primary as --live to restore",
        ),
        _ => (
            "replays another server's WAL: it may lose the very rows again",
            "stop that: recovery_target_action = 'promote' with a target before the loss, or pg_promote()",
        ),
    };
    findings
        .add(Level::Warning, side, "standby", text)
        .advice(advice);
}

/// A restored copy of production goes on doing what production did.
fn still_at_work(archive_mode: &str, cron: bool, findings: &mut Findings) {
    if archive_mode != "off" {
        findings
            .add(
                Level::Warning,
                Side::Snapshot,
                "archives",
                format!("archives its own WAL (archive_mode = {archive_mode}): perhaps into production's archive"),
            )
            .advice("set archive_mode = off there and restart it");
    }
    if cron {
        findings
            .add(
                Level::Warning,
                Side::Snapshot,
                "jobs",
                "has pg_cron jobs: the copy may run production's jobs",
            )
            .advice("update cron.job set active = false, on the snapshot");
    }
}
