//! The two things about a server's certificate that rustls does not tell: its common name, and the key of one that is of
//! an older version than rustls reads. Both are usual among certificates made by hand for PostgreSQL.
//!
//! Verifies nothing by itself.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The public key (a `SubjectPublicKeyInfo`), whatever the certificate's version.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    certificate
        .tbs_certificate
        .subject_public_key_info
        .to_der()
        .ok()
}

/// Whether the certificate has no subjectAltName and its common name stands for `host`.
///
/// Source: RFC 6125, section 6.4.4, which allows this as a last resort.
pub(super) fn common_name_is(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return false;
    };
    let certificate = certificate.tbs_certificate;
    let mut extensions = certificate.extensions.iter().flatten();
    if extensions.any(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        return false;
    }
    let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let names: Vec<&[u8]> = parts
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .map(|attribute| attribute.value.value())
        .collect();
    match names[..] {
        [name] => std::str::from_utf8(name).is_ok_and(|name| stands_for(name, host)),
        _ => false,
    }
}

/// Whether `name` is `host`, or a `*.` for its first label.
fn stands_for(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let wild = || {
        let parent = name.strip_prefix("*.")?;
        let (label, rest) = host.split_once('.')?;
        Some(!label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent))
    };
    name.eq_ignore_ascii_case(host) || wild().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::pem::PemObject;
    use rustls::server::ParsedCertificate;

    use super::*;

    /// Made by `openssl x509 -req -signkey`, without extensions.
    const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBJTCBzQIUJfJluMxzio0V6DPxWvyuUIVSEjkwCgYIKoZIzj0EAwIwFTETMBEG
A1UEAwwKZGIuZXhhbXBsZTAgFw0yNjExMjIxODUzMjhaGA8yMTI2MTAyOTE4NTMy
OFowFTETMBEGA1UEAwwKZGIuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABH03LqiXx6ss63Z+a8RgeGIEzcytwdrivrXmQJRCXpI8KgWGnfoFymciLhAz
g0QEyDOcqgqnfyQtJ9jRb+ypcBEwCgYIKoZIzj0EAwIDRwAwRAIgXobyVzspdIwK
t1xaaBdONY6CZxjoRBS7NBQY3JCgIkECIGfC2+sZ2akGMa/OHXPUB9nh2/QSAGtY
eKZtNKgqpD18
-----END CERTIFICATE-----
";

    #[test]
    fn a_version_1_certificate_still_gives_its_key() {
        let certificate = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
        assert!(ParsedCertificate::try_from(&certificate).is_err());
        assert!(public_key(&certificate).is_some());
        assert!(public_key(&CertificateDer::from(&b"nonsense"[..])).is_none());
    }

    #[test]
    fn the_common_name_counts_only_without_alternative_names() {
        for (alternatives, expected) in [(vec![], true), (vec!["other".to_owned()], false)] {
            let mut params = CertificateParams::new(alternatives).unwrap();
            params.distinguished_name.remove(DnType::CommonName);
            params
                .distinguished_name
                .push(DnType::CommonName, "db.example");
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(common_name_is(certificate.der(), "db.example"), expected);
            assert!(!common_name_is(certificate.der(), "other"));
        }
    }

    #[test]
    fn common_names_match_as_host_names_do() {
        for (name, host, expected) in [
            ("db.example", "db.example", true),
            ("DB.example", "db.EXAMPLE.", true),
            ("db.example", "db.example.org", false),
            ("*.example.org", "db.example.org", true),
            ("*.example.org", "a.db.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.org", "example.org", false),
            ("*", "db", false),
            ("", "", true),
        ] {
            assert_eq!(stands_for(name, host), expected, "{name} {host}");
        }
    }
}
