//! The rows that a batch has inserted, found again before the commit: by their key, or where they came to lie; and whether
//! they are still what the bundle holds.

use crate::catalog::{Locator, TableKind};
use crate::ident::{Key, RunId, qualified_list, quote_literal};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::look::{Looked, Presence, numbered};
use super::{Batch, BatchRow, TargetTable};

/// The rows of one table.
pub(super) struct Inserted<'a> {
    /// As they were sent.
    pub(super) rows: Vec<&'a BatchRow>,
    /// Their keys; places where there are none.
    pub(super) keys: Vec<Key>,
    pub(super) locator: Locator,
}

impl<'a> Inserted<'a> {
    /// `None` where the batch inserted none, or where nothing tells where they are (a partitioned table without a key).
    pub(super) async fn find(
        session: &Session,
        target: &TargetTable,
        (run, number): (&RunId, i64),
        (batch, looked): (&'a Batch, &Looked),
        table: usize,
    ) -> Result<Option<Self>, PgError> {
        let rows = batch.rows[table].iter().zip(&looked.presence[table]);
        let rows = rows.filter(|(_, presence)| **presence == Presence::Absent);
        let rows: Vec<&BatchRow> = rows.map(|(row, _)| row).collect();
        let untold = !target.keyed() && target.live.kind != TableKind::Plain;
        if rows.is_empty() || untold {
            return Ok(None);
        }
        let keys = match target.keyed() {
            true => rows.iter().map(|row| row.key.clone()).collect(),
            false => places(session, run, number, target).await?,
        };
        if keys.len() != rows.len() {
            let (sent, found) = (rows.len() as u64, keys.len() as u64);
            return Err(PgError::vanished(
                session,
                &target.name.to_string(),
                sent,
                found,
            ));
        }
        Ok(Some(Self {
            rows,
            keys,
            locator: Locator::of(&target.live, &target.key),
        }))
    }

    /// How many are not as they were sent, though they are there.
    ///
    /// Errors: as rows that vanished, where some are not there.
    pub(super) async fn changed(
        &self,
        session: &Session,
        target: &TargetTable,
    ) -> Result<u64, PgError> {
        let sql = format!(
            "copy (select k.n, {} from {} join {} t on {}) to stdout",
            qualified_list("t", &target.columns),
            self.locator.list(self.keys.iter()),
            target.live.from_sql(),
            self.locator.matches("t"),
        );
        let doing = format!("looking at what triggers did to {}", target.name);
        let (mut found, mut changed) = (0, 0);
        let mut lines = CopyLines::start(session, &doing, &sql).await?;
        while let Some(line) = lines.next().await? {
            let Some((n, content)) = numbered(&line) else {
                continue;
            };
            found += 1;
            let as_sent = self.rows.get(n).is_some_and(|row| row.line == content);
            changed += u64::from(!as_sent);
        }
        let sent = self.rows.len() as u64;
        match found == sent {
            true => Ok(changed),
            false => Err(PgError::vanished(
                session,
                &target.name.to_string(),
                sent,
                found,
            )),
        }
    }
}

/// Where rows without a key came to lie, in the order in which they went in.
async fn places(
    session: &Session,
    run: &RunId,
    batch: i64,
    target: &TargetTable,
) -> Result<Vec<Key>, PgError> {
    let sql = format!(
        "select u.key::json ->> 0 from reinstate.batch_rows b, unnest(b.keys) with ordinality as u (key, n)
          where b.run = {} and b.batch = {batch} and b.table_name = {} order by u.n",
        quote_literal(&run.0),
        quote_literal(&target.name.to_string()),
    );
    let rows = session.ask("reading the journal", &sql, &[]).await?;
    Ok(rows.iter().map(|row| Key(vec![row.get(0)])).collect())
}
