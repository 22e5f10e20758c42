//! What comes with a write.

use futures_util::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::{CompletedPart, ETag, ETagCondition, StreamingBlob};
use s3s::{S3Result, s3_error};

use super::objects::{Upload, Version, hex};

/// Headers that an object keeps.
pub(super) fn carried(headers: &http::HeaderMap) -> Vec<(String, String)> {
    const KEPT: [&str; 6] = [
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    ];
    let kept = |name: &str| KEPT.contains(&name) || name.starts_with("x-amz-meta-");
    let all = headers.iter().filter(|(name, _)| kept(name.as_str()));
    // The SDK's own framing is no property of the object.
    all.filter(|(_, value)| value.as_bytes() != b"aws-chunked")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// `x-amz-tagging`: a query string.
pub(super) fn tags(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = headers
        .get("x-amz-tagging")
        .map_or("", |v| v.to_str().unwrap());
    let pairs = text.split('&').filter(|p| !p.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at(2);
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The bytes of a request; refused where they are not those of its `Content-MD5`.
pub(super) async fn body(body: Option<StreamingBlob>, digest: Option<&str>) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
        }
    }
    use base64::Engine;
    let found = base64::prelude::BASE64_STANDARD.encode(Md5::digest(&bytes));
    match digest {
        Some(digest) if digest != found => Err(s3_error!(BadDigest)),
        _ => Ok(bytes),
    }
}

/// `If-None-Match` and `If-Match`.
pub(super) fn conditions(
    headers: &http::HeaderMap,
) -> (Option<ETagCondition>, Option<ETagCondition>) {
    let read = |name: &str| match headers.get(name)?.to_str().unwrap() {
        "*" => Some(ETagCondition::Any),
        etag => Some(ETagCondition::ETag(ETag::Strong(
            etag.trim_matches('"').to_owned(),
        ))),
    };
    (read("if-none-match"), read("if-match"))
}

/// `bytes=FROM-LAST`.
pub(super) fn range(text: &str) -> (usize, usize) {
    let (from, last) = text.trim_start_matches("bytes=").split_once('-').unwrap();
    (from.parse().unwrap(), last.parse::<usize>().unwrap() + 1)
}

/// The object that an upload becomes.
pub(super) fn assembled(upload: &Upload, wanted: &[CompletedPart]) -> S3Result<Version> {
    let (mut bytes, mut digests) = (Vec::new(), Vec::new());
    for part in wanted {
        let number = part.part_number.unwrap_or_default();
        let found = upload
            .parts
            .get(&number)
            .ok_or_else(|| s3_error!(InvalidPart))?;
        let digest = Md5::digest(found);
        if part
            .e_tag
            .as_ref()
            .is_none_or(|e| e.value() != hex(&digest))
        {
            return Err(s3_error!(InvalidPart));
        }
        bytes.extend_from_slice(found);
        digests.extend_from_slice(&digest);
    }
    Ok(Version {
        bytes,
        etag: format!("{}-{}", hex(&Md5::digest(&digests)), wanted.len()),
        ..upload.version.clone()
    })
}

/// A store that keeps other bytes than it got.
pub(super) fn garbled(version: Version) -> Version {
    let mut bytes = version.bytes.clone();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    Version {
        etag: Version::of(&bytes).etag,
        bytes,
        ..version
    }
}
