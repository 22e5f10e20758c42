//! The rows of the snapshot that live lacks, of every table that can be compared.

use crate::bundle::LeftOut;
use crate::catalog::{Comparable, Drift, Locator};
use crate::closure::{Node, Units};
use crate::diff::{Change, Depth, DiffOptions, Found, Sides, diff_table};
use crate::event::Sink;
use crate::ident::{Key, TableName};

use super::ExtractError;
use super::keys::KeyStore;

/// Candidates of all tables, numbered through: a table's rows are neighbours, in key order.
pub(super) struct Candidates {
    pub(super) tables: Vec<Comparable>,
    keys: Vec<KeyStore>,
    /// First node of each table, and one past the last of all.
    offsets: Vec<u64>,
    /// Tables without a key in which live has rows of its own: what is missing there may have been edited. Such a row is a
    /// candidate for sure only with a parent that was deleted.
    pub(super) uncertain: Vec<bool>,
}

impl Candidates {
    /// Compares the keys of every comparable table: what belongs to a root is found wherever it lies.
    pub(super) async fn find(
        sides: &Sides,
        pairs: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
        sink: Sink<'_>,
    ) -> Result<Self, ExtractError> {
        let tables: Vec<Comparable> = pairs
            .into_iter()
            .filter_map(|(_, p)| p.ok())
            .map(|p| *p)
            .collect();
        let mut keys = Vec::with_capacity(tables.len());
        let mut offsets = vec![0];
        let mut uncertain = Vec::with_capacity(tables.len());
        for table in &tables {
            let mut deleted: Vec<Key> = Vec::new();
            let mut take = |found: Found| {
                if found.change == Change::Deleted {
                    deleted.push(found.key);
                }
            };
            let options = DiffOptions::new(Depth::Keys);
            let counts = diff_table(sides, table, options, &mut take, sink).await?;
            uncertain.push(table.key.is_empty() && counts.inserted > 0);
            let store = KeyStore::new(deleted);
            offsets.push(offsets.last().copied().unwrap_or(0) + store.len() as u64);
            keys.push(store);
        }
        Ok(Self {
            tables,
            keys,
            offsets,
            uncertain,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> Result<u32, ExtractError> {
        let all = self.offsets.last().copied().unwrap_or(0);
        // One number is kept back by the closure.
        u32::try_from(all)
            .ok()
            .filter(|n| *n < u32::MAX)
            .ok_or(ExtractError::TooMany)
    }

    /// How many a table has.
    pub(super) fn count(&self, table: usize) -> usize {
        self.keys[table].len()
    }

    /// The node of a table's row, by position.
    pub(super) fn node(&self, table: usize, row: usize) -> Node {
        (self.offsets[table] + row as u64) as Node
    }

    /// The table and position of a node.
    pub(super) fn place(&self, node: Node) -> (usize, usize) {
        let node = u64::from(node);
        let table = self.offsets.partition_point(|o| *o <= node) - 1;
        (table, (node - self.offsets[table]) as usize)
    }

    /// The key of a node.
    pub(super) fn key(&self, node: Node) -> Key {
        let (table, row) = self.place(node);
        self.keys[table].get(row)
    }

    /// The node of a key, if that row is a candidate.
    pub(super) fn find_key(&self, table: usize, key: &Key) -> Option<Node> {
        self.keys[table].find(key).map(|row| self.node(table, row))
    }

    /// The position of a table.
    pub(super) fn table(&self, name: &TableName) -> Option<usize> {
        self.tables.iter().position(|t| t.snapshot.name == *name)
    }

    /// What tells a table's rows apart in the snapshot.
    pub(super) fn locator(&self, table: usize) -> Locator {
        Locator::of(&self.tables[table].snapshot, &self.tables[table].key)
    }

    /// Candidates that belong to no unit.
    pub(super) fn left_out(&self, units: &Units) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        for (t, table) in self.tables.iter().enumerate() {
            let rows = (0..self.count(t))
                .filter(|r| units.unit_of(self.node(t, *r)).is_none())
                .count();
            if rows > 0 {
                left_out.push(LeftOut {
                    table: table.snapshot.name.clone(),
                    reason: if self.uncertain[t] {
                        UNCERTAIN
                    } else {
                        NOT_ASKED_FOR
                    }
                    .into(),
                    rows: rows as u64,
                });
            }
        }
        left_out
    }
}

const NOT_ASKED_FOR: &str = "neither a root that was asked for nor part of one";
const UNCERTAIN: &str = "in a table without a key an edited row looks like a deleted one, and live has rows there that \
                         the snapshot has not; --root takes them all the same";

/// Tables of the snapshot that cannot be looked at.
pub(super) fn not_comparable(
    pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
) -> Vec<LeftOut> {
    pairs
        .iter()
        .filter_map(|(table, pair)| {
            let reason = match pair {
                Err(Drift::OnlyInSnapshot) => "live does not have this table".to_owned(),
                Err(Drift::Skipped(reason)) => reason.clone(),
                _ => return None,
            };
            Some(LeftOut {
                table: table.clone(),
                reason,
                rows: 0,
            })
        })
        .collect()
}
