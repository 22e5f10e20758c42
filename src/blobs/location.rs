//! Where objects live: `s3://bucket/prefix` or `dir:/path`, and how to reach them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::stored_size::StoredSize;

/// A place, as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A bucket, with what stands before each key.
    S3 {
        /// The bucket.
        bucket: String,
        /// Empty, or ending in a slash.
        prefix: String,
    },
    /// A directory.
    Directory(PathBuf),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("dir:") {
            return match path.starts_with('/') {
                true => Ok(Self::Directory(path.into())),
                false => Err(format!("`{text}`: write dir: and an absolute path")),
            };
        }
        let Some(rest) = text.strip_prefix("s3://") else {
            return Err(format!(
                "`{text}` is no place: write s3://bucket, s3://bucket/prefix or dir:/path"
            ));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        match bucket {
            "" => Err(format!("`{text}` names no bucket")),
            bucket => Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: match prefix {
                    "" => String::new(),
                    some => format!("{some}/"),
                },
            }),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                write!(f, "s3://{bucket}{slash}{}", prefix.trim_end_matches('/'))
            }
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

/// How the keys become paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// The key is the path.
    #[default]
    Plain,
    /// `ab/cd/abcd…`, as ActiveStorage's disk service keeps files. Source: Rails, `ActiveStorage::Service::DiskService#folder_for`.
    ActiveStorage,
}

impl Layout {
    /// The path of a key, below the store's place.
    pub fn path(self, key: &str) -> String {
        let chars: Vec<char> = key.chars().take(4).collect();
        match (self, chars.as_slice()) {
            (Self::ActiveStorage, [a, b, c, d]) => format!("{a}{b}/{c}{d}/{key}"),
            _ => key.to_owned(),
        }
    }
}

/// One side of a store: where, and how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// Where.
    pub location: Location,
    /// How keys become paths.
    pub layout: Layout,
    /// Another endpoint than AWS's.
    pub endpoint_url: Option<String>,
    /// The region; else the credential chain's.
    pub region: Option<String>,
    /// A profile of `~/.aws`.
    pub profile: Option<String>,
    /// A file with certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The bucket in the path, not in the host's name; by default wherever an endpoint is given.
    pub path_style: Option<bool>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// The size that a file of so many bytes has there, where something on the way encrypts it.
    pub stored_size: Option<StoredSize>,
    /// Whether something changes the bytes on the way in: then none of them can be compared.
    pub rewrites: bool,
}

impl Side {
    /// A place with nothing said about it.
    pub fn at(location: Location) -> Self {
        Self {
            location,
            layout: Layout::Plain,
            endpoint_url: None,
            region: None,
            profile: None,
            ca_file: None,
            path_style: None,
            timeout: None,
            stored_size: None,
            rewrites: false,
        }
    }
}

/// `[stores.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    /// Its name: what rows call it.
    pub name: String,
    /// What the application reads and writes.
    pub primary: Side,
    /// A copy that the loss did not reach, where there is one.
    pub backup: Option<Side>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, shown) in [
            ("s3://b", "s3://b"),
            ("s3://b/", "s3://b"),
            ("s3://b/p/q/", "s3://b/p/q"),
            ("dir:/srv/files", "dir:/srv/files"),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
        for wrong in ["b", "s3://", "s3:///p", "dir:srv", "/srv", "https://h/b"] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn layouts() {
        assert_eq!(Layout::ActiveStorage.path("xYz9abc"), "xY/z9/xYz9abc");
        assert_eq!(Layout::ActiveStorage.path("xy"), "xy");
        assert_eq!(Layout::Plain.path("a/b"), "a/b");
    }
}
