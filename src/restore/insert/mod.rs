//! One batch, one transaction.

mod staged;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::bundle::BundleError;
use crate::ident::{RunId, TableName};
use crate::journal::{ResolvedRows, Store};
use crate::pg::copy::copy_in;
use crate::pg::{PgError, Session};

use super::conflict::{Decided, Met, Replacements, resolved_rows};
use super::inserted::Inserted;
use super::large_objects::NotPut;
use super::look::{Looked, Presence};
use super::split::Splitting;
use super::suppressed::Guards;
use super::triggers::Treatment;
use super::{Batch, BatchRow, Conflict, TargetTable, Targets};
use staged::{number_name, stage_name};

/// How an attempt at a batch ended.
pub(super) enum Attempt {
    /// Committed, and what is to be kept of it.
    Committed(Done),
    /// Rolled back: a file of the bundle cannot be read.
    Damaged(BundleError),
    /// Rolled back: these are in the way of some of its units.
    InTheWay(Vec<Conflict>),
    /// Rolled back: an earlier attempt had committed after all.
    DoneBefore,
    /// Rolled back: it took longer than it may.
    TooSlow,
}

/// What a committed batch decided about rows in conflict.
pub(super) struct Done {
    pub(super) decided: Decided,
    pub(super) met: Vec<Met>,
    /// Rows that triggers changed as they came in, by table.
    pub(super) changed: Vec<(TableName, u64)>,
}

/// Where batches go.
pub(super) struct Inserter<'a> {
    pub(super) session: &'a Session,
    pub(super) targets: &'a Targets,
    pub(super) run: &'a RunId,
    pub(super) treatment: &'a Treatment,
    pub(super) guards: &'a Guards,
    pub(super) replacements: &'a Replacements,
    pub(super) splitting: &'a Splitting,
    /// How long a batch may usually take.
    pub(super) usual: Duration,
}

impl Inserter<'_> {
    /// Tries a batch. On an error the transaction is rolled back.
    pub(super) async fn attempt(
        &self,
        number: i64,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let attempt = self.transaction(number, batch, limit).await;
        if !matches!(attempt, Ok(Attempt::Committed(_))) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        attempt
    }

    async fn transaction(
        &self,
        number: i64,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let started = Instant::now();
        self.session
            .batch("beginning a batch", &begin(self.session, limit, self.usual))
            .await?;
        let claim = Store::claim_batch(self.run, number, &batch.journalled());
        if self
            .session
            .ask("claiming a batch in the journal", &claim, &[])
            .await?
            .is_empty()
        {
            return Ok(Attempt::DoneBefore);
        }
        let settled = self
            .replacements
            .settle(self.session, self.targets, batch, true);
        let mut settled = settled.await?;
        if !settled.looked.conflicts.is_empty() {
            return Ok(Attempt::InTheWay(settled.looked.conflicts));
        }
        if let Some(part) = &batch.part {
            self.begin_part(number, part, &mut settled).await?;
        }
        let (batch, looked) = (settled.batch.as_ref(), &settled.looked);
        if started.elapsed() > limit {
            return Ok(Attempt::TooSlow);
        }
        match self.put_objects(&settled.objects, (started, limit)).await {
            Ok(true) => {}
            Ok(false) => return Ok(Attempt::TooSlow),
            Err(NotPut::Refused(error)) => return Err(error),
            Err(NotPut::Damaged(error)) => return Ok(Attempt::Damaged(error)),
        }
        for group in &self.targets.groups {
            self.treatment.before(self.session, group).await?;
            self.group(number, group, batch, looked).await?;
            self.treatment.after(self.session, group).await?;
            if started.elapsed() > limit {
                return Ok(Attempt::TooSlow);
            }
        }
        self.treatment.settle(self.session).await?;
        let in_the_way = self.violations(number, batch, looked, limit).await?;
        if !in_the_way.is_empty() {
            return Ok(Attempt::InTheWay(in_the_way));
        }
        let changed = self.changed(number, batch, looked).await?;
        self.journal(number, batch, looked).await?;
        self.journal_objects(number, batch, &settled.objects)
            .await?;
        let resolved = resolved_rows(self.targets, batch, &settled.resolved);
        let rows = ResolvedRows::new(self.session);
        rows.record(self.run, number, &resolved).await?;
        if started.elapsed() > limit {
            return Ok(Attempt::TooSlow);
        }
        self.session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Committed(Done {
            decided: settled.decided,
            met: settled.met,
            changed,
        }))
    }

    /// What the rows violate of all that the server does not check where triggers are suppressed.
    async fn violations(
        &self,
        number: i64,
        batch: &Batch,
        looked: &Looked,
        limit: Duration,
    ) -> Result<Vec<Conflict>, PgError> {
        let guards = self.guards;
        let (of, what) = ((self.run, number), (batch, looked));
        guards
            .violations(self.session, self.targets, of, what, limit / 2)
            .await
    }

    /// Rows that triggers changed, of any table: one table's triggers can write to another.
    async fn changed(
        &self,
        number: i64,
        batch: &Batch,
        looked: &Looked,
    ) -> Result<Vec<(TableName, u64)>, PgError> {
        let mut all = Vec::new();
        if !self.treatment.fires() {
            return Ok(all);
        }
        for (i, target) in self.targets.tables.iter().enumerate() {
            let (of, what) = ((self.run, number), (batch, looked));
            let found = Inserted::find(self.session, target, of, what, i).await?;
            let Some(inserted) = found else { continue };
            let changed = inserted.changed(self.session, target).await?;
            if changed > 0 {
                all.push((target.name.clone(), changed));
            }
        }
        Ok(all)
    }

    /// Inserts the absent rows of tables that go in together.
    async fn group(
        &self,
        number: i64,
        group: &[usize],
        batch: &Batch,
        looked: &Looked,
    ) -> Result<(), PgError> {
        let mut staged = Vec::new();
        for &i in group {
            let table = &self.targets.tables[i];
            let staged_here = self.targets.staged(i);
            let end = match staged_here {
                true => Vec::new(),
                false => table.line_end(),
            };
            let (rows, presence) = (&batch.rows[i], &looked.presence[i]);
            let lines = absent_lines(rows, presence, staged_here, &end);
            if lines.is_empty() {
                continue;
            }
            let sent = absent_rows(&looked.presence[i]);
            let doing = format!("inserting into {}", table.name);
            if staged_here {
                let columns = table.column_list();
                let name = stage_name(i);
                let sql = format!("delete from {name}");
                self.session.batch("emptying a staging table", &sql).await?;
                copy_in(
                    self.session,
                    &doing,
                    &format!("copy {name} ({}, {columns}) from stdin", number_name(table)),
                    lines,
                )
                .await?;
                staged.push(i);
            } else {
                let sql = format!(
                    "copy {} ({}) from stdin",
                    table.name.sql(),
                    table.inserted_list().0
                );
                let stored = copy_in(self.session, &doing, &sql, lines).await?;
                self.all_stored(table, sent, stored)?;
            }
        }
        if staged.is_empty() {
            return Ok(());
        }
        self.move_staged(number, &staged, batch, looked).await
    }

    /// A row that the server took and did not store was eaten by a trigger.
    fn all_stored(&self, table: &TargetTable, sent: u64, stored: u64) -> Result<(), PgError> {
        match sent == stored {
            true => Ok(()),
            false => Err(PgError::vanished(
                self.session,
                &table.name.to_string(),
                sent,
                stored,
            )),
        }
    }
}

/// Begins a transaction that ends in bounded time, also when this process stands still in the middle of it: then the
/// server ends the session, and with it every lock.
pub(super) fn begin(session: &Session, limit: Duration, usual: Duration) -> String {
    let milliseconds = limit.as_millis();
    // A transaction as short as usual ends before anybody looks for a deadlock. In a longer one we must not be found
    // waiting: the application would be the one to lose.
    let lock = if limit <= usual {
        milliseconds.min(400)
    } else {
        10
    };
    let mut begin = format!(
        "begin isolation level read committed; set local statement_timeout = {milliseconds};
         set local lock_timeout = {lock}; set local idle_in_transaction_session_timeout = {}",
        milliseconds * 2
    );
    if session.server_version() >= 170_000 {
        // Writing to a String cannot fail.
        let _ = write!(
            begin,
            "; set local transaction_timeout = {}",
            milliseconds * 2
        );
    }
    begin
}

fn absent_rows(presence: &[Presence]) -> u64 {
    presence.iter().filter(|p| **p == Presence::Absent).count() as u64
}

/// The rows that live lacks, as COPY data; numbered where they are staged, so that they go in, and come back by
/// RETURNING, in this order. `end` is what follows each.
fn absent_lines(rows: &[BatchRow], presence: &[Presence], numbered: bool, end: &[u8]) -> Bytes {
    let mut data = BytesMut::new();
    let absent = rows
        .iter()
        .zip(presence)
        .filter(|(_, p)| **p == Presence::Absent);
    for (n, (row, _)) in absent.enumerate() {
        if numbered {
            data.extend_from_slice(n.to_string().as_bytes());
            if !row.line.is_empty() {
                data.put_u8(b'\t');
            }
        }
        data.extend_from_slice(&row.line);
        data.extend_from_slice(end);
        data.put_u8(b'\n');
    }
    data.freeze()
}
