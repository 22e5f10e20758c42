//! The replication slot itself.

use crate::pg::{PgError, Session, Size};

/// Its name. WAL belongs to the whole server, so one is enough.
pub const SLOT: &str = "reinstate_hold";

/// The slot as the server has it.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The server process that reads from it.
    pub active_pid: Option<i32>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: String,
    /// Where the WAL that it keeps begins.
    pub restart_lsn: Option<String>,
    /// WAL from there to the end.
    pub retained: Size,
}

impl Slot {
    /// Whether WAL that it should keep is gone.
    pub fn lost(&self) -> bool {
        self.wal_status == "lost"
    }
}

/// The slot of our name, if there is one.
pub(super) async fn look(session: &Session) -> Result<Option<Slot>, PgError> {
    let sql = "select active_pid, coalesce(wal_status, 'lost'), restart_lsn::text,
                      coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8
                 from pg_replication_slots where slot_name = $1::text::name";
    let rows = session.ask("looking at the slot", sql, &[SLOT]).await?;
    Ok(rows.first().map(|row| Slot {
        active_pid: row.get(0),
        wal_status: row.get(1),
        restart_lsn: row.get(2),
        retained: Size::of(row.get(3)),
    }))
}

/// Makes it, reserving WAL at once; returns from where on.
pub(super) async fn create(session: &Session) -> Result<String, PgError> {
    let sql = "select coalesce(lsn::text, '0/0')
                 from pg_create_physical_replication_slot($1::text::name, true, false)";
    let rows = session
        .ask("making a replication slot", sql, &[SLOT])
        .await?;
    Ok(rows.first().map_or_else(String::new, |row| row.get(0)))
}

/// Drops it.
pub(super) async fn drop(session: &Session) -> Result<(), PgError> {
    let sql = "select pg_drop_replication_slot($1::text::name)";
    session
        .ask("dropping the replication slot", sql, &[SLOT])
        .await?;
    Ok(())
}

/// When the server itself gives up a slot that nobody reads from (PostgreSQL 18), as its setting is written.
pub(super) async fn idle_limit(session: &Session) -> Result<Option<String>, PgError> {
    let sql = "select current_setting(name) from pg_settings
                where name = 'idle_replication_slot_timeout' and setting <> '0'";
    let rows = session
        .ask("asking for the server's limit", sql, &[])
        .await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Where the server itself stops keeping WAL for any slot.
pub(super) async fn server_limit(session: &Session) -> Result<Option<Size>, PgError> {
    // In megabytes; -1 is no limit.
    let sql = "select setting::int8 from pg_settings where name = 'max_slot_wal_keep_size'";
    let rows = session
        .ask("asking for the server's limit", sql, &[])
        .await?;
    let megabytes: i64 = rows.first().map_or(-1, |row| row.get(0));
    Ok(u64::try_from(megabytes).ok().map(|m| Size(m << 20)))
}
