//! A bucket, over the S3 protocol.

mod answer;
mod client;
mod describe;
mod encoding;
mod multipart;
mod versions;
mod write;

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, EncodingType, Object as Listed};
use tokio::sync::OwnedSemaphorePermit;

use super::error::{Fault, StoreError};
use super::gate::Gate;
use super::object::{Description, Object, Page, archived};
use super::retry::Patience;
use crate::attachments::{Algorithm, Checksum};
use crate::blobs::{Location, Side};
use answer::{DeleteAt, classify, expiry};

pub(in crate::blobs) use encoding::decoded;
pub(super) use multipart::Part;

/// A bucket and what stands before each key.
pub(super) struct S3Store {
    client: Client,
    /// As in the configuration.
    place: String,
    bucket: String,
    prefix: String,
    gate: Gate,
    patience: Patience,
    /// It does not know conditions of writes: then what is there is looked at just before.
    unconditional: AtomicBool,
}

/// A body, and whether the object is still the one that it was.
pub(super) struct Opened {
    pub(super) stream: ByteStream,
    /// Bytes of the whole object, where the store says.
    pub(super) size: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) description: Description,
}

impl S3Store {
    /// Sets up a client; nothing is asked yet.
    pub(super) async fn open(
        side: &Side,
        gate: Gate,
        patience: Patience,
    ) -> Result<Self, StoreError> {
        let place = side.location.to_string();
        let Location::S3 { bucket, prefix } = &side.location else {
            return Err(super::fault(&place, None, Fault::NoBucket));
        };
        Ok(Self {
            client: client::client(side, &place).await?,
            place,
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            gate,
            patience,
            unconditional: AtomicBool::new(false),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    pub(super) async fn pass(&self) -> Option<OwnedSemaphorePermit> {
        self.gate.pass().await
    }

    /// One request: its turn, its time limit, its error in our words.
    async fn once<T, E>(
        &self,
        doing: &'static str,
        key: Option<&str>,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let _turn = self.gate.pass().await;
        self.timed(doing, key, request).await
    }

    /// The same of a request whose turn has come.
    async fn timed<T, E>(
        &self,
        doing: &'static str,
        key: Option<&str>,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.within(self.patience.answer, doing, key, request).await
    }

    /// The same of a request that may take so long.
    async fn within<T, E>(
        &self,
        limit: Duration,
        doing: &'static str,
        key: Option<&str>,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (fault, message) = match tokio::time::timeout(limit, request).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => classify(doing, &error),
            Err(_) => {
                let seconds = limit.as_secs_f32();
                (
                    Fault::Passing(format!("no answer within {seconds} s")),
                    String::new(),
                )
            }
        };
        Err(StoreError {
            place: self.place.clone(),
            key: key.map(str::to_owned),
            fault,
            message,
        })
    }

    fn full(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Asks for one object, its stored checksums too where `checksums`. None where there is no such object.
    pub(super) async fn head(
        &self,
        path: &str,
        version: Option<&str>,
        checksums: bool,
    ) -> Result<Option<Object>, StoreError> {
        let asked = self
            .patience
            .retry(|| self.head_once(path, version, checksums))
            .await;
        match asked {
            Err(e) if e.fault == Fault::Forbidden("reading") => self.explain(e).await,
            other => other,
        }
    }

    async fn head_once(
        &self,
        path: &str,
        version: Option<&str>,
        checksums: bool,
    ) -> Result<Option<Object>, StoreError> {
        let delete_at = DeleteAt::default();
        let request = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full(path))
            .set_version_id(version.map(str::to_owned))
            .set_checksum_mode(checksums.then_some(ChecksumMode::Enabled))
            .customize()
            .interceptor(delete_at.clone());
        match self.once("reading", Some(path), request.send()).await {
            Ok(head) => Ok(Some(described(&head, &delete_at))),
            Err(e) if e.fault == Fault::Refused("404".to_owned()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// An answer to HEAD has no body, so that expired credentials look like a missing right: a listing says which it is.
    pub(super) async fn explain<T>(&self, refused: StoreError) -> Result<T, StoreError> {
        match self.may_list().await {
            Err(cause) => Err(cause),
            Ok(_) => Err(refused),
        }
    }

    /// Whether the bucket can be listed with these credentials.
    ///
    /// Errors: it is not there, the credentials are not accepted, …
    pub(super) async fn may_list(&self) -> Result<bool, StoreError> {
        let listed = self.patience.retry(|| {
            let request = self.client.list_objects_v2();
            let request = request
                .bucket(&self.bucket)
                .prefix(&self.prefix)
                .max_keys(1);
            self.once("listing", None, request.send())
        });
        match listed.await {
            Ok(_) => Ok(true),
            Err(e) if e.fault == Fault::Forbidden("listing") => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// A page of the objects whose paths begin with `prefix`, from after the path `after`, or where `next` of the page before says.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<Page, StoreError> {
        let ask = || {
            let request = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(self.full(prefix))
                .encoding_type(EncodingType::Url)
                .set_start_after(after.filter(|_| next.is_none()).map(|a| self.full(a)))
                .set_continuation_token(next.map(str::to_owned));
            self.once("listing", None, request.send())
        };
        let page = self.patience.retry(ask).await?;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        let read = |object: &Listed| {
            let key = encoding::key(object.key()?, encoded);
            Some((key.strip_prefix(&self.prefix)?.to_owned(), listed(object)))
        };
        let next = page.next_continuation_token().map(str::to_owned);
        Ok(Page {
            objects: page.contents().iter().filter_map(read).collect(),
            next: next.filter(|_| page.is_truncated() == Some(true)),
        })
    }

    /// Opens bytes `from` to before `to` of an object, of the state `etag` where given. Its turn is the caller's to wait for.
    pub(super) async fn open_at(
        &self,
        path: &str,
        version: Option<&str>,
        (from, to): (u64, Option<u64>),
        etag: Option<&str>,
    ) -> Result<Opened, StoreError> {
        let last = to.map_or_else(String::new, |to| to.saturating_sub(1).to_string());
        let some = from > 0 || to.is_some();
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full(path))
            .set_version_id(version.map(str::to_owned))
            .set_range(some.then(|| format!("bytes={from}-{last}")))
            .set_if_match(etag.map(|e| format!("\"{e}\"")));
        let got = self.timed("reading", Some(path), request.send()).await?;
        let length = got.content_length().and_then(|n| u64::try_from(n).ok());
        Ok(Opened {
            size: length.map(|n| n + from),
            etag: got.e_tag().map(unquoted),
            description: describe::of_get(&got),
            stream: got.body,
        })
    }
}

fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn size(n: Option<i64>) -> u64 {
    n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn listed(object: &Listed) -> Object {
    Object {
        size: size(object.size()),
        etag: object.e_tag().map(unquoted).filter(|e| !e.is_empty()),
        archived: archived(object.storage_class().map(|c| c.as_str())),
        listed: true,
        ..Object::default()
    }
}

fn described(head: &HeadObjectOutput, delete_at: &DeleteAt) -> Object {
    let whole = head.checksum_type() != Some(&ChecksumType::Composite);
    let stored = [
        (head.checksum_sha256(), Algorithm::Sha256),
        (head.checksum_sha1(), Algorithm::Sha1),
    ];
    // A composite one ends in the number of parts, where the type is not said.
    let checksums = stored
        .into_iter()
        .filter_map(|(text, algorithm)| Checksum::read(text?, Some(algorithm)).ok())
        .filter(|_| whole)
        .collect();
    Object {
        size: size(head.content_length()),
        etag: head.e_tag().map(unquoted).filter(|e| !e.is_empty()),
        checksums,
        expires: expiry(head.expiration())
            .into_iter()
            .chain(delete_at.seen())
            .min(),
        archived: match head.restore() {
            Some(restored) if restored.contains("ongoing-request=\"false\"") => None,
            _ => archived(head.storage_class().map(|c| c.as_str())),
        },
        version: head.version_id().map(str::to_owned),
        listed: false,
    }
}
