//! Uploads in parts: nothing is to be seen of them before they are complete.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::super::error::{Fault, StoreError};
use super::super::object::{Condition, Description, Written};
use super::write::{expires, hex, tagging};
use super::{S3Store, unquoted};

/// A part that is there.
pub(in super::super) struct Part {
    etag: String,
    /// The MD5 of what was sent; none of one that the store copied by itself.
    digest: Option<[u8; 16]>,
}

/// The ETag of an object of these parts: the MD5 of their MD5s, and how many they are.
fn made_of(parts: &[Part]) -> Option<String> {
    let digests: Option<Vec<[u8; 16]>> = parts.iter().map(|p| p.digest).collect();
    let whole = Md5::digest(digests?.concat());
    Some(format!("{}-{}", hex(&whole), parts.len()))
}

impl S3Store {
    /// Begins an upload; its id.
    pub(in super::super) async fn begin(
        &self,
        path: &str,
        description: &Description,
    ) -> Result<String, StoreError> {
        let ask = async || {
            let of = description.clone();
            let request = self
                .client
                .create_multipart_upload()
                .bucket(&self.bucket)
                .key(self.full(path))
                .set_tagging(tagging(&of))
                .set_content_type(of.content_type)
                .set_cache_control(of.cache_control)
                .set_content_disposition(of.content_disposition)
                .set_content_encoding(of.content_encoding)
                .set_content_language(of.content_language)
                .set_website_redirect_location(of.redirect)
                .set_metadata(Some(of.metadata.into_iter().collect()))
                .customize()
                .mutate_request(expires(of.expires));
            self.once("writing", Some(path), request.send()).await
        };
        let begun = self.patience.retry(ask).await?;
        Ok(begun.upload_id().unwrap_or_default().to_owned())
    }

    /// Sends a part, the first of which has number 1.
    pub(in super::super) async fn part(
        &self,
        path: &str,
        upload: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<Part, StoreError> {
        let digest = Md5::digest(&bytes);
        let (encoded, size) = (BASE64_STANDARD.encode(digest), bytes.len() as u64);
        let ask = async || {
            let request = self
                .client
                .upload_part()
                .bucket(&self.bucket)
                .key(self.full(path))
                .upload_id(upload)
                .part_number(number)
                .content_md5(encoded.clone())
                .body(ByteStream::from(bytes.clone()));
            let _turn = self.gate.pass().await;
            self.within(self.sending(size), "writing", Some(path), request.send())
                .await
        };
        let sent = self.patience.retry(ask).await?;
        Ok(Part {
            etag: sent.e_tag().map(unquoted).unwrap_or_default(),
            digest: Some(digest.into()),
        })
    }

    /// Lets the store copy bytes `from` to before `to` of an object of state `etag` into a part.
    pub(in super::super) async fn copy_part(
        &self,
        path: &str,
        upload: &str,
        number: i32,
        source: &str,
        (from, to): (u64, u64),
        etag: Option<&str>,
    ) -> Result<Part, StoreError> {
        let ask = async || {
            let request = self
                .client
                .upload_part_copy()
                .bucket(&self.bucket)
                .key(self.full(path))
                .upload_id(upload)
                .part_number(number)
                .copy_source(source)
                .copy_source_range(format!("bytes={from}-{}", to.saturating_sub(1)))
                .set_copy_source_if_match(etag.map(|e| format!("\"{e}\"")));
            let _turn = self.gate.pass().await;
            self.within(
                self.sending(to - from),
                "copying",
                Some(path),
                request.send(),
            )
            .await
        };
        let copied = self.patience.retry(ask).await?;
        let etag = copied.copy_part_result().and_then(|r| r.e_tag());
        Ok(Part {
            etag: etag.map(unquoted).unwrap_or_default(),
            digest: None,
        })
    }

    /// Makes an object of the parts, which are in order.
    pub(in super::super) async fn complete(
        &self,
        path: &str,
        upload: &str,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Written, StoreError> {
        let part = |(n, part): (usize, &Part)| {
            let number = i32::try_from(n + 1).unwrap_or(i32::MAX);
            CompletedPart::builder()
                .part_number(number)
                .e_tag(format!("\"{}\"", part.etag))
                .build()
        };
        let made = made_of(parts);
        let parts: Vec<_> = parts.iter().enumerate().map(part).collect();
        self.conditionally(path, condition, async |none_match, matches| {
            let whole = CompletedMultipartUpload::builder()
                .set_parts(Some(parts.clone()))
                .build();
            let request = self
                .client
                .complete_multipart_upload()
                .bucket(&self.bucket)
                .key(self.full(path))
                .upload_id(upload)
                .multipart_upload(whole)
                .set_if_none_match(none_match)
                .set_if_match(matches);
            // The store may put the parts together for minutes.
            let _turn = self.gate.pass().await;
            let limit = self.patience.answer * 10;
            let done = self
                .within(limit, "writing", Some(path), request.send())
                .await?;
            let etag = done.e_tag().map(unquoted);
            Ok(Written {
                as_sent: made.is_some() && etag == made,
                etag,
                version: done.version_id().map(str::to_owned),
            })
        })
        .await
    }

    /// Gives an upload up: its parts go. One that is not there any more is as good.
    pub(in super::super) async fn abort(&self, path: &str, upload: &str) -> Result<(), StoreError> {
        let ask = || {
            let request = self
                .client
                .abort_multipart_upload()
                .bucket(&self.bucket)
                .key(self.full(path));
            self.once(
                "giving an upload up",
                Some(path),
                request.upload_id(upload).send(),
            )
        };
        match self.patience.retry(ask).await {
            Ok(_) => Ok(()),
            Err(e) if e.fault == Fault::Refused("404".to_owned()) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Uploads to this path that are not complete, and when they began.
    pub(in super::super) async fn uploads(
        &self,
        path: &str,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let key = self.full(path);
        let ask = || {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket);
            self.once("listing uploads", Some(path), request.prefix(&key).send())
        };
        let page = self.patience.retry(ask).await?;
        let ours = page
            .uploads()
            .iter()
            .filter(|u| u.key() == Some(key.as_str()));
        let read = |upload: &aws_sdk_s3::types::MultipartUpload| {
            let began = upload.initiated()?.secs();
            Some((
                upload.upload_id()?.to_owned(),
                Timestamp::from_second(began).ok()?,
            ))
        };
        Ok(ours.filter_map(read).collect())
    }
}
