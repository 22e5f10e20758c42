//! A piece: whole units of one batch of the restore, with the rows that it inserted.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ident::{Key, UnitId, quote_literal};
use crate::journal::RestoredBatch;
use crate::pg::{PgError, Session};

use super::scope::{Scope, UndoTable};

/// A row that the restore inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PieceRow {
    pub(super) unit: UnitId,
    /// Its key, or the place where it was inserted; empty where nobody knows where it is.
    pub(super) key: Key,
    pub(super) xmin: u32,
}

/// Whole units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The restore's batch.
    pub(super) of_batch: i64,
    /// Its units, last first: what depends on another unit comes before it.
    pub(super) units: Vec<UnitId>,
    /// Their rows, by table of the scope.
    pub(super) rows: Vec<Vec<PieceRow>>,
    /// All units of the batch: rows of tables that the journal only counts can belong to any of them.
    pub(super) batch_units: Vec<UnitId>,
    /// Units that may have such rows and no others: they are done when those are, which go with the batch's last unit.
    pub(super) riders: Vec<UnitId>,
}

impl Piece {
    /// The units that are done when it is.
    pub(super) fn claims(&self) -> Vec<UnitId> {
        self.units.iter().chain(&self.riders).copied().collect()
    }

    /// Rows in it.
    pub(super) fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Cuts it into pieces of about so many rows, units whole.
    pub(super) fn cut(self, rows: usize) -> Vec<Self> {
        let mut sizes: HashMap<UnitId, usize> = HashMap::new();
        for row in self.rows.iter().flatten() {
            *sizes.entry(row.unit).or_default() += 1;
        }
        let (mut groups, mut size): (Vec<Vec<UnitId>>, usize) = (Vec::new(), usize::MAX);
        for unit in &self.units {
            let here = sizes.get(unit).copied().unwrap_or_default();
            match groups
                .last_mut()
                .filter(|_| size.saturating_add(here) <= rows)
            {
                Some(last) => {
                    last.push(*unit);
                    size += here;
                }
                None => {
                    groups.push(vec![*unit]);
                    size = here;
                }
            }
        }
        self.grouped(&groups)
    }

    /// Two halves, cut between units.
    pub(super) fn halve(self) -> Vec<Self> {
        let middle = self.units.len().div_ceil(2);
        let groups: Vec<Vec<UnitId>> = self
            .units
            .chunks(middle.max(1))
            .map(<[_]>::to_vec)
            .collect();
        self.grouped(&groups)
    }

    fn grouped(self, groups: &[Vec<UnitId>]) -> Vec<Self> {
        let mut group_of: HashMap<UnitId, usize> = HashMap::new();
        for (g, units) in groups.iter().enumerate() {
            group_of.extend(units.iter().map(|u| (*u, g)));
        }
        let mut pieces: Vec<Self> = groups
            .iter()
            .map(|units| Self {
                of_batch: self.of_batch,
                units: units.clone(),
                rows: self.rows.iter().map(|_| Vec::new()).collect(),
                batch_units: self.batch_units.clone(),
                riders: Vec::new(),
            })
            .collect();
        if let Some(first) = pieces.first_mut() {
            first.riders = self.riders;
        }
        for (table, rows) in self.rows.into_iter().enumerate() {
            for row in rows {
                if let Some(piece) = group_of.get(&row.unit).and_then(|g| pieces.get_mut(*g)) {
                    piece.rows[table].push(row);
                }
            }
        }
        pieces
    }
}

/// A batch of the restore as one piece, without the units that are `done`; none where nothing is left of it.
pub(super) async fn of_batch(
    session: &Session,
    scope: &Scope,
    batch: RestoredBatch,
    done: &HashSet<UnitId>,
) -> Result<Option<Piece>, PgError> {
    let last = batch.units.iter().copied().max().unwrap_or_default();
    let mut rows: Vec<Vec<PieceRow>> = scope.tables.iter().map(|_| Vec::new()).collect();
    for row in batch.rows {
        if let Some(table) = scope.place(&row.table) {
            rows[table].push(PieceRow {
                unit: row.unit,
                key: row.key,
                xmin: row.xmin,
            });
        }
    }
    for (name, inserted) in &batch.counted {
        let Some(table) = scope.place(name).filter(|_| !done.contains(&last)) else {
            continue;
        };
        let found = written_by(session, &scope.tables[table], batch.xmin).await?;
        let lost = inserted.saturating_sub(found.len() as u64);
        let nowhere = (0..lost).map(|_| Key(Vec::new()));
        rows[table].extend(found.into_iter().chain(nowhere).map(|key| PieceRow {
            unit: last,
            key,
            xmin: batch.xmin,
        }));
    }
    rows.iter_mut()
        .for_each(|of_table| of_table.retain(|row| !done.contains(&row.unit)));
    let mut units: BTreeSet<UnitId> = rows.iter().flatten().map(|row| row.unit).collect();
    let resolved = batch.resolved.iter().copied();
    units.extend(resolved.filter(|unit| !done.contains(unit)));
    let counted = !batch.counted.is_empty() && !done.contains(&last);
    let alone = |unit: &&UnitId| counted && !units.contains(unit);
    let riders = batch.units.iter().filter(alone).copied().collect();
    Ok((!units.is_empty()).then(|| Piece {
        of_batch: batch.batch,
        units: units.into_iter().rev().collect(),
        rows,
        batch_units: batch.units,
        riders,
    }))
}

/// The places of the rows that a transaction wrote, for a partitioned table without a key, of which the journal has only
/// counts.
async fn written_by(session: &Session, table: &UndoTable, xmin: u32) -> Result<Vec<Key>, PgError> {
    let sql = format!(
        "select array[t.tableoid::text, t.ctid::text] from {} t where t.xmin::text = {}",
        table.live.from_sql(),
        quote_literal(&xmin.to_string())
    );
    let doing = format!("looking for rows of {}", table.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    Ok(rows.iter().map(|row| Key(row.get(0))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece() -> Piece {
        let row = |unit: UnitId| PieceRow {
            unit,
            key: Key(vec![unit.to_string()]),
            xmin: 7,
        };
        Piece {
            of_batch: 3,
            units: vec![5, 4, 2, 1],
            rows: vec![vec![row(1), row(2), row(4), row(5)], vec![row(4), row(4)]],
            batch_units: vec![1, 2, 3, 4, 5],
            riders: vec![3],
        }
    }

    fn units(pieces: &[Piece]) -> Vec<Vec<UnitId>> {
        pieces.iter().map(|p| p.units.clone()).collect()
    }

    #[test]
    fn pieces_hold_whole_units_last_first() {
        let pieces = piece().cut(3);
        assert_eq!(units(&pieces), [vec![5], vec![4], vec![2, 1]]);
        assert_eq!(pieces[1].len(), 3);
        assert_eq!(pieces[0].claims(), [5, 3]);
        assert_eq!(units(&piece().cut(100)), [vec![5, 4, 2, 1]]);
        assert_eq!(units(&piece().cut(1)), [[5], [4], [2], [1]]);
    }

    #[test]
    fn halves_keep_the_order() {
        assert_eq!(units(&piece().halve()), [[5, 4], [2, 1]]);
    }
}
