//! What an answer means: refusals, and the headers that the SDK does not know.
//!
//! Source: Amazon S3 API Reference, "Error responses"; Swift's Object Storage API, `X-Delete-At`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::super::error::Fault;

/// What went wrong with a request, and the store's words.
pub(super) fn classify<E>(doing: &'static str, error: &SdkError<E, HttpResponse>) -> (Fault, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(refused) => {
            let (code, message) = (refused.err().code(), refused.err().message());
            let message = message.unwrap_or_default().to_owned();
            (
                refusal(doing, code.unwrap_or_default(), refused.raw()),
                message,
            )
        }
        SdkError::ConstructionFailure(_) => (construction(&chain(error)), String::new()),
        // The connection could not be made or broke, or what came was no answer.
        other => (dispatch(&chain(other)), String::new()),
    }
}

fn refusal(doing: &'static str, code: &str, answer: &HttpResponse) -> Fault {
    let status = answer.status().as_u16();
    match (code, status) {
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => Fault::Expired,
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "NotSignedUp"
            | "AuthFailure",
            _,
        ) => Fault::WrongCredentials,
        ("RequestTimeTooSkewed", _) => Fault::ClockSkew(skew(answer)),
        ("NoSuchBucket", _) => Fault::NoBucket,
        (
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | ("", 301) => Fault::OtherRegion(region(answer)),
        (
            "SlowDown"
            | "ServiceUnavailable"
            | "InternalError"
            | "RequestTimeout"
            | "ThrottlingException"
            // Somebody writes to the same key at this moment.
            | "ConditionalRequestConflict"
            | "OperationAborted",
            _,
        )
        | (_, 429 | 500 | 502 | 503 | 504) => Fault::Passing(named(code, status)),
        ("NotImplemented", _) | (_, 501) => Fault::Unsupported(doing),
        ("KeyTooLongError", _) => Fault::BadKey,
        ("AccessDenied" | "AllAccessDisabled", _) | (_, 401 | 403) => Fault::Forbidden(doing),
        // HEAD has no body, hence no code: AWS answers so to a token that has expired.
        ("", 400) => Fault::Forbidden(doing),
        ("PreconditionFailed", _) | (_, 412) => Fault::Replaced,
        (_, 404) => Fault::Refused("404".to_owned()),
        _ => Fault::Refused(named(code, status)),
    }
}

fn named(code: &str, status: u16) -> String {
    match code {
        "" => status.to_string(),
        code => format!("{status} {code}"),
    }
}

fn construction(cause: &str) -> Fault {
    let lower = cause.to_lowercase();
    match lower.contains("credential") || lower.contains("identity") {
        true => Fault::NoCredentials,
        false => Fault::Refused(cause.to_owned()),
    }
}

fn dispatch(cause: &str) -> Fault {
    let lower = cause.to_lowercase();
    let none = [
        "credentials provider",
        "loading credentials",
        "no providers in chain",
        "no credentials found",
    ];
    if none.iter().any(|n| lower.contains(n)) {
        return Fault::NoCredentials;
    }
    Fault::Passing(cause.to_owned())
}

/// All causes, the outermost first, each once.
fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        if !parts.iter().any(|p| p.contains(&text)) {
            parts.push(text);
        }
        next = e.source();
    }
    parts.join(": ")
}

fn skew(answer: &HttpResponse) -> i64 {
    let there = answer.headers().get("date").and_then(http_date);
    there.map_or(0, |there| {
        Timestamp::now().duration_since(there).as_secs().abs()
    })
}

fn region(answer: &HttpResponse) -> String {
    let named = answer.headers().get("x-amz-bucket-region");
    named.unwrap_or("which, it does not say").to_owned()
}

fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.replace("GMT", "+0000");
    rfc2822::parse(&text).ok().map(|z| z.timestamp())
}

/// `expiry-date="Fri, 21 Dec 2012 00:00:00 GMT", rule-id="…"`: `x-amz-expiration`, of a lifecycle rule.
pub(super) fn expiry(header: Option<&str>) -> Option<Timestamp> {
    let date = header?.split("expiry-date=\"").nth(1)?.split('"').next()?;
    http_date(date)
}

/// Reads `X-Delete-At` off an answer: seconds since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct DeleteAt(Arc<AtomicI64>);

impl DeleteAt {
    pub(super) fn seen(&self) -> Option<Timestamp> {
        let seconds = self.0.load(Ordering::Relaxed);
        Timestamp::from_second(seconds).ok().filter(|_| seconds > 0)
    }
}

impl Intercept for DeleteAt {
    fn name(&self) -> &'static str {
        "x-delete-at"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.response().headers().get("x-delete-at");
        if let Some(seconds) = header.and_then(|h| h.trim().parse().ok()) {
            self.0.store(seconds, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_lifecycle_rule() {
        let header = "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\", rule-id=\"old\"";
        let expires = expiry(Some(header)).unwrap();
        assert_eq!(expires.to_string(), "2012-12-21T00:00:00Z");
        assert_eq!(expiry(Some("rule-id=\"x\"")), None);
        assert_eq!(expiry(None), None);
    }
}
