//! What is held of live's WAL, since when and by whom: one row a hold, kept after its end.

use crate::pg::{Session, Size};

use super::JournalError;

/// A hold as it begins.
pub struct NewHold {
    /// Id, as a run's.
    pub hold: String,
    /// Name of the replication slot.
    pub slot: String,
    /// Most WAL that the slot may keep.
    pub max_wal: Size,
    /// Free space that is to be left.
    pub margin: Size,
    /// Free space when it began.
    pub free_space: Size,
    /// Operating system user.
    pub os_user: String,
    /// Host it was typed on.
    pub host: String,
    /// Command line.
    pub command: String,
}

/// A hold that has not ended.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Id.
    pub hold: String,
    /// Name of the replication slot.
    pub slot: String,
    /// When it began (RFC 3339).
    pub since: String,
    /// Most WAL that the slot may keep.
    pub max_wal: Size,
    /// Free space that is to be left.
    pub margin: Size,
    /// Who began it, and where.
    pub by: String,
}

/// The holds that a database's journal knows.
pub struct Holds<'a> {
    session: &'a Session,
}

/// Whether the journal has a table for them.
pub(super) async fn can_record(session: &Session) -> Result<bool, JournalError> {
    let sql = "select to_regclass('reinstate.hold') is not null";
    Ok(session
        .query_one("looking for the journal", sql, &[])
        .await?
        .get(0))
}

fn signed(size: Size) -> i64 {
    i64::try_from(size.0).unwrap_or(i64::MAX)
}

impl<'a> Holds<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// The hold that has not ended, if there is one; a journal without the table knows of none.
    pub async fn open(&self) -> Result<Option<Hold>, JournalError> {
        if !can_record(self.session).await? {
            return Ok(None);
        }
        let sql = r#"select hold, slot, to_char(began at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                            max_wal, margin, os_user || ' on ' || host
                       from reinstate.hold where ended is null order by began desc, hold desc limit 1"#;
        let rows = self.session.query("reading the journal", sql, &[]).await?;
        Ok(rows.first().map(|row| Hold {
            hold: row.get(0),
            slot: row.get(1),
            since: row.get(2),
            max_wal: Size::of(row.get(3)),
            margin: Size::of(row.get(4)),
            by: row.get(5),
        }))
    }

    /// Records that a slot is about to be made.
    pub async fn begin(&self, new: &NewHold) -> Result<(), JournalError> {
        let sql = "insert into reinstate.hold (hold, slot, max_wal, margin, free_space, os_user, host, command)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (max, margin, free) = (
            signed(new.max_wal),
            signed(new.margin),
            signed(new.free_space),
        );
        self.session
            .execute(
                "recording the hold in the journal",
                sql,
                &[
                    &new.hold,
                    &new.slot,
                    &max,
                    &margin,
                    &free,
                    &new.os_user,
                    &new.host,
                    &new.command,
                ],
            )
            .await?;
        Ok(())
    }

    /// Records from where on WAL is kept.
    pub async fn reserved(&self, hold: &str, lsn: &str) -> Result<(), JournalError> {
        let sql = "update reinstate.hold set restart_lsn = $2::pg_lsn where hold = $1";
        self.session
            .ask("recording the hold in the journal", sql, &[hold, lsn])
            .await?;
        Ok(())
    }

    /// Records other limits.
    pub async fn limit(&self, hold: &str, max_wal: Size, margin: Size) -> Result<(), JournalError> {
        let sql = "update reinstate.hold set max_wal = $2, margin = $3 where hold = $1";
        let (max, margin) = (signed(max_wal), signed(margin));
        self.session
            .execute(
                "recording the hold in the journal",
                sql,
                &[&hold, &max, &margin],
            )
            .await?;
        Ok(())
    }

    /// Records that it has ended, and why. One that has ended already keeps its reason.
    pub async fn end(&self, hold: &str, reason: &str) -> Result<(), JournalError> {
        let sql = "update reinstate.hold set ended = now(), reason = $2 where hold = $1 and ended is null";
        self.session
            .execute(
                "recording the hold's end in the journal",
                sql,
                &[&hold, &reason],
            )
            .await?;
        Ok(())
    }
}
