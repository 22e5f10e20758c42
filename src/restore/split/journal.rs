//! What a part does in its transaction besides what every batch does.

use super::super::insert::Inserter;
use crate::journal::{Part, Parts, ResolvedRows, Store};
use crate::pg::PgError;
use crate::restore::conflict::{Settled, resolved_rows};
use crate::restore::look::{Looked, Presence, look};
use crate::restore::{Batch, Resolved};

impl Inserter<'_> {
    /// Journals which part of its unit the batch is, and leaves NULL what would refer to rows of a later one.
    pub(in crate::restore) async fn begin_part(
        &self,
        number: i64,
        part: &Part,
        settled: &mut Settled<'_>,
    ) -> Result<(), PgError> {
        let parts = Parts::new(self.session);
        parts.record(self.run, number, part).await?;
        let (batch, looked) = (settled.batch.to_mut(), &settled.looked);
        let postponed = self
            .splitting
            .postpone(self.session, self.targets, batch, looked)
            .await?;
        let name = |table: usize| self.targets.tables[table].name.to_string();
        let postponed = postponed.into_iter();
        let postponed: Vec<_> = postponed.map(|(t, c, k)| (name(t), c, k)).collect();
        parts.postpone(self.run, number, &postponed).await
    }

    /// Counts the rows of a part that an earlier run brought back: nothing is inserted.
    pub(in crate::restore) async fn carry(
        &self,
        number: i64,
        batch: &Batch,
        resolved: &[Resolved],
    ) -> Result<(), PgError> {
        let session = self.session;
        let carried = self.count_carried(number, batch, resolved).await;
        if carried.is_err() && !session.is_closed() {
            session.batch("rolling back", "rollback").await?;
        }
        carried
    }

    async fn count_carried(
        &self,
        number: i64,
        batch: &Batch,
        resolved: &[Resolved],
    ) -> Result<(), PgError> {
        let session = self.session;
        session.batch("beginning a batch", "begin").await?;
        let claim = Store::claim_batch(self.run, number, &batch.journalled());
        let claimed = session.ask("claiming a batch in the journal", &claim, &[]);
        if claimed.await?.is_empty() {
            return session.batch("rolling back", "rollback").await;
        }
        if let Some(part) = &batch.part {
            Parts::new(session).record(self.run, number, part).await?;
        }
        let looked = look(session, self.targets, batch, false).await?;
        self.journal_carried(number, &looked).await?;
        let rows = resolved_rows(self.targets, batch, resolved);
        ResolvedRows::new(session)
            .record(self.run, number, &rows)
            .await?;
        session.batch("committing a batch", "commit").await
    }

    /// Rows that an earlier run brought back: they are there, or somebody has deleted them since.
    async fn journal_carried(&self, number: i64, looked: &Looked) -> Result<(), PgError> {
        for (table, presence) in self.targets.tables.iter().zip(&looked.presence) {
            let gone = presence.iter().filter(|p| **p == Presence::Absent);
            let gone = if table.keyed() {
                gone.count() as u64
            } else {
                0
            };
            let present = presence.len() as u64 - gone;
            if !presence.is_empty() {
                let sql = self.counts(number, table, [0, present, gone]);
                let doing = format!("journalling rows of {}", table.name);
                self.session.batch(&doing, &sql).await?;
            }
        }
        Ok(())
    }
}
