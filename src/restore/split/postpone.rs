//! References to rows of a circle that are not there yet: left NULL, and noted.

use std::collections::{BTreeMap, HashSet};

use bytes::{BufMut, Bytes, BytesMut};

use super::{Break, Splitting};
use crate::ident::Key;
use crate::pg::copy::{raw_fields, unescape};
use crate::pg::{PgError, Session};
use crate::restore::look::{Looked, Presence};
use crate::restore::{Batch, Targets};

/// References of one table that were left NULL: the table, the columns, the keys of the rows.
pub(in crate::restore) type Left = (usize, Vec<String>, Vec<Key>);

impl Splitting {
    /// Leaves NULL what refers, within a circle, to a row that neither live nor the batch has.
    pub(in crate::restore) async fn postpone(
        &self,
        session: &Session,
        targets: &Targets,
        batch: &mut Batch,
        looked: &Looked,
    ) -> Result<Vec<Left>, PgError> {
        let mut all = Vec::new();
        for broken in self.breaks.iter().filter(|b| self.solid[b.child].is_none()) {
            let waiting = waiting(session, targets, broken, batch, looked).await?;
            let mut keys = Vec::new();
            for n in waiting {
                let row = &mut batch.rows[broken.child][n];
                row.line = without(&row.line, &broken.nullable);
                keys.push(row.key.clone());
            }
            if !keys.is_empty() {
                let columns = broken.nullable.iter().map(|(_, c)| c.clone());
                all.push((broken.child, columns.collect(), keys));
            }
        }
        Ok(all)
    }
}

/// The absent rows, by place, whose parent is nowhere.
async fn waiting(
    session: &Session,
    targets: &Targets,
    broken: &Break,
    batch: &Batch,
    looked: &Looked,
) -> Result<Vec<usize>, PgError> {
    let absent = |table: usize| {
        let rows = batch.rows[table].iter().zip(&looked.presence[table]);
        rows.enumerate()
            .filter(|(_, (_, presence))| **presence == Presence::Absent)
            .map(|(n, (row, _))| (n, row))
    };
    let here: HashSet<Key> = absent(broken.parent)
        .filter_map(|(_, row)| values(&row.line, &broken.parent_places))
        .collect();
    let mut asked: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (n, row) in absent(broken.child) {
        let referred = values(&row.line, &broken.places);
        if let Some(key) = referred.filter(|key| !here.contains(key)) {
            asked.entry(key).or_default().push(n);
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let parent = &targets.tables[broken.parent];
    let sql = format!(
        "select k.n from {} where exists (select from {} p where {})",
        broken.parent_locator.list(asked.keys()),
        parent.live.from_sql(),
        broken.parent_locator.matches("p"),
    );
    let doing = format!("looking for rows of {}", parent.name);
    let there: HashSet<usize> = session
        .ask(&doing, &sql, &[])
        .await?
        .iter()
        .filter_map(|row| usize::try_from(row.get::<_, i64>(0)).ok())
        .collect();
    let missing = asked.into_values().enumerate();
    let missing = missing.filter(|(n, _)| !there.contains(&(n + 1)));
    Ok(missing.flat_map(|(_, rows)| rows).collect())
}

/// Fields of a line; none where one is NULL.
pub(super) fn values(line: &Bytes, places: &[usize]) -> Option<Key> {
    let fields: Vec<&[u8]> = raw_fields(line).collect();
    let value = |place: &usize| fields.get(*place).and_then(|field| unescape(field));
    places
        .iter()
        .map(value)
        .collect::<Option<Vec<_>>>()
        .map(Key)
}

/// The line with NULL in some fields.
fn without(line: &Bytes, nullable: &[(usize, String)]) -> Bytes {
    let mut out = BytesMut::with_capacity(line.len());
    for (place, field) in raw_fields(line).enumerate() {
        if place > 0 {
            out.put_u8(b'\t');
        }
        match nullable.iter().any(|(p, _)| *p == place) {
            true => out.put_slice(b"\\N"),
            false => out.put_slice(field),
        }
    }
    out.freeze()
}
