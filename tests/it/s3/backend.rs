//! The S3 operations over buckets in memory.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::Shared;
use super::objects::{Bucket, Version};

pub(super) struct Backend(pub(super) Arc<Shared>);

impl Backend {
    fn with<T>(&self, bucket: &str, ask: impl FnOnce(&Bucket) -> S3Result<T>) -> S3Result<T> {
        let buckets = self.0.buckets.lock().unwrap();
        let bucket = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        ask(bucket)
    }

    fn etag(&self, version: &Version) -> Option<ETag> {
        let shown = !self.0.switches.lock().unwrap().no_etags;
        shown.then(|| ETag::Strong(version.etag.clone()))
    }
}

/// The order of a store that sorts directory by directory.
fn by_directory(key: &str) -> String {
    key.replace('/', "\u{1}")
}

/// As AWS encodes keys in listings.
fn encoded(key: &str) -> String {
    let mut out = String::new();
    for byte in key.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.*/".contains(&b) => out.push(b as char),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn headers(version: &Version) -> http::HeaderMap {
    let mut map = http::HeaderMap::new();
    for (name, value) in &version.headers {
        map.insert(*name, value.parse().unwrap());
    }
    map
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let (output, headers) = self.with(&input.bucket, |bucket| {
            let version = bucket.get(&input.key, input.version_id.as_deref());
            let version = version.ok_or_else(|| s3_error!(NoSuchKey))?;
            let wanted = input.checksum_mode.is_some();
            let output = HeadObjectOutput {
                content_length: Some(version.bytes.len() as i64),
                e_tag: self.etag(version),
                checksum_sha256: version.sha256.clone().filter(|_| wanted),
                storage_class: version.class.map(|c| StorageClass::from(c.to_owned())),
                version_id: bucket.versioned.then(|| version.id.clone()),
                ..Default::default()
            };
            Ok((output, headers(version)))
        })?;
        Ok(S3Response::with_headers(output, headers))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (output, headers) = self.with(&input.bucket, |bucket| {
            let version = bucket.get(&input.key, input.version_id.as_deref());
            let version = version.ok_or_else(|| s3_error!(NoSuchKey))?;
            if version.class == Some("GLACIER") {
                return Err(s3_error!(InvalidObjectState));
            }
            let whole = version.bytes.len() as u64;
            let range = match input.range {
                None => 0..whole,
                Some(range) => range.check(whole).map_err(|_| s3_error!(InvalidRange))?,
            };
            let bytes = version.bytes[range.start as usize..range.end as usize].to_vec();
            let output = GetObjectOutput {
                content_length: Some(bytes.len() as i64),
                content_range: input
                    .range
                    .map(|_| format!("bytes {}-{}/{whole}", range.start, range.end - 1)),
                e_tag: self.etag(version),
                body: Some(StreamingBlob::from(s3s::Body::from(bytes))),
                ..Default::default()
            };
            Ok((output, headers(version)))
        })?;
        Ok(S3Response::with_headers(output, headers))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let switches = self.0.switches.lock().unwrap().clone();
        let order = |key: &str| match switches.unsorted {
            true => by_directory(key),
            false => key.to_owned(),
        };
        let prefix = input.prefix.unwrap_or_default();
        let after = input
            .continuation_token
            .or(input.start_after)
            .unwrap_or_default();
        let most = usize::try_from(input.max_keys.unwrap_or(1_000))
            .unwrap()
            .min(switches.page);
        let url = input
            .encoding_type
            .as_ref()
            .is_some_and(|e| e.as_str() == "url");
        let (contents, more, last) = self.with(&input.bucket, |bucket| {
            let mut keys: Vec<_> = bucket
                .seen()
                .filter(|(k, _)| k.starts_with(&prefix))
                .filter(|(k, _)| after.is_empty() || order(k) > order(&after))
                .collect();
            keys.sort_by_key(|(k, _)| order(k));
            let more = keys.len() > most;
            keys.truncate(most);
            let last = keys.last().map(|(k, _)| (*k).clone());
            let contents = keys.into_iter().map(|(key, version)| Object {
                key: Some(if url { encoded(key) } else { key.clone() }),
                size: Some(version.bytes.len() as i64),
                e_tag: self.etag(version),
                storage_class: version
                    .class
                    .map(|c| ObjectStorageClass::from(c.to_owned())),
                ..Default::default()
            });
            Ok((contents.collect::<Vec<_>>(), more, last))
        })?;
        Ok(S3Response::new(ListObjectsV2Output {
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            encoding_type: input.encoding_type,
            contents: Some(contents),
            ..Default::default()
        }))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let versioned = self.with(&req.input.bucket, |bucket| Ok(bucket.versioned))?;
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: versioned.then(|| BucketVersioningStatus::from("Enabled".to_owned())),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = req.input;
        let most = self.0.switches.lock().unwrap().page;
        let prefix = input.prefix.unwrap_or_default();
        let from = input.key_marker.zip(input.version_id_marker);
        let mut output = ListObjectVersionsOutput::default();
        self.with(&input.bucket, |bucket| {
            let all = bucket.versions().filter(|(k, _, _)| k.starts_with(&prefix));
            let mut waiting = from.is_some();
            let rest = all.filter(|(k, v, _)| {
                let skip = waiting;
                waiting &= !from
                    .as_ref()
                    .is_some_and(|(key, id)| key == *k && *id == v.id);
                !skip
            });
            let mut rest: Vec<_> = rest.collect();
            output.is_truncated = Some(rest.len() > most);
            rest.truncate(most);
            if let (Some((key, version, _)), Some(true)) = (rest.last(), output.is_truncated) {
                output.next_key_marker = Some((*key).clone());
                output.next_version_id_marker = Some(version.id.clone());
            }
            for (key, version, latest) in rest {
                if version.marker {
                    output
                        .delete_markers
                        .get_or_insert_default()
                        .push(DeleteMarkerEntry {
                            key: Some(key.clone()),
                            version_id: Some(version.id.clone()),
                            is_latest: Some(latest),
                            ..Default::default()
                        });
                } else {
                    output.versions.get_or_insert_default().push(ObjectVersion {
                        key: Some(key.clone()),
                        version_id: Some(version.id.clone()),
                        is_latest: Some(latest),
                        size: Some(version.bytes.len() as i64),
                        e_tag: self.etag(version),
                        ..Default::default()
                    });
                }
            }
            Ok(())
        })?;
        Ok(S3Response::new(output))
    }
}
