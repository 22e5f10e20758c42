//! What an object carries beside its bytes.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;

use super::super::error::{Fault, StoreError};
use super::super::object::Description;
use super::S3Store;

/// The headers of both, which the SDK gives as two types.
macro_rules! described {
    ($answer:expr) => {{
        let text = |header: Option<&str>| header.map(str::to_owned);
        Description {
            content_type: text($answer.content_type()),
            cache_control: text($answer.cache_control()),
            content_disposition: text($answer.content_disposition()),
            content_encoding: text($answer.content_encoding()),
            content_language: text($answer.content_language()),
            expires: text($answer.expires_string()),
            redirect: text($answer.website_redirect_location()),
            metadata: sorted($answer.metadata()),
            tag_count: super::size($answer.tag_count().map(i64::from)),
            tags: Vec::new(),
        }
    }};
}

fn sorted(
    metadata: Option<&HashMap<String, String>>,
) -> std::collections::BTreeMap<String, String> {
    metadata
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

pub(super) fn of_get(got: &GetObjectOutput) -> Description {
    described!(got)
}

fn of_head(head: &HeadObjectOutput) -> Description {
    described!(head)
}

impl S3Store {
    /// What an object carries; none where it is not there.
    pub(in super::super) async fn describe(
        &self,
        path: &str,
        version: Option<&str>,
    ) -> Result<Option<Description>, StoreError> {
        let ask = || {
            let request = self
                .client
                .head_object()
                .bucket(&self.bucket)
                .key(self.full(path));
            let request = request.set_version_id(version.map(str::to_owned));
            self.once("reading", Some(path), request.send())
        };
        match self.patience.retry(ask).await {
            Ok(head) => Ok(Some(of_head(&head))),
            Err(e) if e.fault == Fault::Refused("404".to_owned()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The tags of an object that has some.
    pub(in super::super) async fn tags(
        &self,
        path: &str,
        version: Option<&str>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let ask = || {
            let request = self
                .client
                .get_object_tagging()
                .bucket(&self.bucket)
                .key(self.full(path));
            let request = request.set_version_id(version.map(str::to_owned));
            self.once("reading tags", Some(path), request.send())
        };
        let answer = self.patience.retry(ask).await?;
        let tags = answer.tag_set().iter();
        Ok(tags
            .map(|t| (t.key().to_owned(), t.value().to_owned()))
            .collect())
    }
}
