//! Where objects are: a bucket or a directory, asked in the same words.
//!
//! Guarantees: no more requests at once, and a second, than the [`Gate`] lets through; what may pass is tried again; an error names
//! bucket, key and cause. Paths are those below the store's place: a key laid out by [`Layout`](super::Layout).

mod dir;
mod error;
mod gate;
mod object;
mod read;
mod retry;
mod s3;
mod write;

use super::{Location, Side};

pub use error::{Fault, StoreError};
pub use gate::Gate;
pub use object::{Condition, Description, History, Object, Page, Versioning, Written};
pub use read::Fetched;
pub use retry::Patience;
pub(super) use s3::decoded;
pub use write::Receiving;

use dir::DirStore;
use s3::S3Store;

/// An open store.
pub struct Store {
    side: Side,
    kind: Kind,
}

enum Kind {
    S3(Box<S3Store>),
    Directory(DirStore),
}

fn fault(place: &str, key: Option<&str>, fault: Fault) -> StoreError {
    StoreError {
        place: place.to_owned(),
        key: key.map(str::to_owned),
        fault,
        message: String::new(),
    }
}

impl Store {
    /// Opens one side of a store.
    ///
    /// Errors: a directory that is not there; of a bucket only what can be seen without asking.
    pub async fn open(side: &Side, gate: Gate) -> Result<Self, StoreError> {
        let mut patience = Patience::default();
        if let Some(timeout) = side.timeout {
            patience.answer = timeout;
        }
        let kind = match &side.location {
            Location::Directory(root) => Kind::Directory(DirStore::open(root)?),
            Location::S3 { .. } => Kind::S3(Box::new(S3Store::open(side, gate, patience).await?)),
        };
        Ok(Self {
            side: side.clone(),
            kind,
        })
    }

    /// How it is reached.
    pub fn side(&self) -> &Side {
        &self.side
    }

    /// As in the configuration, for people.
    pub fn place(&self) -> &str {
        match &self.kind {
            Kind::S3(s3) => s3.place(),
            Kind::Directory(dir) => dir.place(),
        }
    }

    /// Whether it can be listed: a directory is asked file by file, which costs as little.
    ///
    /// Errors: it is not there, or does not let us in.
    pub async fn may_list(&self) -> Result<bool, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.may_list().await,
            Kind::Directory(_) => Ok(false),
        }
    }

    /// Whether it is a bucket, whose refusals can hide what is missing.
    pub fn is_bucket(&self) -> bool {
        matches!(self.kind, Kind::S3(_))
    }

    /// Asks for one object, with `checksums` for what the store keeps of them too; of a version where one is named. None where it is
    /// not there.
    pub async fn head(
        &self,
        path: &str,
        version: Option<&str>,
        checksums: bool,
    ) -> Result<Option<Object>, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.head(path, version, checksums).await,
            Kind::Directory(dir) => dir.head(path).await,
        }
    }

    /// A page of a listing of paths that begin with `prefix`: from after `after`, or where the page before says (`next`). The order
    /// is the store's own.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<Page, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.list(prefix, after, next).await,
            Kind::Directory(dir) => Err(fault(dir.place(), None, Fault::Unsupported("listing"))),
        }
    }

    /// Whether it keeps older versions.
    pub async fn versioning(&self) -> Result<Versioning, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.versioning().await,
            Kind::Directory(_) => Ok(Versioning::Never),
        }
    }

    /// Older versions of an object, and the delete marker that hides it.
    pub async fn history(&self, path: &str) -> Result<History, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.history(path).await,
            Kind::Directory(_) => Ok(History::default()),
        }
    }
}
