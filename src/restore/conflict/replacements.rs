//! What became of rows that did not go in as they are, and by what others refer to them.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::bundle::Bundle;
use crate::catalog::{IdentityRule, Relation, Schema};
use crate::ident::{Key, UnitId};

use super::super::excluded::reference::{Reference, references, relations};
use super::super::{Settings, Targets};
use super::OnConflict;

/// What became of a row that did not go in as the bundle has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Left out.
    Skipped,
    /// A live row is used in its place.
    Remapped,
    /// It went in, with a reference that points to the live row in its parent's place.
    Rewritten,
}

impl Resolution {
    /// As the journal has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Remapped => "remapped",
            Self::Rewritten => "rewritten",
        }
    }
}

/// Such a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Position of its unit in the batch.
    pub unit: usize,
    /// Its table, as the manifest numbers them.
    pub table: usize,
    /// Its key in the bundle; empty in a table without one.
    pub key: Key,
    /// What became of it.
    pub state: Resolution,
    /// The live row in its place; of one rewritten, its own key in live.
    pub live_key: Option<Key>,
    /// Why, for people.
    pub reason: String,
}

/// What a reference to a row is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Who refers to it does not come either.
    Skipped {
        /// The row, for people.
        row: String,
    },
    /// Who refers to it refers to a live row, by these values.
    By {
        /// What a child holds instead.
        values: Key,
        /// The live row, for people.
        live: String,
    },
    /// Who refers to it cannot come.
    Barred {
        /// Why.
        reason: String,
    },
}

/// Fates by reference and by the values that refer.
pub(super) type Fates = HashMap<(usize, Key), Fate>;

/// A row that an earlier batch or run resolved.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) state: Resolution,
    pub(super) live_key: Option<Key>,
    pub(super) reason: String,
    /// What a child holds instead, by reference; none where live no longer has the row.
    pub(super) values: HashMap<usize, Option<Key>>,
}

/// What became of rows that did not go in as they are: by this run, and by earlier ones.
#[derive(Debug, Clone)]
pub struct Replacements {
    pub(super) policy: OnConflict,
    /// What the configuration says of how rows are told apart.
    pub(super) identities: Vec<IdentityRule>,
    pub(in crate::restore) references: Vec<Reference>,
    pub(super) fates: Fates,
    /// Units that came back with any such row.
    pub(super) touched: HashSet<UnitId>,
    pub(super) recorded: HashMap<UnitId, HashMap<(usize, Key), Recorded>>,
}

impl Replacements {
    /// Nothing yet.
    pub(in crate::restore) fn new(bundle: &Bundle, live: &Schema, settings: &Settings) -> Self {
        Self {
            identities: settings.identities.clone(),
            ..Self::over(bundle, live, &settings.declared, settings.on_conflict)
        }
    }

    /// Nothing yet, where nothing is decided anew.
    pub fn of_journal(bundle: &Bundle, live: &Schema, declared: &[Relation]) -> Self {
        Self::over(bundle, live, declared, OnConflict::Quarantine)
    }

    fn over(bundle: &Bundle, live: &Schema, declared: &[Relation], policy: OnConflict) -> Self {
        let relations = relations(bundle, live, declared);
        Self {
            policy,
            identities: Vec::new(),
            references: references(bundle, live, &relations),
            fates: Fates::new(),
            touched: HashSet::new(),
            recorded: HashMap::new(),
        }
    }

    /// Whether every row is as the bundle has it.
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty() && self.recorded.is_empty()
    }

    /// Keeps what was decided in a batch that is committed.
    pub(in crate::restore) fn keep(&mut self, decided: Decided) {
        self.fates.extend(decided.0);
    }

    /// References to rows of a table, with their place.
    pub(super) fn to_table(&self, table: usize) -> impl Iterator<Item = (usize, &Reference)> {
        let all = self.references.iter().enumerate();
        all.filter(move |(_, r)| r.parent == Some(table))
    }

    /// Why references to rows of a table cannot be followed, if so.
    pub(super) fn unclear(&self, targets: &Targets, table: usize) -> Option<String> {
        let mut references = self.to_table(table);
        let (_, reference) = references.find(|(_, r)| !r.by_text)?;
        Some(format!(
            "{} refers to {} by values of which several texts mean the same",
            targets.tables[reference.child].name, targets.tables[table].name,
        ))
    }

    /// Notes what becomes of everything that refers to a row.
    pub(super) fn note(
        &self,
        fates: &mut Fates,
        table: usize,
        stored: &Bytes,
        fate: impl Fn(usize) -> Fate,
    ) {
        for (number, reference) in self.to_table(table) {
            if let Some(values) = reference.referable(stored) {
                fates.insert((number, values), fate(number));
            }
        }
    }
}

/// What a batch decided, to be kept once it is committed.
#[derive(Debug, Default)]
pub(in crate::restore) struct Decided(pub(super) Fates);
