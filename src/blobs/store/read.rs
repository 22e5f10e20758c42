//! Reads an object whole, piece by piece; goes on where a body was cut.

use std::io::SeekFrom;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::dir::DirStore;
use super::error::{Fault, StoreError};
use super::object::Description;
use super::s3::S3Store;
use super::{Kind, Store, fault};
use crate::attachments::{Algorithm, Checksum, Hasher};

/// Bytes read from a file at once.
const PIECE: usize = 1 << 18;

/// How far a reading came.
#[derive(Default)]
struct Progress {
    done: u64,
    /// What the first answer said of the object; later ones must be of the same.
    etag: Option<String>,
    description: Description,
}

/// Bytes of an object, in memory.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Them.
    pub bytes: Vec<u8>,
    /// The object's ETag.
    pub etag: Option<String>,
    /// What it carries besides, without its tags.
    pub description: Description,
}

impl Store {
    /// Hands on the bytes of an object, or of one of its versions, in order and each once. Returns how many.
    ///
    /// Errors: `Replaced` where it became another object in between; `Unavailable` where no attempt got further.
    pub async fn read(
        &self,
        path: &str,
        version: Option<&str>,
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<u64, StoreError> {
        match &self.kind {
            Kind::S3(s3) => {
                let mut progress = Progress::default();
                read_object(s3, path, version, None, &mut progress, take).await
            }
            Kind::Directory(dir) => read_file(dir, path, (0, None), take).await,
        }
    }

    /// Fetches bytes `from` to before `to` of an object, or all after `from`; of the state `etag`, where one is given.
    ///
    /// Errors: as of [`Self::read`].
    pub async fn fetch(
        &self,
        path: &str,
        version: Option<&str>,
        (from, to): (u64, Option<u64>),
        etag: Option<&str>,
    ) -> Result<Fetched, StoreError> {
        let mut bytes = Vec::new();
        let mut take = |piece: &[u8]| bytes.extend_from_slice(piece);
        match &self.kind {
            Kind::S3(s3) => {
                let mut progress = Progress {
                    done: from,
                    etag: etag.map(str::to_owned),
                    ..Progress::default()
                };
                read_object(s3, path, version, to, &mut progress, &mut take).await?;
                Ok(Fetched {
                    bytes,
                    etag: progress.etag,
                    description: progress.description,
                })
            }
            Kind::Directory(dir) => {
                read_file(dir, path, (from, to), &mut take).await?;
                Ok(Fetched {
                    bytes,
                    ..Fetched::default()
                })
            }
        }
    }

    /// The checksum of an object's bytes, and how many they are.
    pub async fn hash(
        &self,
        path: &str,
        version: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Checksum, u64), StoreError> {
        let mut hasher = Hasher::new(algorithm);
        let size = self
            .read(path, version, &mut |piece| hasher.update(piece))
            .await?;
        Ok((hasher.finish(), size))
    }
}

async fn read_object(
    s3: &S3Store,
    path: &str,
    version: Option<&str>,
    to: Option<u64>,
    progress: &mut Progress,
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<u64, StoreError> {
    let turn = s3.pass().await;
    let mut attempt = 1;
    loop {
        let before = progress.done;
        let error = match some_of_it(s3, path, version, to, progress, take).await {
            Err(e) if matches!(e.fault, Fault::Passing(_)) => e,
            Err(e) if e.fault == Fault::Forbidden("reading") => {
                // Asking why takes a turn of its own.
                drop(turn);
                return s3.explain(e).await;
            }
            done => return done.map(|()| progress.done),
        };
        // Counted anew whenever bytes came: a large object over a poor line is cut often.
        if progress.done > before {
            attempt = 1;
        }
        s3.patience().wait(error, attempt).await?;
        attempt += 1;
    }
}

/// Reads on from where the last attempt stopped, to the end or to the next cut.
async fn some_of_it(
    s3: &S3Store,
    path: &str,
    version: Option<&str>,
    to: Option<u64>,
    progress: &mut Progress,
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<(), StoreError> {
    let passing = |cause: String| fault(s3.place(), Some(path), Fault::Passing(cause));
    let window = (progress.done, to);
    let opened = s3.open_at(path, version, window, progress.etag.as_deref());
    let mut opened = opened.await?;
    progress.etag = opened.etag.take();
    progress.description = std::mem::take(&mut opened.description);
    let limit = s3.patience().answer;
    loop {
        let next = tokio::time::timeout(limit, opened.stream.try_next()).await;
        let piece: Option<Bytes> = match next {
            Err(_) => {
                return Err(passing(format!(
                    "nothing came for {} s",
                    limit.as_secs_f32()
                )));
            }
            Ok(Err(cut)) => return Err(passing(format!("the body was cut: {cut}"))),
            Ok(Ok(piece)) => piece,
        };
        let Some(piece) = piece else { break };
        take(&piece);
        progress.done += piece.len() as u64;
    }
    match opened.size {
        Some(size) if size != progress.done => Err(passing(format!(
            "the body was cut after {} of {size} bytes",
            progress.done
        ))),
        _ => Ok(()),
    }
}

async fn read_file(
    dir: &DirStore,
    path: &str,
    (from, to): (u64, Option<u64>),
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<u64, StoreError> {
    let failed = |e: std::io::Error| dir.failed(path, &e);
    let mut file = dir.open_file(path).await?;
    file.seek(SeekFrom::Start(from)).await.map_err(failed)?;
    let most = to.map_or(u64::MAX, |to| to.saturating_sub(from));
    let mut file = file.take(most);
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    loop {
        let n = file
            .read(&mut buffer)
            .await
            .map_err(|e| dir.failed(path, &e))?;
        if n == 0 {
            return Ok(done);
        }
        take(&buffer[..n]);
        done += n as u64;
    }
}
