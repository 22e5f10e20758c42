//! Writes to a bucket. Nothing that is there is overwritten unless that very object was meant; no version is ever deleted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::super::error::{Fault, StoreError};
use super::super::fault;
use super::super::object::{Condition, Description, Written};
use super::{S3Store, unquoted};

/// Bytes a second that the slowest line is thought to bear.
const SLOWEST_LINE: u64 = 100_000;
/// Bytes a second that a store is thought to copy at least by itself.
const SLOWEST_STORE: u64 = 5_000_000;

/// Headers for a condition.
pub(super) fn headers(condition: &Condition) -> (Option<String>, Option<String>) {
    match condition {
        Condition::Absent => (Some("*".to_owned()), None),
        Condition::Still(etag) => (None, etag.as_ref().map(|e| format!("\"{e}\""))),
    }
}

/// Tags as a header takes them.
pub(super) fn tagging(description: &Description) -> Option<String> {
    let quoted = |text: &str| -> String {
        let kept = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        text.bytes()
            .map(|b| {
                if kept(b) {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    };
    let each = description
        .tags
        .iter()
        .map(|(k, v)| format!("{}={}", quoted(k), quoted(v)));
    let joined = each.collect::<Vec<_>>().join("&");
    (!joined.is_empty()).then_some(joined)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl S3Store {
    /// How long so many bytes may take to get there.
    pub(super) fn sending(&self, bytes: u64) -> Duration {
        self.patience.answer + Duration::from_secs(bytes / SLOWEST_LINE)
    }

    fn copying(&self, bytes: u64) -> Duration {
        self.patience.answer + Duration::from_secs(bytes / SLOWEST_STORE)
    }

    /// Writes an object at once.
    ///
    /// Errors: `Replaced` where the condition does not hold any more.
    pub(in super::super) async fn put(
        &self,
        path: &str,
        bytes: Bytes,
        description: &Description,
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        let digest = Md5::digest(&bytes);
        let (md5, digest) = (hex(&digest), BASE64_STANDARD.encode(digest));
        let size = bytes.len() as u64;
        self.conditionally(path, condition, async |none_match, matches| {
            let of = description.clone();
            let request = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.full(path))
                .body(ByteStream::from(bytes.clone()))
                .content_md5(digest.clone())
                .set_tagging(tagging(&of))
                .set_content_type(of.content_type)
                .set_cache_control(of.cache_control)
                .set_content_disposition(of.content_disposition)
                .set_content_encoding(of.content_encoding)
                .set_content_language(of.content_language)
                .set_website_redirect_location(of.redirect)
                .set_metadata(Some(of.metadata.into_iter().collect()))
                .set_if_none_match(none_match)
                .set_if_match(matches)
                .customize()
                .mutate_request(expires(of.expires));
            let _turn = self.gate.pass().await;
            let put = self
                .within(self.sending(size), "writing", Some(path), request.send())
                .await?;
            let etag = put.e_tag().map(unquoted);
            Ok(Written {
                as_sent: etag.as_ref() == Some(&md5),
                etag,
                version: put.version_id().map(str::to_owned),
            })
        })
        .await
    }

    /// Lets the store copy an object, of another bucket or an older version of this one, with all that it carries.
    pub(in super::super) async fn copy(
        &self,
        source: &str,
        path: &str,
        size: u64,
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        self.conditionally(path, condition, async |none_match, matches| {
            let request = self
                .client
                .copy_object()
                .bucket(&self.bucket)
                .key(self.full(path))
                .copy_source(source)
                .set_if_none_match(none_match)
                .set_if_match(matches);
            let _turn = self.gate.pass().await;
            let copied = self
                .within(self.copying(size), "copying", Some(path), request.send())
                .await?;
            Ok(Written {
                etag: copied
                    .copy_object_result()
                    .and_then(|r| r.e_tag())
                    .map(unquoted),
                version: copied.version_id().map(str::to_owned),
                as_sent: false,
            })
        })
        .await
    }

    /// How `copy` names an object of this bucket.
    pub(in super::super) fn copy_source(&self, path: &str, version: Option<&str>) -> String {
        let kept = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
        let mut source = format!("{}/", self.bucket);
        for byte in self.full(path).bytes() {
            match kept(byte) {
                true => source.push(byte as char),
                false => source.push_str(&format!("%{byte:02X}")),
            }
        }
        if let Some(version) = version {
            source.push_str(&format!("?versionId={version}"));
        }
        source
    }

    /// Takes a delete marker off. The store is asked to delete that marker and nothing else.
    pub(in super::super) async fn undelete(
        &self,
        path: &str,
        marker: &str,
    ) -> Result<(), StoreError> {
        let ask = || {
            let request = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(self.full(path));
            self.once(
                "taking a delete marker off",
                Some(path),
                request.version_id(marker).send(),
            )
        };
        match self.patience.retry(ask).await {
            Ok(_) => Ok(()),
            Err(e) if e.fault == Fault::Refused("404".to_owned()) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Writes under a condition that the store keeps; where it knows none, under a look just before.
    pub(super) async fn conditionally<T>(
        &self,
        path: &str,
        condition: &Condition,
        write: impl AsyncFn(Option<String>, Option<String>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (none_match, matches) = headers(condition);
        if !self.unconditional.load(Ordering::Relaxed) {
            let written = self
                .patience
                .retry(async || write(none_match.clone(), matches.clone()).await)
                .await;
            match written {
                Err(e) if matches!(e.fault, Fault::Unsupported(_)) => {
                    self.unconditional.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        let there = self.head(path, None, false).await?;
        let holds = match (condition, &there) {
            (Condition::Absent, there) => there.is_none(),
            (Condition::Still(etag), there) => there
                .as_ref()
                .is_some_and(|o| etag.is_none() || o.etag == *etag),
        };
        if !holds {
            return Err(fault(&self.place, Some(path), Fault::Replaced));
        }
        self.patience.retry(async || write(None, None).await).await
    }
}

/// The SDK takes `Expires` as a time only; what is there may be any text.
pub(super) fn expires(
    text: Option<String>,
) -> impl Fn(&mut aws_sdk_s3::config::http::HttpRequest) + Send + Sync + 'static {
    move |request| {
        if let Some(text) = &text {
            request.headers_mut().insert("expires", text.clone());
        }
    }
}
