//! Checksums as applications record them: hex or base64, with or without the algorithm's name.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Bytes of a checksum.
    fn width(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain: String = text
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        let known = Self::ALL.into_iter().find(|a| a.to_string() == plain);
        known.ok_or_else(|| {
            format!("`{text}` is no checksum known here: md5, sha1, sha256 or sha512")
        })
    }
}

/// A checksum of a file's whole content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum {
    /// How it was computed.
    pub algorithm: Algorithm,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Checksum {
    /// Reads one in hex or base64. Without an algorithm its length tells which.
    ///
    /// Errors: for people, where it is none of that algorithm, or of none known.
    pub fn read(text: &str, algorithm: Option<Algorithm>) -> Result<Self, String> {
        let text = text.trim();
        let fits = |bytes: &Vec<u8>| match algorithm {
            Some(a) => a.width() == bytes.len(),
            None => Algorithm::ALL.iter().any(|a| a.width() == bytes.len()),
        };
        let bytes = hex(text)
            .filter(fits)
            .or_else(|| base64(text).filter(fits))
            .ok_or_else(|| match algorithm {
                Some(a) => format!("`{text}` is no {a} in hex or base64"),
                None => format!("`{text}` has the length of no checksum known here"),
            })?;
        let by_length = Algorithm::ALL
            .into_iter()
            .find(|a| a.width() == bytes.len());
        Ok(Self {
            algorithm: algorithm.or(by_length).unwrap_or(Algorithm::Md5),
            bytes,
        })
    }

    /// In hex.
    pub fn hex(&self) -> String {
        self.bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits.filter(|d| d.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect(),
    )
}

/// Padded or not, of either alphabet.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut plain = text.replace('-', "+").replace('_', "/");
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    BASE64_STANDARD.decode(plain).ok()
}

/// Computes a checksum piece by piece.
pub enum Hasher {
    /// MD5.
    Md5(Md5),
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// Begins.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Md5(h) => h.update(piece),
            Self::Sha1(h) => h.update(piece),
            Self::Sha256(h) => h.update(piece),
            Self::Sha512(h) => h.update(piece),
        }
    }

    /// Ends.
    pub fn finish(self) -> Checksum {
        let (algorithm, bytes) = match self {
            Self::Md5(h) => (Algorithm::Md5, h.finalize().to_vec()),
            Self::Sha1(h) => (Algorithm::Sha1, h.finalize().to_vec()),
            Self::Sha256(h) => (Algorithm::Sha256, h.finalize().to_vec()),
            Self::Sha512(h) => (Algorithm::Sha512, h.finalize().to_vec()),
        };
        Checksum { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of nothing at all, as `md5sum`, `sha1sum` and `sha256sum` print them.
    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn both_encodings_are_one_checksum() {
        for (text, algorithm) in [
            (MD5, Algorithm::Md5),
            ("1B2M2Y8AsgTpgAmY7PhCfg==", Algorithm::Md5),
            ("1B2M2Y8AsgTpgAmY7PhCfg", Algorithm::Md5),
            (SHA1, Algorithm::Sha1),
            (SHA256, Algorithm::Sha256),
            (&SHA256.to_uppercase(), Algorithm::Sha256),
            (
                "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
                Algorithm::Sha256,
            ),
        ] {
            let read = Checksum::read(text, None).unwrap();
            assert_eq!(read, Hasher::new(algorithm).finish(), "{text}");
            assert_eq!(Checksum::read(text, Some(algorithm)), Ok(read));
        }
        assert_eq!(Hasher::new(Algorithm::Sha1).finish().hex(), SHA1);
    }

    #[test]
    fn what_is_no_checksum() {
        for text in [
            "",
            "abc",
            "d41d8cd98f00b204e9800998ecf8427e-3",
            "not one at all",
        ] {
            assert!(Checksum::read(text, None).is_err(), "{text}");
        }
        assert!(Checksum::read(MD5, Some(Algorithm::Sha256)).is_err());
        assert_eq!("SHA-256".parse(), Ok(Algorithm::Sha256));
        assert!("crc32".parse::<Algorithm>().is_err());
    }
}
