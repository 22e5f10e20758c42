//! The large objects that rows of the bundle point at, packed after the rows.
//!
//! As rows pass through, the values of their columns of type `oid`, or of a domain over it, are noted; those that are the number of a
//! large object of the snapshot lead to it, and it is read piece by piece. Any other value (a table's `regclass` kept as an `oid`) leads
//! nowhere, and nothing becomes of it. All objects are taken along that rows point at, whether live has them or not: only so can
//! `restore` tell one that is there still from another under the same number. What nothing shows as a pointer is not followed: a number
//! kept as an integer or as text, or in an array.
//!
//! One that this role may not read ends `extract`: rows without their objects would not be what was deleted.

use crate::bundle::{BundleWriter, LargeObjectGrant, LargeObjectPrivilege};
use crate::catalog::{PIECE, Table, readable_sql};
use crate::ident::UnitId;
use crate::pg::copy::raw_fields;
use crate::pg::{PgError, Row, Session};

use super::ExtractError;
use crate::diff::Candidates;

/// Values that one question holds.
const VALUES_A_QUESTION: usize = 10_000;
/// Objects whose first piece is fetched at once.
const OBJECTS_A_FETCH: usize = 16;
/// Objects named that may not be read.
const NAMED: usize = 10;

/// What points at large objects, perhaps.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    /// By candidate table: the fields of its lines.
    fields: Vec<Vec<usize>>,
    /// Each value, and the unit of a row that has it. Twelve bytes each, in pairs of sixteen.
    found: Vec<(u32, UnitId)>,
}

/// An object, seen in the catalog.
struct Seen {
    loid: u32,
    owner: String,
    readable: bool,
}

impl Pointers {
    /// Of the candidates' tables; `line` says which columns a line of one has.
    pub(super) fn new<'c>(
        candidates: &'c Candidates,
        line: impl Fn(usize) -> Vec<&'c str>,
    ) -> Self {
        let fields = |t: usize| {
            let table: &Table = &candidates.tables[t].snapshot;
            let can = |name: &&str| {
                table
                    .column(name)
                    .is_some_and(|c| c.can_point_at_large_object())
            };
            let columns = line(t);
            let places = columns.iter().enumerate();
            places.filter(|(_, c)| can(c)).map(|(n, _)| n).collect()
        };
        Self {
            fields: (0..candidates.tables.len()).map(fields).collect(),
            found: Vec::new(),
        }
    }

    /// Notes what a row of a unit points at.
    pub(super) fn note(&mut self, table: usize, unit: UnitId, line: &[u8]) {
        let Some(fields) = self.fields.get(table).filter(|f| !f.is_empty()) else {
            return;
        };
        for (n, field) in raw_fields(line).enumerate() {
            if fields.contains(&n) {
                let value = std::str::from_utf8(field).ok().and_then(|t| t.parse().ok());
                self.found.extend(value.map(|loid| (loid, unit)));
            }
        }
    }

    /// Writes those that are large objects; returns how many.
    ///
    /// Errors: `LargeObjects` where this role may not read one.
    pub(super) async fn write(
        mut self,
        writer: &mut BundleWriter,
        session: &Session,
    ) -> Result<u64, ExtractError> {
        self.found.sort_unstable();
        self.found.dedup();
        let mut values: Vec<u32> = self.found.iter().map(|(loid, _)| *loid).collect();
        values.dedup();
        let mut there = Vec::new();
        for chunk in values.chunks(VALUES_A_QUESTION) {
            there.extend(seen(session, chunk).await?);
        }
        let refused: Vec<&Seen> = there.iter().filter(|o| !o.readable).collect();
        if !refused.is_empty() {
            return Err(self.refused(session, &refused));
        }
        // In the order of the units, in which they will be read.
        let mut loids: Vec<u32> = there.iter().map(|o| o.loid).collect();
        loids.sort_by_key(|loid| (self.units(*loid).first().map(|(_, unit)| *unit), *loid));
        for chunk in loids.chunks(OBJECTS_A_FETCH) {
            self.fetch(writer, session, chunk).await?;
        }
        Ok(loids.len() as u64)
    }

    /// Who points at an object.
    fn units(&self, loid: u32) -> &[(u32, UnitId)] {
        let from = self.found.partition_point(|(l, _)| *l < loid);
        let to = self.found.partition_point(|(l, _)| *l <= loid);
        &self.found[from..to]
    }

    fn refused(&self, session: &Session, objects: &[&Seen]) -> ExtractError {
        let named = objects.iter().take(NAMED);
        let named = named.map(|o| format!("{} (owner {})", o.loid, o.owner));
        ExtractError::LargeObjects {
            role: session.target().role.clone(),
            objects: named.collect(),
            more: objects.len().saturating_sub(NAMED),
            units: objects.iter().map(|o| self.units(o.loid).len()).sum(),
        }
    }

    async fn fetch(
        &self,
        writer: &mut BundleWriter,
        session: &Session,
        loids: &[u32],
    ) -> Result<(), ExtractError> {
        let sql = format!(
            "select m.oid, pg_get_userbyid(m.lomowner)::text, lo_get(m.oid, 0, {PIECE}),
                    array(select coalesce(r.rolname::text, '') from aclexplode(m.lomacl) x left join pg_roles r on r.oid = x.grantee
                           where x.grantee <> m.lomowner and (x.grantee = 0 or r.oid is not null) order by x.grantee, x.privilege_type),
                    array(select x.privilege_type from aclexplode(m.lomacl) x left join pg_roles r on r.oid = x.grantee
                           where x.grantee <> m.lomowner and (x.grantee = 0 or r.oid is not null) order by x.grantee, x.privilege_type)
               from unnest($1::oid[]) with ordinality as k(oid, n) join pg_largeobject_metadata m on m.oid = k.oid order by k.n"
        );
        let rows = session.query(READING, &sql, &[&loids]).await;
        let rows = rows.map_err(gone)?;
        if rows.len() != loids.len() {
            return Err(ExtractError::LargeObjectsMove);
        }
        for row in rows {
            let (loid, mut piece): (u32, Vec<u8>) = (row.get(0), row.get(2));
            let mut size = piece.len() as u64;
            writer.large_object_piece(loid, &piece)?;
            let sql = format!("select lo_get($1::oid, $2::int8, {PIECE})");
            while piece.len() as u64 == PIECE {
                let start = i64::try_from(size).unwrap_or(i64::MAX);
                let next = session.query_one(READING, &sql, &[&loid, &start]).await;
                piece = next.map_err(gone)?.get(0);
                size += piece.len() as u64;
                writer.large_object_piece(loid, &piece)?;
            }
            let units = self.units(loid).iter().map(|(_, unit)| *unit).collect();
            writer.end_large_object(row.get(1), grants(&row), units)?;
        }
        Ok(())
    }
}

const READING: &str = "reading large objects";

async fn seen(session: &Session, loids: &[u32]) -> Result<Vec<Seen>, PgError> {
    let sql = format!(
        "select m.oid, pg_get_userbyid(m.lomowner)::text, {} from pg_largeobject_metadata m where m.oid = any ($1::oid[])",
        readable_sql()
    );
    let rows = session
        .query("looking for large objects", &sql, &[&loids])
        .await?;
    let seen = |row: &Row| Seen {
        loid: row.get(0),
        owner: row.get(1),
        readable: row.get(2),
    };
    Ok(rows.iter().map(seen).collect())
}

fn grants(row: &Row) -> Vec<LargeObjectGrant> {
    let (to, privileges): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
    let grant = |(to, privilege): (String, String)| {
        Some(LargeObjectGrant {
            to: Some(to).filter(|to| !to.is_empty()),
            privilege: match privilege.as_str() {
                "SELECT" => LargeObjectPrivilege::Select,
                "UPDATE" => LargeObjectPrivilege::Update,
                _ => return None,
            },
        })
    };
    to.into_iter().zip(privileges).filter_map(grant).collect()
}

/// An object that was there a moment ago.
fn gone(error: PgError) -> ExtractError {
    match error.sqlstate() {
        Some("42704") => ExtractError::LargeObjectsMove,
        _ => error.into(),
    }
}
