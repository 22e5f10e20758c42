//! Writes to a store, in the words of both kinds. What is there is never overwritten unless that very object was meant.

use bytes::Bytes;
use jiff::Timestamp;

use super::dir::ReceivingFile;
use super::error::{Fault, StoreError};
use super::object::{Condition, Description, Written};
use super::s3::{Part, S3Store};
use super::{Kind, Store, fault};

/// An object whose bytes are coming; nothing is to be seen of it yet.
pub struct Receiving(Arriving);

enum Arriving {
    /// An upload in parts, with those that are there.
    Upload {
        id: String,
        parts: Vec<Part>,
    },
    File(ReceivingFile),
}

impl Receiving {
    /// The upload's id; none of a file.
    pub fn upload(&self) -> Option<&str> {
        match &self.0 {
            Arriving::Upload { id, .. } => Some(id),
            Arriving::File(_) => None,
        }
    }
}

impl Store {
    fn bucket(&self, doing: &'static str) -> Result<&S3Store, StoreError> {
        match &self.kind {
            Kind::S3(s3) => Ok(s3),
            Kind::Directory(dir) => Err(fault(dir.place(), None, Fault::Unsupported(doing))),
        }
    }

    /// What an object carries beside its bytes, its tags too; nothing of a file.
    pub async fn describe(
        &self,
        path: &str,
        version: Option<&str>,
    ) -> Result<Description, StoreError> {
        let Kind::S3(s3) = &self.kind else {
            return Ok(Description::default());
        };
        let description = s3.describe(path, version).await?.unwrap_or_default();
        self.with_tags(description, path, version).await
    }

    /// Adds the tags to what is known of an object. Where they may not be read, nobody can copy them.
    pub async fn with_tags(
        &self,
        mut description: Description,
        path: &str,
        version: Option<&str>,
    ) -> Result<Description, StoreError> {
        if let (Kind::S3(s3), 1..) = (&self.kind, description.tag_count) {
            description.tags = s3.tags(path, version).await?;
        }
        Ok(description)
    }

    /// Writes an object at once.
    ///
    /// Errors: `Replaced` where the condition does not hold any more.
    pub async fn put(
        &self,
        path: &str,
        bytes: Vec<u8>,
        description: &Description,
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        match &self.kind {
            Kind::S3(s3) => {
                s3.put(path, Bytes::from(bytes), description, condition)
                    .await
            }
            Kind::Directory(_) => {
                let mut receiving = self.receive(path, description).await?;
                self.add(path, &mut receiving, bytes).await?;
                self.settle(path, receiving, condition).await
            }
        }
    }

    /// Begins an object whose bytes come piece by piece.
    pub async fn receive(
        &self,
        path: &str,
        description: &Description,
    ) -> Result<Receiving, StoreError> {
        Ok(Receiving(match &self.kind {
            Kind::S3(s3) => Arriving::Upload {
                id: s3.begin(path, description).await?,
                parts: Vec::new(),
            },
            Kind::Directory(dir) => Arriving::File(dir.receive(path)?),
        }))
    }

    /// Adds the next piece. In a bucket each is a part: 5 MB or more, but for the last.
    pub async fn add(
        &self,
        path: &str,
        to: &mut Receiving,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        match (&self.kind, &mut to.0) {
            (Kind::S3(s3), Arriving::Upload { id, parts }) => {
                let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
                parts.push(s3.part(path, id, number, Bytes::from(bytes)).await?);
            }
            (Kind::Directory(dir), Arriving::File(file)) => {
                file.add(&bytes).map_err(|e| dir.failed(path, &e))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets the store itself add bytes `from` to before `to` of another object, as [`Self::copy_source`] names it.
    pub async fn add_copied(
        &self,
        path: &str,
        to: &mut Receiving,
        source: &str,
        range: (u64, u64),
        etag: Option<&str>,
    ) -> Result<(), StoreError> {
        let s3 = self.bucket("copying")?;
        if let Arriving::Upload { id, parts } = &mut to.0 {
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            parts.push(s3.copy_part(path, id, number, source, range, etag).await?);
        }
        Ok(())
    }

    /// Ends it: the object is to be seen now, whole.
    ///
    /// Errors: `Replaced` where the condition does not hold any more; then [`Self::drop_upload`] is the caller's.
    pub async fn settle(
        &self,
        path: &str,
        received: Receiving,
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        match (&self.kind, received.0) {
            (Kind::S3(s3), Arriving::Upload { id, parts }) => {
                s3.complete(path, &id, &parts, condition).await
            }
            (Kind::Directory(dir), Arriving::File(file)) => {
                dir.settle(path, file, condition)?;
                Ok(Written::default())
            }
            _ => Err(fault(
                self.place(),
                Some(path),
                Fault::Unsupported("writing"),
            )),
        }
    }

    /// Gives an upload up; of a file nothing is left anyway.
    pub async fn drop_upload(&self, path: &str, upload: &str) -> Result<(), StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.abort(path, upload).await,
            Kind::Directory(_) => Ok(()),
        }
    }

    /// Uploads to this path that are not complete, and when they began.
    pub async fn uploads(&self, path: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        match &self.kind {
            Kind::S3(s3) => s3.uploads(path).await,
            Kind::Directory(_) => Ok(Vec::new()),
        }
    }

    /// Takes a delete marker off, and nothing else.
    pub async fn undelete(&self, path: &str, marker: &str) -> Result<(), StoreError> {
        self.bucket("delete markers")?.undelete(path, marker).await
    }

    /// What [`Self::copy`] calls an object of this store.
    pub fn copy_source(&self, path: &str, version: Option<&str>) -> Result<String, StoreError> {
        Ok(self.bucket("copying")?.copy_source(path, version))
    }

    /// Lets the store copy an object of `size` bytes by itself, with all that it carries.
    pub async fn copy(
        &self,
        source: &str,
        path: &str,
        size: u64,
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        self.bucket("copying")?
            .copy(source, path, size, condition)
            .await
    }

    /// Whether the other store is reached in the same way, so that this one may copy from it by itself.
    pub fn serves(&self, other: &Self) -> bool {
        let way = |s: &Self| {
            let side = s.side();
            (
                side.endpoint_url.clone(),
                side.region.clone(),
                side.profile.clone(),
                side.ca_file.clone(),
            )
        };
        self.is_bucket() && other.is_bucket() && way(self) == way(other)
    }
}
