//! Creates large objects, in the transaction of the rows that point at them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::insert::Inserter;
use super::look::Coming;
use crate::bundle::{
    BundleError, LargeObjectContent, LargeObjectPrivilege, LargeObjects, Ownership,
};
use crate::catalog::PIECE;
use crate::ident::quote_ident;
use crate::journal::{CreatedObject, CreatedObjects};
use crate::pg::{PgError, Session};
use crate::restore::Batch;

const CREATING: &str = "creating large objects";

/// Why objects could not be created.
#[derive(Debug, thiserror::Error)]
pub(in crate::restore) enum NotPut {
    /// The server refused, or went away.
    #[error(transparent)]
    Refused(#[from] PgError),
    /// A file of the bundle cannot be read.
    #[error(transparent)]
    Damaged(#[from] BundleError),
}

/// Bytes, and objects, that one statement creates.
const BYTES_A_STATEMENT: usize = 1 << 20;
const OBJECTS_A_STATEMENT: usize = 500;

impl Inserter<'_> {
    /// Creates the objects that live lacks; false when it took too long.
    pub(in crate::restore) async fn put_objects(
        &self,
        coming: &[Coming],
        (started, limit): (Instant, Duration),
    ) -> Result<bool, NotPut> {
        let Some(objects) = self.targets.objects.as_ref().filter(|_| !coming.is_empty()) else {
            return Ok(true);
        };
        let mut by_owner: BTreeMap<&str, Vec<&Coming>> = BTreeMap::new();
        for one in coming {
            by_owner
                .entry(&one.object.owner.owner)
                .or_default()
                .push(one);
        }
        for (owner, mut of_owner) in by_owner {
            of_owner.sort_by_key(|c| c.object.place());
            let other = owner != self.session.target().role;
            if other {
                let sql = format!("set local role {}", quote_ident(owner));
                self.session.batch(CREATING, &sql).await?;
            }
            let mut putting = Putting::new(self.session, objects);
            for one in of_owner {
                putting.put(one, || started.elapsed() > limit).await?;
                if started.elapsed() > limit {
                    return Ok(false);
                }
            }
            putting.flush().await?;
            self.grant(coming, owner).await?;
            if other {
                self.session.batch(CREATING, "reset role").await?;
            }
        }
        Ok(true)
    }

    /// Gives back the rights that others had, to those of them that live has.
    async fn grant(&self, coming: &[Coming], owner: &str) -> Result<(), PgError> {
        let mut of_owner = coming.iter().filter(|c| c.object.owner.owner == owner);
        let roles = of_owner.clone().flat_map(|c| &c.object.owner.grants);
        let roles: BTreeSet<&str> = roles.filter_map(|g| g.to.as_deref()).collect();
        if of_owner.all(|c| c.object.owner.grants.is_empty()) {
            return Ok(());
        }
        let roles: Vec<&str> = roles.into_iter().collect();
        let sql = "select rolname::text from pg_roles where rolname = any ($1::text[])";
        let rows = self
            .session
            .query("looking at roles", sql, &[&roles])
            .await?;
        let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let of_owner = coming.iter().filter(|c| c.object.owner.owner == owner);
        let statements: Vec<String> = of_owner
            .flat_map(|c| grants(c.object.loid, &c.object.owner, &there))
            .collect();
        self.session
            .batch("granting rights on large objects", &statements.join("; "))
            .await
    }

    /// Journals the objects that were created, as they are now.
    pub(in crate::restore) async fn journal_objects(
        &self,
        number: i64,
        batch: &Batch,
        coming: &[Coming],
    ) -> Result<(), PgError> {
        let created = |c: &Coming| CreatedObject {
            unit: batch.number(c.unit),
            loid: c.object.loid,
            size: c.object.size,
            pieces_sha256: c.object.pieces_sha256,
            owner: c.object.owner.owner.clone(),
        };
        let created: Vec<CreatedObject> = coming.iter().map(created).collect();
        CreatedObjects::new(self.session)
            .record(self.run, number, &created)
            .await
    }
}

fn grants(loid: u32, owner: &Ownership, there: &BTreeSet<String>) -> Vec<String> {
    let known = owner
        .grants
        .iter()
        .filter(|g| g.to.as_ref().is_none_or(|to| there.contains(to)));
    known
        .map(|grant| {
            let privilege = match grant.privilege {
                LargeObjectPrivilege::Select => "select",
                LargeObjectPrivilege::Update => "update",
            };
            let to = grant
                .to
                .as_deref()
                .map_or_else(|| "public".to_owned(), quote_ident);
            format!("grant {privilege} on large object {loid} to {to}")
        })
        .collect()
}

/// Small objects are created many at once, others piece by piece.
struct Putting<'a> {
    session: &'a Session,
    content: LargeObjectContent,
    loids: Vec<u32>,
    data: Vec<Vec<u8>>,
    bytes: usize,
}

impl<'a> Putting<'a> {
    fn new(session: &'a Session, objects: &LargeObjects) -> Self {
        Self {
            session,
            content: objects.content(),
            loids: Vec::new(),
            data: Vec::new(),
            bytes: 0,
        }
    }

    /// Creates one, or keeps it for the next statement. It stops in the middle where it is `late`.
    async fn put(&mut self, coming: &Coming, late: impl Fn() -> bool) -> Result<(), NotPut> {
        let object = &coming.object;
        self.content.begin(object)?;
        let first = self.content.piece(object, 0)?;
        self.loids.push(object.loid);
        self.bytes += first.len();
        self.data.push(first);
        if self.bytes >= BYTES_A_STATEMENT
            || self.loids.len() >= OBJECTS_A_STATEMENT
            || object.size >= PIECE
        {
            self.flush().await?;
        }
        let mut start = PIECE;
        while start <= object.size {
            if late() {
                return Ok(());
            }
            let piece = self.content.piece(object, start)?;
            let at = i64::try_from(start).unwrap_or(i64::MAX);
            let sql = "select lo_put($1::oid, $2::int8, $3::bytea)";
            self.session
                .query(CREATING, sql, &[&object.loid, &at, &piece])
                .await?;
            start += PIECE;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), PgError> {
        if self.loids.is_empty() {
            return Ok(());
        }
        let sql = "select lo_from_bytea(o, d) from unnest($1::oid[], $2::bytea[]) u(o, d)";
        self.session
            .query(CREATING, sql, &[&self.loids, &self.data])
            .await?;
        self.loids.clear();
        self.data.clear();
        self.bytes = 0;
        Ok(())
    }
}
