//! What can go wrong with a store, and what to do about it.

/// A failure, named by bucket (or directory), key and cause.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}{}: {fault}{}", key_shown(.key.as_deref()), said(.message))]
pub struct StoreError {
    /// The bucket or directory, as in the configuration.
    pub place: String,
    /// The object, where it is about one.
    pub key: Option<String>,
    /// What is wrong.
    pub fault: Fault,
    /// The store's own words; empty where it had none.
    pub message: String,
}

fn key_shown(key: Option<&str>) -> String {
    key.map_or_else(String::new, |k| format!(" `{k}`"))
}

fn said(message: &str) -> String {
    match message {
        "" => String::new(),
        words => format!(" ({words})"),
    }
}

/// What is wrong with a store or an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The credential chain gave nothing.
    #[error("there are no credentials for it")]
    NoCredentials,
    /// The access key or the signature is not accepted.
    #[error("the credentials are not accepted")]
    WrongCredentials,
    /// They were good once.
    #[error("the credentials have expired")]
    Expired,
    /// The store and this machine disagree about the time.
    #[error("this machine's clock is {0} seconds away from the store's")]
    ClockSkew(i64),
    /// No such bucket, or directory.
    #[error("it does not exist")]
    NoBucket,
    /// The bucket is elsewhere.
    #[error("it is in another region: {0}")]
    OtherRegion(String),
    /// Permission lacks.
    #[error("{0} is not permitted")]
    Forbidden(&'static str),
    /// The store cannot do this.
    #[error("the store does not know {0}")]
    Unsupported(&'static str),
    /// The key cannot be one of this store.
    #[error("this can be no key there")]
    BadKey,
    /// Tried often enough.
    #[error("no usable answer, tried {attempts} times: {cause}")]
    Unavailable {
        /// How often.
        attempts: u32,
        /// The last cause.
        cause: String,
    },
    /// Might work if tried again; never leaves the store.
    #[error("{0}")]
    Passing(String),
    /// Anything else.
    #[error("refused with {0}")]
    Refused(String),
    /// The file system says no.
    #[error("{0}")]
    Io(String),
    /// Another object than a moment ago.
    #[error("it became another object meanwhile")]
    Replaced,
}

impl StoreError {
    /// Whether it concerns this one object only: the others can still be asked for.
    pub fn is_about_object(&self) -> bool {
        self.key.is_some()
            && matches!(
                self.fault,
                Fault::Forbidden(_) | Fault::BadKey | Fault::Replaced | Fault::Io(_)
            )
    }

    /// The way out, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        let text = match &self.fault {
            Fault::NoCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws (profile = \"…\" in [stores.NAME], \
                 or --profile). Of `aws sso login`: eval \"$(aws configure export-credentials --format env)\""
            }
            Fault::WrongCredentials => {
                "check the access key and its secret, and that they belong to this endpoint; primary and backup may have a \
                 profile each (profile = \"…\")"
            }
            Fault::Expired => {
                "get new ones and run the same command again: it goes on where it stopped"
            }
            Fault::ClockSkew(_) => "set the clock of this machine (timedatectl), and run again",
            Fault::NoBucket => {
                "check the name in [stores.NAME], and the endpoint (endpoint_url, --endpoint-url)"
            }
            Fault::OtherRegion(_) => "write region = \"…\" in [stores.NAME], or --region",
            Fault::Forbidden("listing") => "grant s3:ListBucket on the bucket",
            Fault::Forbidden(_) => {
                "grant s3:GetObject and s3:ListBucket (and, for old versions, s3:ListBucketVersions and \
                                    s3:GetObjectVersion)"
            }
            Fault::Unavailable { .. } => {
                "run the same command again: it goes on where it stopped; --rps and --concurrency ask less of the store"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
