//! Plans marks, and writes them.

use std::path::Path;

use serde_json::Value;

use crate::catalog::{Schema, introspect};
use crate::journal::{NewRun, RunEvent, RunLock, Store, ensure_flags, flags_exist};
use crate::pg::Session;

use super::table::{self, Told};
use super::{FlagError, Mark, Marks, Notices, Step, records};

/// How many marks are at work at the same time.
const CHUNK: usize = 500;

/// What the operator does about marks besides, in SQL over the list `flag`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorSql {
    /// For new marks.
    pub flag: Option<String>,
    /// For marks that go.
    pub unflag: Option<String>,
}

/// What was done, or would be.
#[derive(Debug, Default)]
pub struct Flagged {
    /// Records and files that are marked now, and were not.
    pub flagged: u64,
    /// That were marked already.
    pub already_flagged: u64,
    /// Whose mark is taken off: the file has turned up.
    pub unflagged: u64,
    /// Whose record live does not have.
    pub absent: u64,
    /// What the first mark tells, by audience; and of which record and file.
    pub example: Option<Told>,
}

/// Marks of one database.
pub struct Flags<'a> {
    session: &'a Session,
    schema: Schema,
    notices: &'a Notices,
    sql: &'a OperatorSql,
    /// Whether there is a table of marks.
    there: bool,
}

impl<'a> Flags<'a> {
    /// Of the database that `session` is connected to.
    pub async fn open(
        session: &'a Session,
        notices: &'a Notices,
        sql: &'a OperatorSql,
    ) -> Result<Self, FlagError> {
        Ok(Self {
            schema: introspect(session).await?,
            there: flags_exist(session).await?,
            session,
            notices,
            sql,
        })
    }

    /// What marking as `blobs.jsonl` says would do. Every notice is rendered.
    pub async fn plan(&self, path: &Path) -> Result<Flagged, FlagError> {
        let mut plan = Flagged::default();
        let mut steps = Marks::read(path)?;
        while let Some(Chunk { flag, unflag }) = chunk(&mut steps)? {
            let told = self.told(flag, &mut plan).await?;
            let marks: Vec<Mark> = told.iter().map(|(m, _)| m.clone()).collect();
            if self.there {
                plan.unflagged += table::marked(self.session, &unflag).await?;
                plan.already_flagged += table::marked(self.session, &marks).await?;
            }
            plan.flagged += marks.len() as u64;
            plan.example = plan.example.or_else(|| told.into_iter().next());
        }
        plan.flagged -= plan.already_flagged;
        Ok(plan)
    }

    /// Marks as `blobs.jsonl` says; the run is recorded in the journal.
    pub async fn carry_out(&mut self, path: &Path, new: &NewRun) -> Result<Flagged, FlagError> {
        // Whatever a template says of a record is known before anything is written.
        self.plan(path).await?;
        self.begin(new).await?;
        let mut done = Flagged::default();
        let mut steps = Marks::read(path)?;
        while let Some(Chunk { flag, unflag }) = chunk(&mut steps)? {
            let told = self.told(flag, &mut done).await?;
            let written = self.transaction(async || {
                let off = table::unmark(self.session, &unflag, self.sql.unflag.as_deref()).await?;
                let new = table::mark(self.session, &told, self.sql.flag.as_deref()).await?;
                Ok((off, new))
            });
            let (off, new) = written.await?;
            done.unflagged += off;
            done.flagged += new;
            done.already_flagged += told.len() as u64 - new;
            done.example = done.example.or_else(|| told.into_iter().next());
        }
        self.end(new).await?;
        Ok(done)
    }

    /// How many marks there are.
    pub async fn count(&self) -> Result<u64, FlagError> {
        match self.there {
            true => Ok(table::count(self.session).await?),
            false => Ok(0),
        }
    }

    /// Takes all marks off; how many they were.
    pub async fn unflag(&mut self, new: &NewRun) -> Result<u64, FlagError> {
        self.begin(new).await?;
        let off = self.transaction(async || {
            table::unmark_all(self.session, self.sql.unflag.as_deref()).await
        });
        let off = off.await?;
        self.end(new).await?;
        Ok(off)
    }

    async fn begin(&mut self, new: &NewRun) -> Result<(), FlagError> {
        ensure_flags(self.session).await?;
        RunLock::take(self.session, true).await?;
        let store = Store::new(self.session);
        store.give_up("flag").await?;
        store.begin(new).await?;
        self.there = true;
        Ok(())
    }

    async fn end(&self, new: &NewRun) -> Result<(), FlagError> {
        let event = RunEvent::Finish { left_out: false };
        Store::new(self.session).record(&new.run, event).await?;
        Ok(())
    }

    async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, FlagError>,
    ) -> Result<T, FlagError> {
        self.session.batch("beginning to mark", "begin").await?;
        match work().await {
            Ok(done) => {
                self.session.batch("committing marks", "commit").await?;
                Ok(done)
            }
            Err(e) => {
                // A session that is gone has rolled back by itself.
                let _ = self.session.batch("rolling back", "rollback").await;
                Err(e)
            }
        }
    }

    /// What people are told of the marks whose records live has.
    async fn told(&self, marks: Vec<Mark>, sum: &mut Flagged) -> Result<Vec<Told>, FlagError> {
        let records: Vec<Option<Value>> = records::read(self.session, &self.schema, &marks).await?;
        let mut told = Vec::with_capacity(marks.len());
        for (mark, record) in marks.into_iter().zip(records) {
            match record {
                None => sum.absent += 1,
                Some(record) => {
                    let notice = self.notices.render(&mark, &record)?;
                    told.push((mark, notice));
                }
            }
        }
        Ok(told)
    }
}

/// Marks at work at the same time.
#[derive(Default)]
struct Chunk {
    flag: Vec<Mark>,
    unflag: Vec<Mark>,
}

/// The next marks, to be written and to be taken off; none at the end.
fn chunk(
    steps: &mut impl Iterator<Item = Result<Step, FlagError>>,
) -> Result<Option<Chunk>, FlagError> {
    let mut chunk = Chunk::default();
    for step in steps.take(CHUNK) {
        match step? {
            Step::Flag(mark) => chunk.flag.push(mark),
            Step::Unflag(mark) => chunk.unflag.push(mark),
        }
    }
    let any = !chunk.flag.is_empty() || !chunk.unflag.is_empty();
    Ok(any.then_some(chunk))
}
