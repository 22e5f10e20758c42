//! Relinks of one reference at a time, as many as a transaction takes.

use std::collections::{HashMap, HashSet};

use crate::bundle::{Bundle, BundleError, RelinkRecord, Relinks};
use crate::ident::{Key, TableName};

/// Relinks of a chunk, at most.
const CHUNK: usize = 200;

/// What the relinks of a chunk have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Head {
    /// The table of the rows that refer.
    pub(super) table: TableName,
    pub(super) key_columns: Vec<String>,
    pub(super) columns: Vec<String>,
    /// The table referred to, as the manifest numbers them.
    pub(super) parent: usize,
    pub(super) parent_columns: Vec<String>,
    pub(super) compared: Vec<String>,
}

impl Head {
    pub(super) fn of(record: &RelinkRecord) -> Self {
        Self {
            table: record.table.clone(),
            key_columns: record.key_columns.clone(),
            columns: record.columns.clone(),
            parent: record.parent.table,
            parent_columns: record.parent_columns.clone(),
            compared: record.compared.clone(),
        }
    }

    /// Whether a record has it.
    fn is_of(&self, record: &RelinkRecord) -> bool {
        *self == Self::of(record)
    }
}

/// Relinks of one reference, each of another row.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// The reference, by place in [`super::Links`].
    pub(super) link: usize,
    pub(super) records: Vec<RelinkRecord>,
}

impl Chunk {
    /// Two halves.
    pub(super) fn halve(mut self) -> (Self, Self) {
        let second = self.records.split_off(self.records.len().div_ceil(2));
        let other = Self {
            link: self.link,
            records: second,
        };
        (self, other)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> + Clone {
        self.records.iter().map(|r| &r.key)
    }
}

/// Cuts a bundle's relinks into chunks.
pub(super) struct Chunks<'a> {
    relinks: Relinks,
    places: &'a HashMap<Head, usize>,
    next: Option<RelinkRecord>,
}

impl<'a> Chunks<'a> {
    pub(super) fn of(
        bundle: &Bundle,
        places: &'a HashMap<Head, usize>,
    ) -> Result<Self, BundleError> {
        Ok(Self {
            relinks: bundle.relinks()?,
            places,
            next: None,
        })
    }

    /// The next chunk; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>, BundleError> {
        let first = match self.next.take() {
            Some(first) => first,
            None => match self.relinks.next().transpose()? {
                Some(first) => first,
                None => return Ok(None),
            },
        };
        let head = Head::of(&first);
        let link = self.places.get(&head).copied().unwrap_or_default();
        let mut keys = HashSet::from([first.key.clone()]);
        let mut records = vec![first];
        while records.len() < CHUNK {
            let Some(record) = self.relinks.next().transpose()? else {
                break;
            };
            // A declared reference can name several rows at once; one UPDATE writes to a row once.
            if !head.is_of(&record) || !keys.insert(record.key.clone()) {
                self.next = Some(record);
                break;
            }
            records.push(record);
        }
        Ok(Some(Chunk { link, records }))
    }
}
