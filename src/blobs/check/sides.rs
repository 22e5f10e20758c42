//! The two sides of a store, opened and asked what can be known of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

use crate::blobs::{CheckError, Gate, Store, StoreConfig, StoreError, Versioning};

/// A store with both its sides.
pub struct Sides {
    /// Its name.
    pub name: String,
    /// What the application reads and writes.
    pub primary: Store,
    /// A copy that the loss did not reach.
    pub backup: Option<Store>,
    /// Whether the primary can be listed; where it cannot, what is missing looks like what is forbidden.
    pub primary_lists: bool,
    /// The same of the backup.
    pub backup_lists: bool,
    /// Whether the primary keeps older versions.
    pub versioning: Versioning,
    pub(super) asked: Asked,
}

/// What was asked of the primary, to be said.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) heads: AtomicU64,
    pub(super) pages: AtomicU64,
    pub(super) listed: AtomicU64,
    pub(super) inventoried: AtomicU64,
    pub(super) ranges_listed: AtomicU64,
    pub(super) ranges_headed: AtomicU64,
    pub(super) unsorted: AtomicBool,
}

pub(super) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// How the blobs of a store were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Method {
    /// The store.
    pub store: String,
    /// Blobs that a page of a listing had.
    pub by_listing: u64,
    /// Blobs that the inventory had.
    pub by_inventory: u64,
    /// Pages of listings asked for.
    pub pages: u64,
    /// Objects asked for one by one in the primary.
    pub heads: u64,
    /// Stretches of neighbouring keys that were listed.
    pub ranges_listed: u64,
    /// Those that were asked for one by one.
    pub ranges_headed: u64,
    /// Its listings are not in byte order.
    pub unsorted: bool,
}

impl Sides {
    /// Opens both sides, and makes sure that they answer.
    pub async fn open(config: &StoreConfig, gate: &Gate) -> Result<Self, CheckError> {
        let failed = |cause: StoreError| CheckError::Store {
            store: config.name.clone(),
            cause: Box::new(cause),
        };
        let primary = Store::open(&config.primary, gate.clone())
            .await
            .map_err(failed)?;
        let primary_lists = primary.may_list().await.map_err(failed)?;
        let versioning = primary.versioning().await.map_err(failed)?;
        let (mut backup, mut backup_lists) = (None, false);
        if let Some(side) = &config.backup {
            let opened = Store::open(side, gate.clone()).await.map_err(failed)?;
            backup_lists = opened.may_list().await.map_err(failed)?;
            backup = Some(opened);
        }
        Ok(Self {
            name: config.name.clone(),
            primary,
            backup,
            primary_lists,
            backup_lists,
            versioning,
            asked: Asked::default(),
        })
    }

    /// What a person should know before the check begins.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let of = |store: &Store| format!("{}: {} may not be listed", self.name, store.place());
        let then = "objects are asked for one by one, and a missing one may look forbidden; grant s3:ListBucket";
        if self.primary.is_bucket() && !self.primary_lists {
            notes.push(format!("{}: {then}", of(&self.primary)));
        }
        match &self.backup {
            None => notes.push(format!(
                "{}: there is no backup store ([stores.{}] backup = \"…\"): {}",
                self.name,
                self.name,
                match self.versioning {
                    Versioning::Never => "what is not in the primary is lost",
                    _ => "only older versions can bring back what is not in the primary",
                }
            )),
            Some(backup) if backup.is_bucket() && !self.backup_lists => {
                notes.push(format!("{}: {then}", of(backup)));
            }
            Some(_) => {}
        }
        notes
    }

    /// How its blobs were looked for.
    pub fn method(&self) -> Method {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Method {
            store: self.name.clone(),
            by_listing: n(&self.asked.listed),
            by_inventory: n(&self.asked.inventoried),
            pages: n(&self.asked.pages),
            heads: n(&self.asked.heads),
            ranges_listed: n(&self.asked.ranges_listed),
            ranges_headed: n(&self.asked.ranges_headed),
            unsorted: self.asked.unsorted.load(Ordering::Relaxed),
        }
    }
}
