//! The S3 operations over buckets in memory.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::objects::{Bucket, Upload, Version};
use super::{Shared, writes};

pub(super) struct Backend(pub(super) Arc<Shared>);

impl Backend {
    fn with<T>(&self, bucket: &str, ask: impl FnOnce(&Bucket) -> S3Result<T>) -> S3Result<T> {
        let buckets = self.0.buckets.lock().unwrap();
        let bucket = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        ask(bucket)
    }

    fn change<T>(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        let mut buckets = self.0.buckets.lock().unwrap();
        let bucket = buckets
            .get_mut(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket))?;
        change(bucket)
    }

    /// The version that a copy is of.
    fn source(&self, source: &CopySource) -> S3Result<Version> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = source
        else {
            return Err(s3_error!(NotImplemented));
        };
        self.with(bucket, |bucket| {
            let version = bucket.get(key, version_id.as_deref());
            version.cloned().ok_or_else(|| s3_error!(NoSuchKey))
        })
    }

    /// Stores a version where the conditions hold; its ETag, and its id where there are versions.
    fn write(
        &self,
        bucket: &str,
        key: &str,
        version: Version,
        none_match: &Option<ETagCondition>,
        matches: &Option<ETagCondition>,
    ) -> S3Result<(String, Option<String>)> {
        let switches = self.0.switches.lock().unwrap().clone();
        if switches.no_conditions && (none_match.is_some() || matches.is_some()) {
            return Err(s3_error!(NotImplemented));
        }
        self.change(bucket, |bucket| {
            let there = bucket.get(key, None);
            if none_match.is_some() && there.is_some() {
                return Err(s3_error!(PreconditionFailed));
            }
            if let Some(ETagCondition::ETag(etag)) = matches
                && there.is_none_or(|v| v.etag != etag.value())
            {
                return Err(s3_error!(PreconditionFailed));
            }
            let version = if switches.garbles {
                writes::garbled(version)
            } else {
                version
            };
            let etag = version.etag.clone();
            bucket.put(key, version);
            let id = bucket.get(key, None).map(|v| v.id.clone());
            Ok((etag, id.filter(|_| bucket.versioned)))
        })
    }

    fn part(&self, bucket: &str, upload: &str, number: i32, bytes: Vec<u8>) -> S3Result<String> {
        self.change(bucket, |bucket| {
            let upload = bucket
                .uploads
                .get_mut(upload)
                .ok_or_else(|| s3_error!(NoSuchUpload))?;
            let etag = Version::of(&bytes).etag;
            upload.parts.insert(number, bytes);
            Ok(etag)
        })
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
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.insert(name, value.parse().unwrap());
    }
    if !version.tags.is_empty() {
        map.insert("x-amz-tagging-count", version.tags.len().into());
    }
    map
}

/// What a written object is called in the answer.
fn named(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let headers = writes::carried(&req.headers);
        let tags = writes::tags(&req.headers);
        let input = req.input;
        let bytes = writes::body(input.body, input.content_md5.as_deref()).await?;
        let version = Version {
            headers,
            tags,
            ..Version::of(&bytes)
        };
        let (etag, id) = self.write(
            &input.bucket,
            &input.key,
            version,
            &input.if_none_match,
            &input.if_match,
        )?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: named(&etag),
            version_id: id,
            ..Default::default()
        }))
    }

    async fn copy_object(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        // The protocol's crate does not know that copies have conditions by now.
        let (none_match, matches) = writes::conditions(&req.headers);
        let input = req.input;
        let version = self.source(&input.copy_source)?;
        let (etag, id) = self.write(&input.bucket, &input.key, version, &none_match, &matches)?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                e_tag: named(&etag),
                ..Default::default()
            }),
            version_id: id,
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        self.change(&input.bucket, |bucket| {
            match &input.version_id {
                Some(id) => bucket.delete_version(&input.key, id),
                None => bucket.delete(&input.key),
            }
            Ok(())
        })?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = req.input;
        let tags = self.with(&input.bucket, |bucket| {
            let version = bucket.get(&input.key, input.version_id.as_deref());
            Ok(version.ok_or_else(|| s3_error!(NoSuchKey))?.tags.clone())
        })?;
        let tag = |(key, value): (String, String)| Tag {
            key: Some(key),
            value: Some(value),
        };
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: tags.into_iter().map(tag).collect(),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let version = Version {
            headers: writes::carried(&req.headers),
            tags: writes::tags(&req.headers),
            ..Version::default()
        };
        let key = req.input.key.clone();
        let upload = Upload {
            key,
            version,
            ..Upload::default()
        };
        let id = self.change(&req.input.bucket, |bucket| Ok(bucket.begin(upload)))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let bytes = writes::body(input.body, input.content_md5.as_deref()).await?;
        let etag = self.part(&input.bucket, &input.upload_id, input.part_number, bytes)?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: named(&etag),
            ..Default::default()
        }))
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = req.input;
        let whole = self.source(&input.copy_source)?.bytes;
        let (from, to) = writes::range(input.copy_source_range.as_deref().unwrap_or_default());
        let bytes = whole
            .get(from..to)
            .ok_or_else(|| s3_error!(InvalidRange))?
            .to_vec();
        let etag = self.part(&input.bucket, &input.upload_id, input.part_number, bytes)?;
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                e_tag: named(&etag),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let wanted = input
            .multipart_upload
            .and_then(|m| m.parts)
            .unwrap_or_default();
        let upload = self.with(&input.bucket, |bucket| {
            let upload = bucket.uploads.get(&input.upload_id).cloned();
            upload.ok_or_else(|| s3_error!(NoSuchUpload))
        })?;
        let version = writes::assembled(&upload, &wanted)?;
        let (etag, id) = self.write(
            &input.bucket,
            &input.key,
            version,
            &input.if_none_match,
            &input.if_match,
        )?;
        self.change(&input.bucket, |bucket| {
            Ok(bucket.uploads.remove(&input.upload_id))
        })?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            e_tag: named(&etag),
            version_id: id,
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        let gone = self.change(&input.bucket, |bucket| {
            Ok(bucket.uploads.remove(&input.upload_id))
        })?;
        gone.ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let prefix = req.input.prefix.unwrap_or_default();
        let uploads = self.with(&req.input.bucket, |bucket| {
            let ours = bucket
                .uploads
                .iter()
                .filter(|(_, u)| u.key.starts_with(&prefix));
            let shown = |(id, upload): (&String, &Upload)| MultipartUpload {
                key: Some(upload.key.clone()),
                upload_id: Some(id.clone()),
                initiated: Some(std::time::SystemTime::now().into()),
                ..Default::default()
            };
            Ok(ours.map(shown).collect::<Vec<_>>())
        })?;
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads),
            ..Default::default()
        }))
    }

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
