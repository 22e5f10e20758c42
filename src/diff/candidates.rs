//! The rows of the snapshot that live lacks, of every table that can be compared.

use crate::catalog::{Comparable, Drift, Locator, by_now};
use crate::event::Sink;
use crate::ident::{Key, TableName};

use super::keystore::KeyStore;
use super::{Change, Compared, Depth, DiffError, DiffOptions, Found, Sides, diff_table};

/// Candidates of all tables, numbered through from 0: a table's rows are neighbours, in key order.
///
/// Memory: per candidate its key's text and 8 bytes.
pub struct Candidates {
    /// The tables compared.
    pub tables: Vec<Comparable>,
    keys: Vec<KeyStore>,
    /// First node of each table, and one past the last of all.
    offsets: Vec<u64>,
    /// Tables without a key in which live has rows of its own: what is missing there may have been edited. Such a row is a
    /// candidate for sure only with a parent that was deleted.
    pub uncertain: Vec<bool>,
    /// Rows of each table that only live has.
    inserted: Vec<u64>,
}

impl Candidates {
    /// Compares the keys of every comparable table: what belongs to a root is found wherever it lies.
    pub async fn find(
        sides: &Sides,
        pairs: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
        sink: Sink<'_>,
    ) -> Result<Self, DiffError> {
        let tables: Vec<Comparable> = pairs
            .into_iter()
            .filter_map(|(_, p)| p.ok())
            .map(|p| *p)
            .collect();
        let mut keys = Vec::with_capacity(tables.len());
        let mut offsets = vec![0];
        let mut uncertain = Vec::with_capacity(tables.len());
        let mut inserted = Vec::with_capacity(tables.len());
        for table in &tables {
            let mut deleted = KeyStore::default();
            let mut take = |found: Found| {
                if found.change == Change::Deleted {
                    deleted.push(&found.key);
                }
            };
            let options = DiffOptions::new(Depth::Keys);
            let counts = diff_table(sides, table, options, &mut take, sink).await?;
            inserted.push(counts.inserted);
            uncertain.push(table.key.is_empty() && counts.inserted > 0);
            let store = deleted.sorted();
            offsets.push(offsets.last().copied().unwrap_or(0) + store.len() as u64);
            keys.push(store);
        }
        Ok(Self {
            tables,
            keys,
            offsets,
            uncertain,
            inserted,
        })
    }

    /// How many there are; none where they are more than can be numbered (one number is kept back by the closure).
    pub fn total(&self) -> Option<u32> {
        let all = self.offsets.last().copied().unwrap_or(0);
        u32::try_from(all).ok().filter(|n| *n < u32::MAX)
    }

    /// The tables with what was counted beside the candidates.
    pub fn compared(&self) -> Vec<Compared<'_>> {
        let tables = self.tables.iter().zip(&self.inserted);
        let compared = |(table, inserted): (_, &u64)| Compared {
            table,
            inserted: *inserted,
        };
        tables.map(compared).collect()
    }

    /// How many a table has.
    pub fn count(&self, table: usize) -> usize {
        self.keys[table].len()
    }

    /// The node of a table's row, by position.
    pub fn node(&self, table: usize, row: usize) -> u32 {
        (self.offsets[table] + row as u64) as u32
    }

    /// The table and position of a node.
    pub fn place(&self, node: u32) -> (usize, usize) {
        let node = u64::from(node);
        let table = self.offsets.partition_point(|o| *o <= node) - 1;
        (table, (node - self.offsets[table]) as usize)
    }

    /// The key of a node.
    pub fn key(&self, node: u32) -> Key {
        let (table, row) = self.place(node);
        self.keys[table].get(row)
    }

    /// The node of a key, if that row is a candidate.
    pub fn find_key(&self, table: usize, key: &Key) -> Option<u32> {
        self.keys[table].find(key).map(|row| self.node(table, row))
    }

    /// The position of a table.
    pub fn table(&self, name: &TableName) -> Option<usize> {
        self.tables.iter().position(|t| t.snapshot.name == *name)
    }

    /// What to say of a table that is none of them, and of the name that it has by now.
    pub fn lacks(&self, name: &TableName) -> String {
        let was = |t: &&Comparable| t.drift.renamed.as_ref() == Some(name);
        let renamed = self.tables.iter().find(was);
        let hint = renamed.map_or_else(String::new, |t| by_now(&t.snapshot.name));
        format!("the snapshot and live have no such table in common{hint}")
    }

    /// What tells a table's rows apart in the snapshot.
    pub fn locator(&self, table: usize) -> Locator {
        Locator::of(&self.tables[table].snapshot, &self.tables[table].key)
    }
}
