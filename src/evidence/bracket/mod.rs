//! Bracket: backups from after the snapshot either have a row or lack it.
//!
//! A row of the snapshot that the after-snapshot of time T lacks was deleted before T; one that it has, later. Several
//! after-snapshots narrow that: the first that lacks the row ends its interval, the one before begins it. A key that is
//! missing in one and there again in a later one was created again: the snapshot's row is the one that was deleted first.
//!
//! A row that is there with other content was edited, or deleted and created again under its key. A column that says when
//! a row was created tells which; a key that is handed out only once (from a sequence, a uuid) makes it an edit; where
//! neither helps, nothing is said about that row.
//!
//! Any restored backup will do, physical or logical: rows are compared by key and content.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

mod bag;
mod seen;
mod unseen;

use super::identity::{Telling, creation_column, telling};
use super::{EvidenceError, EvidenceSource, Hear, Interval, SourceKind, Testimony};
use crate::catalog::{Comparable, Locator, Rename, Renames, Schema, compare, introspect};
use crate::diff::{Candidates, contents};
use crate::ident::{Key, TableName, quote_ident};
use crate::pg::{PgError, Session, Target};

use seen::{Notes, Seen, interval};

/// Candidates that are asked for together.
const ROWS_A_QUESTION: usize = 20_000;

/// A backup from after the snapshot.
pub struct After {
    session: Session,
    time: Timestamp,
    /// Its tables against the snapshot's.
    pairs: HashMap<TableName, Comparable>,
    unseen: unseen::Unseen,
}

impl After {
    /// Learns its schema, in live's names as the snapshot's is: it may have either. `time` is the moment whose committed state it
    /// holds.
    pub async fn new(
        session: Session,
        time: Timestamp,
        snapshot: &Schema,
        renames: &[Rename],
    ) -> Result<Self, PgError> {
        let schema = introspect(&session).await?;
        let schema = Renames::of(renames, &schema).apply(schema);
        let (pairs, unseen) = unseen::split(&session, compare(snapshot, &schema)).await?;
        Ok(Self {
            session,
            time,
            pairs,
            unseen,
        })
    }

    /// Whether it has no table in common with the snapshot: another database.
    pub fn is_stranger(&self) -> bool {
        self.unseen.stranger
    }

    /// Host, database and role.
    pub fn target(&self) -> &Target {
        self.session.target()
    }
}

/// The source.
pub struct Bracket {
    snapshot: Session,
    /// By time.
    afters: Vec<After>,
}

impl Bracket {
    /// Puts after-snapshots in order. `snapshot` is a session of its own, for rows to compare with.
    pub fn new(snapshot: Session, mut afters: Vec<After>) -> Self {
        afters.sort_by_key(|a| a.time);
        Self { snapshot, afters }
    }

    fn check_times(&self, period: Interval) -> Result<(), EvidenceError> {
        for after in &self.afters {
            let time = after.time;
            let reason = match period.from {
                Some(from) if time <= from => {
                    format!("it is not later than the snapshot, which is of {from}")
                }
                _ if time > period.to => {
                    format!("that is in the future: live's clock shows {}", period.to)
                }
                _ => continue,
            };
            return Err(EvidenceError::AfterTime { time, reason });
        }
        Ok(())
    }

    async fn all(
        &self,
        candidates: &Candidates,
        period: Interval,
        hear: Hear<'_>,
    ) -> Result<Vec<String>, EvidenceError> {
        self.check_times(period)?;
        let mut notes = Notes::default();
        for table in 0..candidates.tables.len() {
            let nodes: Vec<u32> = (0..candidates.count(table))
                .map(|row| candidates.node(table, row))
                .collect();
            // Equal rows of a table without a key are counted, which takes all of them at once.
            let size = match candidates.tables[table].key.is_empty() {
                true => nodes.len().max(1),
                false => ROWS_A_QUESTION,
            };
            for chunk in nodes.chunks(size) {
                let mut seen: Vec<Vec<Seen>> = Vec::with_capacity(self.afters.len());
                for after in &self.afters {
                    seen.push(self.look(after, candidates, table, chunk).await?);
                }
                for (i, node) in chunk.iter().enumerate() {
                    let row: Vec<(Timestamp, Seen)> = self
                        .afters
                        .iter()
                        .zip(&seen)
                        .map(|(a, s)| (a.time, s[i]))
                        .collect();
                    notes.count(&row);
                    if let Some(interval) = interval(&row, period) {
                        hear(Testimony {
                            node: *node,
                            interval,
                            transaction: None,
                            source: SourceKind::Bracket,
                        });
                    }
                }
            }
            self.note_unseen(candidates, table, nodes.len(), &mut notes);
        }
        Ok(notes.into_text())
    }

    fn note_unseen(&self, candidates: &Candidates, table: usize, rows: usize, notes: &mut Notes) {
        let ours = &candidates.tables[table];
        let name = &ours.snapshot.name;
        for after in self.afters.iter().filter(|_| rows > 0) {
            if let Some(reason) = after.unseen.reason(&after.pairs, name, &ours.key) {
                notes.unseen.push(format!(
                    "the after-snapshot of {} says nothing of {rows} rows of {name}: {reason}",
                    after.time
                ));
            }
        }
    }

    /// What an after-snapshot shows of the candidates of one table.
    async fn look(
        &self,
        after: &After,
        candidates: &Candidates,
        table: usize,
        nodes: &[u32],
    ) -> Result<Vec<Seen>, PgError> {
        let ours = &candidates.tables[table];
        let Some(pair) = after.pairs.get(&ours.snapshot.name) else {
            return Ok(vec![Seen::Unseen; nodes.len()]);
        };
        if ours.key.is_empty() {
            return bag::look(&self.snapshot, &after.session, pair, candidates, nodes).await;
        }
        if ours.key.iter().any(|k| pair.live.column(k).is_none()) {
            return Ok(vec![Seen::Unseen; nodes.len()]);
        }
        let keys: Vec<Key> = nodes.iter().map(|n| candidates.key(*n)).collect();
        let keys: Vec<&Key> = keys.iter().collect();
        let across = Locator::across(&pair.snapshot, &pair.live, &ours.key);
        let hash = pair.hashes("t").row;
        let theirs = contents(&after.session, &pair.live, &across, &hash, &keys).await?;
        let mut seen = vec![Seen::Absent; nodes.len()];
        let there: Vec<usize> = (0..nodes.len())
            .filter(|n| theirs.contains_key(n))
            .collect();
        let own = self.own(pair, &ours.key, &hash, &keys, &there).await?;
        let mut differing = Vec::new();
        for n in there {
            if own.get(&n) == theirs.get(&n) {
                seen[n] = Seen::Present;
            } else {
                differing.push(n);
            }
        }
        self.tell(after, pair, &ours.key, &keys, &differing, &mut seen)
            .await?;
        Ok(seen)
    }

    /// What the snapshot has under the keys at `places`.
    async fn own(
        &self,
        pair: &Comparable,
        key: &[String],
        expression: &str,
        keys: &[&Key],
        places: &[usize],
    ) -> Result<HashMap<usize, i64>, PgError> {
        let some: Vec<&Key> = places.iter().map(|n| keys[*n]).collect();
        let locator = Locator::by_names(&pair.snapshot, key);
        let found = contents(&self.snapshot, &pair.snapshot, &locator, expression, &some).await?;
        Ok(found.into_iter().map(|(n, v)| (places[n], v)).collect())
    }

    /// Rows of other content: the same row, edited, or another one.
    async fn tell(
        &self,
        after: &After,
        pair: &Comparable,
        key: &[String],
        keys: &[&Key],
        differing: &[usize],
        seen: &mut [Seen],
    ) -> Result<(), PgError> {
        let creation = creation_column(&pair.snapshot).filter(|c| {
            pair.live
                .column(&c.name)
                .is_some_and(|o| o.builtin == c.builtin)
        });
        let created = match (telling(&pair.snapshot, key), creation) {
            (Telling::ByCreation, Some(column)) => {
                let c = format!("t.{}", quote_ident(&column.name));
                format!("coalesce(hashtextextended({c}::text, 0), 0)")
            }
            (Telling::SameByKey, _) => {
                differing.iter().for_each(|n| seen[*n] = Seen::Edited);
                return Ok(());
            }
            _ => {
                differing.iter().for_each(|n| seen[*n] = Seen::Unclear);
                return Ok(());
            }
        };
        let some: Vec<&Key> = differing.iter().map(|n| keys[*n]).collect();
        let across = Locator::across(&pair.snapshot, &pair.live, key);
        let theirs = contents(&after.session, &pair.live, &across, &created, &some).await?;
        let own = self.own(pair, key, &created, keys, differing).await?;
        for (i, n) in differing.iter().enumerate() {
            // No time, or none to be had, tells nothing.
            let known = |v: Option<&i64>| v.copied().filter(|v| *v != 0);
            seen[*n] = match (known(theirs.get(&i)), known(own.get(n))) {
                (Some(a), Some(b)) if a == b => Seen::Present,
                (Some(_), Some(_)) => Seen::Another,
                _ => Seen::Unclear,
            };
        }
        Ok(())
    }
}

impl EvidenceSource for Bracket {
    fn kind(&self) -> SourceKind {
        SourceKind::Bracket
    }

    fn testify<'a>(
        &'a mut self,
        candidates: &'a Candidates,
        period: Interval,
        hear: Hear<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, EvidenceError>> {
        Box::pin(self.all(candidates, period, hear))
    }
}
