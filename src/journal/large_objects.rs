//! Large objects that restores created, a row of `reinstate.large_object` each, and what became of them when a restore was taken back,
//! a row of `reinstate.large_object_undone` each; both written in the transaction that did it.

use std::collections::BTreeMap;

use crate::ident::{RunId, UnitId, quote_literal};
use crate::pg::{PgError, Row, Session};

const READING: &str = "reading the journal";

/// An object that a batch created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedObject {
    /// The unit that brought it, or the part of one, as the journal numbers it.
    pub unit: UnitId,
    /// Its number.
    pub loid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the SHA-256 of its pieces.
    pub pieces_sha256: [u8; 32],
    /// Whose it was made.
    pub owner: String,
}

/// Where the journal has an object: run, batch, number.
pub type ObjectPlace = (String, i64, i64);

/// An object that the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedObject {
    /// Where.
    pub of: ObjectPlace,
    /// It.
    pub object: CreatedObject,
    /// The `xmin` of its row in `pg_largeobject_metadata` when it was created.
    pub xmin: u32,
}

/// Reads and writes them.
pub struct CreatedObjects<'a> {
    session: &'a Session,
}

impl<'a> CreatedObjects<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// Records objects that a batch has just created, in its transaction.
    ///
    /// Errors: as rows that vanished, where one is not there.
    pub async fn record(
        &self,
        run: &RunId,
        batch: i64,
        created: &[CreatedObject],
    ) -> Result<(), PgError> {
        if created.is_empty() {
            return Ok(());
        }
        let units: Vec<i64> = created.iter().map(|c| signed(c.unit)).collect();
        let loids: Vec<u32> = created.iter().map(|c| c.loid).collect();
        let sizes: Vec<i64> = created.iter().map(|c| signed(c.size)).collect();
        let digests: Vec<&[u8]> = created.iter().map(|c| c.pieces_sha256.as_slice()).collect();
        let owners: Vec<&str> = created.iter().map(|c| c.owner.as_str()).collect();
        let sql = format!(
            "insert into reinstate.large_object (run, batch, n, unit, loid, size, pieces_sha256, owner, written_by)
             select {}, {batch}, k.n, k.unit, k.loid, k.size, encode(k.digest, 'hex'), k.owner, m.xmin::text::int8
               from unnest($1::int8[], $2::oid[], $3::int8[], $4::bytea[], $5::text[])
                    with ordinality as k(unit, loid, size, digest, owner, n)
               join pg_largeobject_metadata m on m.oid = k.loid",
            quote_literal(&run.0)
        );
        let written = self
            .session
            .execute(
                "journalling large objects",
                &sql,
                &[&units, &loids, &sizes, &digests, &owners],
            )
            .await?;
        let sent = created.len() as u64;
        match written == sent {
            true => Ok(()),
            false => Err(PgError::vanished(
                self.session,
                "pg_largeobject_metadata",
                sent,
                written,
            )),
        }
    }

    /// Objects that restores of a bundle created and no undo has removed or found gone, by the number by which rows have them; the
    /// last to create one counts.
    pub async fn standing(&self, bundle: &str) -> Result<Vec<RecordedObject>, PgError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql = "select distinct on (l.loid) l.run, l.batch, l.n, l.unit, l.loid, l.size, decode(l.pieces_sha256, 'hex'), l.owner,
                          l.written_by
                     from reinstate.large_object l join reinstate.run r using (run)
                    where r.bundle = $1
                      and not exists (select from reinstate.large_object_undone u
                                       where (u.of_run, u.of_batch, u.of_n) = (l.run, l.batch, l.n)
                                         and u.state in ('removed', 'already_gone'))
                    order by l.loid, r.started desc, l.run desc, l.batch desc";
        let rows = self.session.ask(READING, sql, &[bundle]).await?;
        Ok(rows.iter().map(recorded).collect())
    }

    /// What an undo has dealt with.
    pub async fn dealt_with(&self, undo: &RunId) -> Result<Vec<ObjectPlace>, PgError> {
        if !self.recorded().await? {
            return Ok(Vec::new());
        }
        let sql = "select of_run, of_batch, of_n from reinstate.large_object_undone where run = $1";
        let rows = self.session.ask(READING, sql, &[&undo.0]).await?;
        Ok(rows
            .iter()
            .map(|r| (r.get(0), r.get(1), r.get(2)))
            .collect())
    }

    /// Records what became of objects, in the transaction that did it.
    pub async fn record_undone(
        &self,
        run: &RunId,
        batch: i64,
        objects: &[(ObjectPlace, &str)],
    ) -> Result<(), PgError> {
        let runs: Vec<&str> = objects.iter().map(|(of, _)| of.0.as_str()).collect();
        let batches: Vec<i64> = objects.iter().map(|(of, _)| of.1).collect();
        let numbers: Vec<i64> = objects.iter().map(|(of, _)| of.2).collect();
        let states: Vec<&str> = objects.iter().map(|(_, state)| *state).collect();
        let sql = format!(
            "insert into reinstate.large_object_undone (run, batch, n, of_run, of_batch, of_n, state)
             select {}, {batch}, k.n, k.of_run, k.of_batch, k.of_n, k.state
               from unnest($1::text[], $2::int8[], $3::int8[], $4::text[]) with ordinality as k(of_run, of_batch, of_n, state, n)",
            quote_literal(&run.0)
        );
        let params: &[&(dyn crate::pg::ToSql + Sync)] = &[&runs, &batches, &numbers, &states];
        self.session
            .execute("journalling large objects", &sql, params)
            .await?;
        Ok(())
    }

    /// How many objects a restore created, and their bytes.
    pub async fn created(&self, run: &RunId) -> Result<(u64, u64), PgError> {
        if !self.recorded().await? {
            return Ok((0, 0));
        }
        let sql = "select count(*), coalesce(sum(size), 0)::int8 from reinstate.large_object where run = $1";
        let rows = self.session.ask(READING, sql, &[&run.0]).await?;
        let of = |i| rows.first().map_or(0, |row| unsigned(row, i));
        Ok((of(0), of(1)))
    }

    /// What an undo did, by state.
    pub async fn totals_undone(&self, undo: &RunId) -> Result<BTreeMap<String, u64>, PgError> {
        if !self.recorded().await? {
            return Ok(BTreeMap::new());
        }
        let sql =
            "select state, count(*) from reinstate.large_object_undone where run = $1 group by 1";
        let rows = self.session.ask(READING, sql, &[&undo.0]).await?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), unsigned(row, 1)))
            .collect())
    }

    async fn recorded(&self) -> Result<bool, PgError> {
        let sql = "select to_regclass('reinstate.large_object') is not null
                      and to_regclass('reinstate.large_object_undone') is not null";
        let rows = self.session.ask(READING, sql, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

fn recorded(row: &Row) -> RecordedObject {
    let digest: Vec<u8> = row.get(6);
    RecordedObject {
        of: (row.get(0), row.get(1), row.get(2)),
        object: CreatedObject {
            unit: unsigned(row, 3),
            loid: row.get(4),
            size: unsigned(row, 5),
            // Another length could only be somebody's own doing; nothing has such a digest then, and the object is kept.
            pieces_sha256: digest.try_into().unwrap_or([0; 32]),
            owner: row.get(7),
        },
        xmin: u32::try_from(row.get::<_, i64>(8)).unwrap_or(0),
    }
}

fn unsigned(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
