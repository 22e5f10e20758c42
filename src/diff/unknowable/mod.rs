//! What no comparison can tell, and how much of it there can be: rows born after the backup and deleted since, which
//! are in neither database, and edits that people made between backup and deletion.
//!
//! Guarantees: a number given as a bound is one, under the assumptions printed with it; where there is none, that is
//! said. Costs a statement or two a table, over an index, and one pass over the children of each relation that live
//! itself does not enforce. Refused rights and time limits cost the answer, not the comparison.

mod bound;
mod dangling;
mod sequences;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{Comparable, Relation, Schema, merge_relations};
use crate::ident::{Key, TableName};
use crate::pg::PgError;

use super::{DiffError, Sides};

/// What cannot be known. A wire format, in `diff.json`, `plan.json`, `certificate.json` and the bundle's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknowable {
    /// When the backup was taken, RFC 3339, where known: what happened from then on is spoken of.
    #[serde(default)]
    pub since: Option<String>,
    /// Rows that came after the backup and are gone, by table.
    #[serde(default)]
    pub born_and_gone: Vec<BornAndGone>,
    /// References in live that point at nothing, by relation that live does not enforce.
    #[serde(default)]
    pub dangling: Vec<Dangling>,
    /// Rows whose content in the backup may not be their last, by table; tables without such rows left out.
    #[serde(default)]
    pub may_be_stale: Vec<MayBeStale>,
}

/// What every bound assumes of its sequence: one that was set back, and stands where the backup's did or beyond it,
/// shows nothing of what it handed out before.
pub const NEVER_SET_BACK: &str = "the sequence was never set back";

/// Rows of a table that were born after the backup and deleted since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BornAndGone {
    /// Table, as `schema.table`.
    pub table: String,
    /// No more than this many, of the rows whose number came from the sequence after `after`. None: no bound, see
    /// `reason`.
    pub at_most: Option<u64>,
    /// What must be true for the bound to be one: [`NEVER_SET_BACK`]. None where there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumes: Option<String>,
    /// The column that is numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Where its numbers come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// The last number in the backup; none where it has no row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Rows of live that the backup lacks and whose numbers are not after `after`: drawn before the backup and committed
    /// later, written by hand, or the sequence was set back and has come this far again. Rows that went the same way
    /// are not within the bound.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub numbered_earlier: u64,
    /// Why there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Distinct values by which live's rows refer to rows that live lacks, along one relation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dangling {
    /// The columns that refer, as `schema.table(column)`.
    pub from: String,
    /// What they refer to.
    pub to: String,
    /// Polymorphic: only rows with these values were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<(String, String)>,
    /// Values whose row the backup has: it was deleted, and can come back.
    pub in_snapshot: u64,
    /// Values whose row is in neither database, and that no row of the backup names: born since and gone.
    pub in_neither: u64,
    /// Values whose row is in neither database, and that a row of the backup names as well: gone before the backup.
    pub before: u64,
    /// A few of the first kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples_in_snapshot: Vec<Key>,
    /// A few of the second kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples_in_neither: Vec<Key>,
    /// Why the relation could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Deleted rows that people may have edited between the backup and their deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayBeStale {
    /// Table, as `schema.table`.
    pub table: String,
    /// Deleted rows.
    pub rows: u64,
    /// Those proved to have been deleted as the backup has them; none, unless evidence says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proven: u64,
}

/// Serde wants a reference.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A table that was compared, with what the comparison counted.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// The table.
    pub table: &'a Comparable,
    /// Rows that only live has.
    pub inserted: u64,
}

/// Looks for the rest in both databases: everything but `since` and `may_be_stale`, which the caller knows. References
/// are followed among the tables compared.
pub async fn unknowable(
    sides: &Sides,
    schemas: (&Schema, &Schema),
    tables: &[Compared<'_>],
    declared: &[Relation],
) -> Result<Unknowable, DiffError> {
    limit(sides, LONGEST).await?;
    let found = look(sides, schemas, tables, declared).await;
    limit(sides, Duration::ZERO).await?;
    found
}

/// How long a statement may wait for a lock: what every reading session begins with.
const LOCK: Duration = Duration::from_secs(5);
/// How long one may take: this is worth less than an undisturbed live, or than a comparison that ends.
const LONGEST: Duration = Duration::from_secs(300);

/// Bounds the statements of the sessions used here; zero is no bound.
async fn limit(sides: &Sides, statement: Duration) -> Result<(), PgError> {
    for session in sides.snapshot.first().iter().chain(&sides.live.first()) {
        session.set_timeouts(LOCK, statement).await?;
    }
    Ok(())
}

async fn look(
    sides: &Sides,
    schemas: (&Schema, &Schema),
    tables: &[Compared<'_>],
    declared: &[Relation],
) -> Result<Unknowable, DiffError> {
    let mut found = Unknowable {
        born_and_gone: sequences::bounds(sides, tables).await?,
        ..Unknowable::default()
    };
    let (snapshot, live) = schemas;
    let of = |name: &TableName| tables.iter().find(|t| t.table.snapshot.name == *name);
    for relation in merge_relations(snapshot, live, declared) {
        let (Some(child), Some(parent)) = (of(&relation.child), of(&relation.parent)) else {
            continue;
        };
        if !relation.enforced_in(live) {
            let pair = (child.table, parent.table);
            found
                .dangling
                .push(dangling::look(sides, &relation, pair).await?);
        }
    }
    Ok(found)
}

impl Unknowable {
    /// Counts deleted rows as possibly stale: all of them, until evidence proves otherwise.
    pub fn may_be_stale<'a>(
        mut self,
        since: Option<String>,
        deleted: impl Iterator<Item = (&'a TableName, u64)>,
    ) -> Self {
        self.since = since;
        let stale = deleted.filter(|(_, rows)| *rows > 0);
        self.may_be_stale = stale
            .map(|(table, rows)| MayBeStale {
                table: table.to_string(),
                rows,
                proven: 0,
            })
            .collect();
        self
    }
}

/// An answer that the server refused to give, as the reason for not having it; a connection that ended stays an error.
fn refused(error: PgError) -> Result<String, PgError> {
    match error {
        PgError::Server(e) => Ok(format!("{} (SQLSTATE {})", e.message, e.sqlstate)),
        other => Err(other),
    }
}
