//! What a versioned bucket has beside what everybody sees: delete markers and older versions.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::super::error::{Fault, StoreError};
use super::super::object::{History, Object, Versioning, archived};
use super::{S3Store, size, unquoted};

impl S3Store {
    /// Whether the bucket keeps older versions.
    pub(in super::super) async fn versioning(&self) -> Result<Versioning, StoreError> {
        let asked = self.patience.retry(|| {
            let request = self.client.get_bucket_versioning().bucket(&self.bucket);
            self.once("asking about versions", None, request.send())
        });
        match asked.await {
            Ok(answer) => Ok(match answer.status() {
                Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended) => {
                    Versioning::Kept
                }
                _ => Versioning::Never,
            }),
            Err(e) => match e.fault {
                Fault::Forbidden(_) | Fault::Unsupported(_) | Fault::Refused(_) => {
                    Ok(Versioning::Unknown)
                }
                _ => Err(e),
            },
        }
    }

    /// All versions of one object, newest first.
    pub(in super::super) async fn history(&self, path: &str) -> Result<History, StoreError> {
        let key = self.full(path);
        let mut history = History::default();
        let mut markers = 0;
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let ask = || {
                let request = self.client.list_object_versions().bucket(&self.bucket);
                let request = request.prefix(&key).set_key_marker(key_marker.clone());
                let request = request.set_version_id_marker(version_marker.clone());
                self.once("listing versions", Some(path), request.send())
            };
            let page = self.patience.retry(ask).await?;
            markers += add(&mut history, &page, &key);
            // The key itself comes before all that it begins. A store that sorts otherwise is read to the end.
            let next = page.next_key_marker().map(str::to_owned);
            let beyond = next.as_deref().is_some_and(|n| n > key.as_str()) && sorted(&page);
            if page.is_truncated() != Some(true) || next.is_none() || beyond {
                // Under several, taking one off shows the next.
                history.marker = history.marker.filter(|_| markers == 1);
                return Ok(history);
            }
            version_marker = page.next_version_id_marker().map(str::to_owned);
            key_marker = next;
        }
    }
}

fn sorted(page: &ListObjectVersionsOutput) -> bool {
    let keys = page.versions().iter().filter_map(|v| v.key());
    keys.is_sorted()
}

/// Takes what a page says of `key`; how many delete markers that are.
fn add(history: &mut History, page: &ListObjectVersionsOutput, key: &str) -> usize {
    let ours = |k: Option<&str>| k == Some(key);
    let mut markers = 0;
    for marker in page.delete_markers().iter().filter(|m| ours(m.key())) {
        markers += 1;
        if marker.is_latest() == Some(true) {
            history.marker = marker.version_id().map(str::to_owned);
        }
    }
    for version in page.versions().iter().filter(|v| ours(v.key())) {
        if version.is_latest() == Some(true) {
            continue;
        }
        history.versions.push(Object {
            size: size(version.size()),
            etag: version.e_tag().map(unquoted).filter(|e| !e.is_empty()),
            archived: archived(version.storage_class().map(|c| c.as_str())),
            version: version.version_id().map(str::to_owned),
            listed: true,
            ..Object::default()
        });
    }
    markers
}
