//! A server: its version, the role's rights, whether it takes writes.

use crate::pg::{PgError, Session};

use super::{Findings, Level, NEWEST, OLDEST, Side};

pub(super) async fn look(
    session: &Session,
    side: Side,
    findings: &mut Findings,
) -> Result<(), PgError> {
    let sql = "select r.rolsuper, r.rolbypassrls, pg_has_role(current_user, 'pg_read_all_data', 'usage'),
                      pg_is_in_recovery(),
                      (select reset_val = 'on' from pg_settings where name = 'default_transaction_read_only')
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
    if side == Side::Live && row.get(3) {
        findings
            .add(
                Level::Warning,
                side,
                "standby",
                "is a standby: it can be compared with, but not restored into",
            )
            .advice("give the primary as --live to restore");
    } else if side == Side::Live && row.get::<_, Option<bool>>(4) == Some(true) {
        findings
            .add(
                Level::Warning,
                side,
                "read_only",
                "is set to read only (default_transaction_read_only): restore refuses to write there",
            )
            .advice("find out who set it, and why, before you take it back");
    }
    Ok(())
}

pub(super) fn version(session: &Session, side: Side, findings: &mut Findings) -> Level {
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
    level
}
