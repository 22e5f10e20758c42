//! Large objects come back with the rows that point at them.
//!
//! - Which: those that the bundle holds and that a row going in, or there already as it was, points at. What an excluded, skipped or
//!   remapped row pointed at does not come. A unit, or part of one, brings its objects in its own transaction, before its rows; where
//!   several point at one, whoever comes first brings it and the others find it.
//! - Under the same number (OID), for the rows have it; by `lo_from_bytea` and `lo_put`, in pieces, so that no object is ever in memory
//!   whole. As the owner that it had, in whose role it is created, and with the rights that others had on it, as far as live has them.
//! - One that live has with the same content is left as it is. Another content under the number, content that this role may not read,
//!   and an owner to whom it may not give the object, are conflicts: the unit is left out with the reason, and the plan foresees it.
//! - The journal has each that was created, with its `xmin` and its content's digest: `undo` removes what is still that, and what
//!   nothing points at any more.
//!
//! Where the bundle has no large objects nothing is asked and nothing is done.

mod look;
mod put;

pub(super) use look::{Coming, look};
pub use look::{ObjectState, states};
pub(super) use put::NotPut;

use crate::bundle::{LargeObject, UnitRows};
use crate::pg::Session;

use super::Targets;
use look::pointed_at;

/// Bytes of content that take about as long as a row.
const BYTES_A_ROW: u64 = 4096;
/// Bytes of content that take a millisecond, for estimates.
pub(super) const BYTES_A_MILLISECOND: u64 = 50_000;

/// The large objects that a line of the bundle points at.
pub fn objects_of<'b>(targets: &'b Targets, table: usize, line: &[u8]) -> Vec<&'b LargeObject> {
    let table = &targets.tables[table];
    match &targets.objects {
        Some(objects) if !table.object_fields.is_empty() => pointed_at(objects, table, line),
        _ => Vec::new(),
    }
}

/// What the large objects of a unit take, counted in rows: a batch has room for so many.
pub(super) fn weight(targets: &Targets, unit: &UnitRows) -> usize {
    let Some(objects) = &targets.objects else {
        return 0;
    };
    let rows = unit.1.iter();
    let rows = rows.map(|(table, lines)| (&targets.tables[*table], lines));
    let rows = rows.filter(|(table, _)| !table.object_fields.is_empty());
    let rows = rows.flat_map(|(table, lines)| lines.iter().map(move |line| (table, line)));
    let bytes = rows.flat_map(|(table, line)| pointed_at(objects, table, line));
    let weight: u64 = bytes.map(|object| 1 + object.size / BYTES_A_ROW).sum();
    usize::try_from(weight).unwrap_or(usize::MAX)
}

/// What switches to the role that is to own an object, and back, around `sql`.
pub(super) fn as_role(session: &Session, role: &str, sql: &str) -> String {
    match session.target().role == role {
        true => sql.to_owned(),
        false => format!(
            "set local role {}; {sql}; reset role",
            crate::ident::quote_ident(role)
        ),
    }
}
