//! Looks at what live has already: each row of a batch is absent, there with the same content, or there with another;
//! and whether something else is in its way.
//!
//! Rows are compared as the server's COPY writes them, byte by byte, with the settings that the bundle was written
//! under: no hash is involved, and 1.0 is not 1.00.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use crate::bundle::Need;
use crate::ident::{Key, TableName, UnitId, qualified_list};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::conflict::{BothSides, other_content, taken};
use super::target::TargetRelation;
use super::{Batch, BatchRow, TargetTable, Targets};

/// What live has under a row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Absent,
    /// The same content.
    Same,
    /// Other content.
    Other,
}

/// Something in the way of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Position of the unit in the batch.
    pub unit: usize,
    /// Table of the row, or of the parent that is missing.
    pub table: TableName,
    /// What is in the way, for people: keys, no other values.
    pub reason: String,
    /// Whether a parent is missing (rather than a key or unique value taken).
    pub missing_parent: bool,
    /// The server's code for what would have happened.
    pub sqlstate: &'static str,
    /// The row whose key or value is taken: table and place in the batch.
    pub row: Option<(usize, usize)>,
    /// Both rows, where one of live is in the way of one of the bundle.
    pub sides: Option<Box<BothSides>>,
}

/// What a look found.
pub struct Looked {
    /// By table and row of the batch. Rows of a bag are never looked up: [`Presence::Absent`].
    pub presence: Vec<Vec<Presence>>,
    /// Everything in the way.
    pub conflicts: Vec<Conflict>,
}

/// Looks at all rows of a batch. With `lock`, the parents are locked against deletion, in key order and without
/// waiting (SQLSTATE 55P03 when the application holds one).
pub async fn look(
    session: &Session,
    targets: &Targets,
    batch: &Batch,
    lock: bool,
) -> Result<Looked, PgError> {
    let mut conflicts = missing_parents(session, targets, batch, lock).await?;
    let mut presence = Vec::with_capacity(targets.tables.len());
    let mut by_its_key = Vec::new();
    for (place, (table, rows)) in targets.tables.iter().zip(&batch.rows).enumerate() {
        let (mut found, others) = if rows.is_empty() || !table.keyed() {
            (vec![Presence::Absent; rows.len()], Vec::new())
        } else {
            by_key(session, table, rows).await?
        };
        for (row, found) in rows.iter().zip(&mut found) {
            if table.kept.holds(row, batch) && (*found == Presence::Other || !table.keyed()) {
                *found = Presence::Same;
            }
        }
        for (n, content) in others {
            if found[n] == Presence::Other {
                by_its_key.push(other_content(table, (place, n), &rows[n], &content));
            }
        }
        presence.push(found);
        if !rows.is_empty() {
            let others = rows.iter().enumerate();
            let others: Vec<(usize, &BatchRow)> = others
                .filter(|(_, row)| !table.kept.holds(row, batch))
                .collect();
            taken(session, (place, table), &others, lock, &mut conflicts).await?;
        }
    }
    conflicts.append(&mut by_its_key);
    Ok(Looked {
        presence,
        conflicts,
    })
}

/// What live has under each key, and the lines of those with other content.
async fn by_key(
    session: &Session,
    table: &TargetTable,
    rows: &[BatchRow],
) -> Result<(Vec<Presence>, Vec<(usize, Bytes)>), PgError> {
    let sql = format!(
        "copy (select k.n, {} from {} join {} t on {}) to stdout",
        qualified_list("t", &table.columns),
        table.locator.list(rows.iter().map(|r| &r.key)),
        table.live.from_sql(),
        table.locator.matches("t"),
    );
    let mut presence = vec![Presence::Absent; rows.len()];
    let mut others = Vec::new();
    let mut lines = CopyLines::start(session, &format!("looking at {}", table.name), &sql).await?;
    while let Some(line) = lines.next().await? {
        let Some((n, content)) = numbered(&line) else {
            continue;
        };
        if let Some(row) = rows.get(n) {
            presence[n] = if content == row.line {
                Presence::Same
            } else {
                others.push((n, content));
                Presence::Other
            };
        }
    }
    Ok((presence, others))
}

/// Position (from 0) and the rest of a line that begins with a position (from 1).
pub(super) fn numbered(line: &Bytes) -> Option<(usize, Bytes)> {
    let tab = line.iter().position(|b| *b == b'\t');
    let number = std::str::from_utf8(&line[..tab.unwrap_or(line.len())]).ok()?;
    let n: usize = number.parse().ok()?;
    let rest = tab.map_or_else(Bytes::new, |t| line.slice(t + 1..));
    Some((n.checked_sub(1)?, rest))
}

/// Parents that live lacks.
async fn missing_parents(
    session: &Session,
    targets: &Targets,
    batch: &Batch,
    lock: bool,
) -> Result<Vec<Conflict>, PgError> {
    // Sorted by relation and key: two runs, or we and the application, then lock in the same order.
    let mut needed: BTreeMap<(usize, &Key), Needed<'_>> = BTreeMap::new();
    let here: HashSet<UnitId> = batch.units.iter().map(|u| u.unit).collect();
    for (position, unit) in batch.units.iter().enumerate() {
        // What another unit of the bundle holds goes in with it here, or went in before; a plan takes that for granted.
        let outside = |need: &&Need| need.unit.is_none_or(|u| lock && !here.contains(&u));
        for need in unit.needs.iter().filter(outside) {
            let at = needed.entry((need.relation, &need.key)).or_default();
            at.units.push(position);
            if !need.identity.is_empty() {
                at.identity = &need.identity;
            }
        }
    }
    let mut by_relation: BTreeMap<usize, Vec<(&Key, &Needed<'_>)>> = BTreeMap::new();
    for ((relation, key), needed) in &needed {
        let keys = by_relation.entry(*relation).or_default();
        keys.push((*key, needed));
    }
    let mut conflicts = Vec::new();
    for (relation, keys) in by_relation {
        let Some(Some(target)) = targets.relations.get(relation) else {
            continue;
        };
        let found = parents(session, target, &keys, lock).await?;
        for (n, (key, needed)) in keys.iter().enumerate() {
            let conflict = match found.get(&n) {
                None => missing(target, key),
                Some(rows) => match stranger(target, key, needed, rows) {
                    Some(conflict) => conflict,
                    None => continue,
                },
            };
            conflicts.extend(needed.units.iter().map(|unit| Conflict {
                unit: *unit,
                ..conflict.clone()
            }));
        }
    }
    Ok(conflicts)
}

/// Who needs a parent, and what it held when the backup was made, as far as the bundle says.
#[derive(Default)]
struct Needed<'b> {
    units: Vec<usize>,
    identity: &'b [Option<String>],
}

/// Live's rows under each key, by position: what they hold in the columns that tell one from another.
type Found = BTreeMap<usize, Vec<Vec<Option<String>>>>;

async fn parents(
    session: &Session,
    target: &TargetRelation,
    keys: &[(&Key, &Needed<'_>)],
    lock: bool,
) -> Result<Found, PgError> {
    let list = target.locator.list(keys.iter().map(|k| k.0));
    let texts = match target.identity {
        Some(_) => target.identity_texts.as_str(),
        None => "array[]::text[]",
    };
    let (doing, last) = if lock {
        let columns = target.locator.columns("t").join(", ");
        let last = format!(" order by {columns} for key share of t nowait");
        ("locking", last)
    } else {
        ("looking for", String::new())
    };
    let sql = format!(
        "select k.n, {texts} from {list} join {} t on {}{last}",
        target.parent_from,
        target.locator.matches("t"),
    );
    let mut found = Found::new();
    let doing = format!("{doing} rows of {}", target.parent);
    for row in session.ask(&doing, &sql, &[]).await? {
        let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
        found.entry(n).or_default().push(row.get(1));
    }
    Ok(found)
}

fn missing(target: &TargetRelation, key: &Key) -> Conflict {
    Conflict {
        unit: 0,
        table: target.parent.clone(),
        reason: format!(
            "{} {key}, which it references, is no longer in live",
            target.parent
        ),
        missing_parent: true,
        sqlstate: "23503",
        row: None,
        sides: None,
    }
}

/// The conflict of a parent that live has, where it is not the row that the bundle's rows belonged to: created again under the
/// same key. A declared relation can have several rows there; one of them is enough.
fn stranger(
    target: &TargetRelation,
    key: &Key,
    needed: &Needed<'_>,
    rows: &[Vec<Option<String>>],
) -> Option<Conflict> {
    let identity = target.identity.as_ref()?;
    let then = needed.identity;
    let now = rows.first()?;
    let differing = identity.differing(then, now)?;
    if rows
        .iter()
        .any(|now| identity.differing(then, now).is_none())
    {
        return None;
    }
    let value = |of: &[Option<String>], place: usize| of.get(place).cloned().flatten();
    let columns: Vec<String> = differing
        .iter()
        .map(|c| identity.columns[*c].0.clone())
        .collect();
    Some(Conflict {
        unit: 0,
        table: target.parent.clone(),
        reason: format!(
            "{} {key}, which it references, is another row in live than in the backup, by {}: created again under the same key",
            target.parent,
            columns.join(", ")
        ),
        missing_parent: false,
        sqlstate: "23503",
        row: None,
        sides: Some(Box::new(BothSides {
            constraint: target.columns.join(", "),
            key: key.clone(),
            live_key: key.clone(),
            bundle: differing.iter().map(|c| value(then, *c)).collect(),
            live: differing.iter().map(|c| value(now, *c)).collect(),
            columns,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_lines() {
        assert_eq!(
            numbered(&Bytes::from_static(b"3\ta\tb")),
            Some((2, Bytes::from_static(b"a\tb")))
        );
        assert_eq!(numbered(&Bytes::from_static(b"1")), Some((0, Bytes::new())));
        assert_eq!(numbered(&Bytes::from_static(b"x")), None);
    }
}
