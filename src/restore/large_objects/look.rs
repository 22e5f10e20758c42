//! What live has of the large objects that rows point at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bundle::{LargeObject, LargeObjects};
use crate::catalog::{pieces_sql, readable_sql};
use crate::pg::copy::raw_fields;
use crate::pg::{PgError, Session};
use crate::restore::look::{Conflict, Looked, Presence};
use crate::restore::{Batch, TargetTable, Targets};

/// What live has under the number of a large object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    /// Nothing.
    Absent,
    /// The same content.
    Same,
    /// Other content.
    Other,
    /// Something that this role may not read.
    Unreadable,
}

/// An object that live lacks, and who brings it.
#[derive(Debug, Clone)]
pub(in crate::restore) struct Coming {
    pub(in crate::restore) object: LargeObject,
    /// Position of the unit in the batch.
    pub(in crate::restore) unit: usize,
}

/// What was found of the objects of a batch.
#[derive(Debug, Default)]
pub(in crate::restore) struct Found {
    /// To be created, by number.
    pub(in crate::restore) coming: Vec<Coming>,
    /// There as they were.
    pub(in crate::restore) present: BTreeSet<u32>,
    pub(in crate::restore) conflicts: Vec<Conflict>,
}

/// The objects of the bundle that a line of it points at.
pub(in crate::restore) fn pointed_at<'b>(
    objects: &'b LargeObjects,
    table: &TargetTable,
    stored: &[u8],
) -> Vec<&'b LargeObject> {
    let object = |field: &[u8]| {
        let loid = std::str::from_utf8(field).ok()?.parse().ok()?;
        objects.get(loid)
    };
    let fields = raw_fields(stored).enumerate();
    let fields = fields.filter(|(n, _)| table.object_fields.contains(n));
    fields.filter_map(|(_, field)| object(field)).collect()
}

/// Looks at the objects that the rows of a batch point at which go in, or are there as they were.
pub(in crate::restore) async fn look(
    session: &Session,
    targets: &Targets,
    batch: &Batch,
    looked: &Looked,
) -> Result<Found, PgError> {
    let mut found = Found::default();
    let Some(objects) = &targets.objects else {
        return Ok(found);
    };
    // Who points at each: units by position, each with the table of a row.
    let mut wanted: BTreeMap<u32, (&LargeObject, BTreeMap<usize, usize>)> = BTreeMap::new();
    for (place, table) in targets.tables.iter().enumerate() {
        if table.object_fields.is_empty() {
            continue;
        }
        let rows = batch.rows[place].iter().zip(&looked.presence[place]);
        for (row, _) in rows.filter(|(_, presence)| **presence != Presence::Other) {
            for object in pointed_at(objects, table, &row.stored) {
                let entry = wanted
                    .entry(object.loid)
                    .or_insert((object, BTreeMap::new()));
                entry.1.entry(row.unit).or_insert(place);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(found);
    }
    let all: Vec<&LargeObject> = wanted.values().map(|(object, _)| *object).collect();
    let states = states(session, &all).await?;
    let absent = |o: &&LargeObject| states.get(&o.loid) == Some(&ObjectState::Absent);
    let absent: Vec<&LargeObject> = all.iter().copied().filter(absent).collect();
    let owners = owners(session, &absent).await?;
    for (loid, (object, units)) in &wanted {
        let reason = match states.get(loid).copied().unwrap_or(ObjectState::Unreadable) {
            ObjectState::Same => {
                found.present.insert(*loid);
                continue;
            }
            ObjectState::Absent => match owners.get(object.owner.owner.as_str()) {
                Some(Some(reason)) => (format!("large object {loid} {reason}"), "42501"),
                _ => {
                    let unit = units.keys().next().copied().unwrap_or_default();
                    let object = (*object).clone();
                    found.coming.push(Coming { object, unit });
                    continue;
                }
            },
            ObjectState::Other => (other(session, object).await?, "42710"),
            ObjectState::Unreadable => (
                format!(
                    "large object {loid}, which it points at, is in live, and role {} may not read it, so nobody knows whether it is \
                     the one of the backup: GRANT SELECT ON LARGE OBJECT {loid} TO {0}",
                    session.target().role
                ),
                "42501",
            ),
        };
        found
            .conflicts
            .extend(units.iter().map(|(unit, table)| Conflict {
                unit: *unit,
                table: targets.tables[*table].name.clone(),
                reason: reason.0.clone(),
                missing_parent: false,
                sqlstate: reason.1,
                row: None,
                sides: None,
            }));
    }
    Ok(found)
}

/// What live has under the number of each, in their order. One statement; the server hashes what it has, piece by piece.
///
/// Errors: the server's, where an object goes while it is read.
pub async fn states(
    session: &Session,
    objects: &[&LargeObject],
) -> Result<BTreeMap<u32, ObjectState>, PgError> {
    let loids: Vec<u32> = objects.iter().map(|o| o.loid).collect();
    let sizes = objects
        .iter()
        .map(|o| i64::try_from(o.size).unwrap_or(i64::MAX));
    let sizes: Vec<i64> = sizes.collect();
    let sql = format!(
        "select m.oid, r.readable, case when r.readable then {} end
           from unnest($1::oid[], $2::int8[]) as k(oid, size) join pg_largeobject_metadata m on m.oid = k.oid
          cross join lateral (select {} as readable offset 0) r",
        pieces_sql("m.oid", "k.size"),
        readable_sql(),
    );
    let mut states: BTreeMap<u32, ObjectState> = loids
        .iter()
        .map(|loid| (*loid, ObjectState::Absent))
        .collect();
    let wanted: HashMap<u32, &LargeObject> = objects.iter().map(|o| (o.loid, *o)).collect();
    let doing = "looking at large objects";
    for row in session.query(doing, &sql, &[&loids, &sizes]).await? {
        let loid: u32 = row.get(0);
        let digest: Option<Vec<u8>> = row.get(2);
        let as_it_was = wanted.get(&loid).map(|o| o.pieces_sha256.as_slice());
        let state = match digest {
            _ if !row.get::<_, bool>(1) => ObjectState::Unreadable,
            digest if digest.as_deref() == as_it_was => ObjectState::Same,
            _ => ObjectState::Other,
        };
        states.insert(loid, state);
    }
    Ok(states)
}

/// Why objects of an owner cannot be created as that owner's, by owner; none where they can.
async fn owners(
    session: &Session,
    objects: &[&LargeObject],
) -> Result<HashMap<String, Option<String>>, PgError> {
    let names: BTreeSet<&str> = objects.iter().map(|o| o.owner.owner.as_str()).collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<&str> = names.into_iter().collect();
    let may = match session.server_version() {
        160_000.. => "SET",
        _ => "MEMBER",
    };
    let sql = format!(
        "select k.name, r.oid is not null, coalesce(pg_has_role(r.oid, '{may}'), false)
           from unnest($1::text[]) k(name) left join pg_roles r on r.rolname = k.name"
    );
    let rows = session
        .query("looking at owners of large objects", &sql, &[&names])
        .await?;
    let role = &session.target().role;
    let why = |row: &crate::pg::Row| {
        let owner: String = row.get(0);
        let reason = match (row.get(1), row.get(2)) {
            (_, true) => None,
            (false, _) => Some(format!(
                "belonged to role {owner}, which live has not: create that role, or give the object to one that live has, in the \
                 snapshot (ALTER LARGE OBJECT … OWNER TO), and extract again"
            )),
            (true, _) => Some(format!(
                "belonged to role {owner}, to which role {role} may not give it: GRANT {owner} TO {role}"
            )),
        };
        (owner, reason)
    };
    Ok(rows.iter().map(why).collect())
}

/// How an object of live differs, for people.
async fn other(session: &Session, object: &LargeObject) -> Result<String, PgError> {
    let loid = object.loid.to_string();
    // Descriptors end with the transaction, and are closed before that.
    let sql = "select o.size, lo_close(o.fd) from (select d.fd, lo_lseek64(d.fd, 0, 2) as size
                 from (select lo_open($1::oid, 262144) as fd offset 0) d offset 0) o";
    let rows = session
        .ask("looking at a large object", sql, &[&loid])
        .await?;
    let size = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    Ok(format!(
        "large object {loid}, which it points at, is another one in live: {size} bytes there, {} in the bundle{}",
        object.size,
        match u64::try_from(size) == Ok(object.size) {
            true => ", and their SHA-256 differ",
            false => "",
        }
    ))
}
