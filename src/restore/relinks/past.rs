//! What earlier runs did with the references of a bundle: filled them, emptied them again, and by which transactions.

use std::collections::HashMap;

use crate::bundle::RelinkRecord;
use crate::ident::Key;
use crate::journal::{Relinked, RelinkedPlace, Relinks};
use crate::pg::{PgError, Session};

/// A reference of a row: table as shown, key, columns.
type Name = (String, Key, Vec<String>);

/// A reference that we filled and did not empty again.
#[derive(Debug, Clone)]
pub(super) struct Filled {
    /// The run that did.
    pub(super) run: String,
    /// What it held then.
    pub(super) after: Vec<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(in crate::restore) struct Past {
    filled: HashMap<Name, Filled>,
    /// References that we emptied, and by which transaction.
    emptied: HashMap<Name, u32>,
    /// By row: our transactions that wrote to it, each with the one before.
    steps: HashMap<(String, Key), Vec<(u32, u32)>>,
}

impl Past {
    /// Reads the journal, where there is one.
    pub(in crate::restore) async fn read(session: &Session, bundle: &str) -> Result<Self, PgError> {
        let relinks = Relinks::new(session);
        let filled = relinks.of_bundle(bundle).await?;
        let undone = relinks.undone(bundle).await?;
        let undone: HashMap<RelinkedPlace, _> =
            undone.into_iter().map(|(_, u)| (u.of.clone(), u)).collect();
        let mut past = Self::default();
        for (place, row) in filled {
            past.note(&row, &place.0, undone.get(&place).and_then(|u| u.xmins));
        }
        Ok(past)
    }

    /// Notes a reference that `run` filled, and the transactions by which it was emptied again, if it was.
    pub(super) fn note(&mut self, row: &Relinked, run: &str, emptied: Option<(u32, u32)>) {
        let name = (row.table.clone(), row.key.clone(), row.columns.clone());
        let steps = self.steps.entry((row.table.clone(), row.key.clone()));
        let steps = steps.or_default();
        steps.push((row.xmin, row.xmin_before));
        if let Some((before, since)) = emptied {
            steps.push((since, before));
            self.filled.remove(&name);
            self.emptied.insert(name, since);
            return;
        }
        self.emptied.remove(&name);
        let filled = Filled {
            run: run.to_owned(),
            after: row.after.clone(),
        };
        self.filled.insert(name, filled);
    }

    fn name(record: &RelinkRecord) -> Name {
        (
            record.table.to_string(),
            record.key.clone(),
            record.columns.clone(),
        )
    }

    /// What we filled it with, if we did.
    pub(super) fn filled(&self, record: &RelinkRecord) -> Option<&Filled> {
        self.filled.get(&Self::name(record))
    }

    /// Whether `xmin` is the transaction of ours that emptied this very reference again.
    pub(super) fn emptied_by(&self, record: &RelinkRecord, xmin: u32) -> bool {
        self.emptied.get(&Self::name(record)) == Some(&xmin)
    }

    /// Whether a transaction of ours wrote the row.
    pub(super) fn ours(&self, table: &str, key: &Key, xmin: u32) -> bool {
        let steps = self.steps.get(&(table.to_owned(), key.clone()));
        steps.is_some_and(|s| s.iter().any(|(since, _)| *since == xmin))
    }

    /// Notes a transaction of ours that wrote to the row of a reference.
    pub(in crate::restore) fn step(&mut self, row: &Relinked, since: u32, before: u32) {
        let steps = self.steps.entry((row.table.clone(), row.key.clone()));
        steps.or_default().push((since, before));
    }

    /// The transaction that last wrote to the row, ours left out of account.
    pub(super) fn theirs(&self, record: &RelinkRecord, xmin: u32) -> u32 {
        let Some(steps) = self
            .steps
            .get(&(record.table.to_string(), record.key.clone()))
        else {
            return xmin;
        };
        let mut at = xmin;
        for _ in 0..=steps.len() {
            match steps.iter().rev().find(|(since, _)| *since == at) {
                Some((_, before)) if *before != at => at = *before,
                _ => break,
            }
        }
        at
    }
}
