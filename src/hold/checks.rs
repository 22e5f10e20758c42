//! What must hold before anything is recorded or reserved. Reads only.

use crate::ident::quote_ident;
use crate::pg::Session;

use super::HoldError;

/// Roles whose members may make slots on managed servers, though they lack REPLICATION.
const MANAGED: &[&str] = &[
    "rds_replication",
    "rds_superuser",
    "cloudsqlsuperuser",
    "alloydbsuperuser",
    "azure_pg_admin",
];

/// Refuses a server that takes no writes, or that somebody has told to take none.
pub(super) async fn server(session: &Session) -> Result<(), HoldError> {
    let sql = "select pg_is_in_recovery(),
                      coalesce((select reset_val = 'on' from pg_settings
                                 where name = 'default_transaction_read_only'), false)";
    let row = session
        .query_one("asking whether it takes writes", sql, &[])
        .await?;
    let target = session.target().to_string();
    match (row.get(0), row.get(1)) {
        (true, _) => Err(HoldError::Standby { target }),
        (_, true) => Err(HoldError::ReadOnly { target }),
        _ => Ok(()),
    }
}

/// Refuses where a slot could not be made.
pub(super) async fn room_for_a_slot(session: &Session) -> Result<(), HoldError> {
    let sql = "select current_setting('wal_level'), current_setting('max_replication_slots')::int4,
                      (select count(*)::int4 from pg_replication_slots),
                      (select rolsuper or rolreplication from pg_roles where rolname = current_user)
                      or exists (select from pg_roles g
                                  where g.rolname = any($1) and pg_has_role(current_user, g.oid, 'member'))";
    let row = session
        .query_one("asking whether a slot can be made", sql, &[&MANAGED])
        .await?;
    let target = session.target().to_string();
    let (level, max, used): (String, i32, i32) = (row.get(0), row.get(1), row.get(2));
    if !row.get::<_, bool>(3) {
        let role = quote_ident(&session.target().role);
        return Err(HoldError::NoRight { target, role });
    }
    if level == "minimal" {
        return Err(HoldError::WalLevel { target, level });
    }
    if used >= max {
        return Err(HoldError::NoRoom { target, max });
    }
    Ok(())
}
