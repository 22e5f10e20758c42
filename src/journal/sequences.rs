//! Which sequences a run moved forward: the intention before, the outcome after.

use crate::ident::RunId;
use crate::pg::{PgError, Session};

/// A sequence that a run has moved, or has begun to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedSequence {
    /// The sequence, as shown.
    pub sequence: String,
    /// Its `last_value` when the run first met it.
    pub before: i64,
    /// The key that it was moved past.
    pub key: i64,
    /// Its `last_value` afterwards; none where the process died in between.
    pub after: Option<i64>,
}

/// The sequences in the journal of one database.
pub struct SequenceMoves<'a> {
    session: &'a Session,
}

impl<'a> SequenceMoves<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// Records that a sequence is about to be moved. A run that does so again keeps where it stood at first.
    pub async fn begin(
        &self,
        run: &RunId,
        sequence: &str,
        before: i64,
        key: i64,
    ) -> Result<(), PgError> {
        let sql = "insert into reinstate.moved_sequence (run, sequence, before, key)
                   values ($1, $2, $3::int8, $4::int8)
                   on conflict (run, sequence) do update set key = excluded.key, after = null";
        let (before, key) = (before.to_string(), key.to_string());
        let params = [run.0.as_str(), sequence, &before, &key];
        self.session
            .ask("recording that a sequence is moved", sql, &params)
            .await?;
        Ok(())
    }

    /// Records where it stands afterwards.
    pub async fn end(&self, run: &RunId, sequence: &str, after: i64) -> Result<(), PgError> {
        let sql =
            "update reinstate.moved_sequence set after = $3::int8 where run = $1 and sequence = $2";
        let after = after.to_string();
        let params = [run.0.as_str(), sequence, &after];
        self.session
            .ask("recording that a sequence was moved", sql, &params)
            .await?;
        Ok(())
    }

    /// What a run moved; nothing in a journal of an earlier version.
    pub async fn of(&self, run: &RunId) -> Result<Vec<MovedSequence>, PgError> {
        let doing = "reading the journal";
        let sql = "select to_regclass('reinstate.moved_sequence') is not null";
        let there = self.session.ask(doing, sql, &[]).await?;
        if !there.first().is_some_and(|row| row.get(0)) {
            return Ok(Vec::new());
        }
        let sql = "select sequence, before, key, after from reinstate.moved_sequence where run = $1 order by sequence";
        let rows = self.session.ask(doing, sql, &[&run.0]).await?;
        let moved = rows.iter().map(|row| MovedSequence {
            sequence: row.get(0),
            before: row.get(1),
            key: row.get(2),
            after: row.get(3),
        });
        Ok(moved.collect())
    }
}
