//! Encryption of connections: which certificates are believed, by libpq's rules, through rustls.
//!
//! | sslmode | a root certificate is known | none is known |
//! |---|---|---|
//! | allow, prefer, require | the authority is checked | encrypted, not checked |
//! | verify-ca | the authority is checked | refused |
//! | verify-full | authority and host name are checked | refused |
//!
//! Stricter than libpq in three points: a root certificate that was named but cannot be read is an error in every
//! mode, the common name counts only for a certificate without any subjectAltName, and certificates of version 1 (what
//! `openssl x509 -req` makes when given no extensions) encrypt but cannot be verified.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::certificate;
use super::conninfo::{ClientCertificate, Encryption, Mode, Roots, Versions};

/// Prepares TLS as `encryption` asks; the error says which file is at fault.
pub(super) fn connector(encryption: &Encryption) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let trusted = trusted(&encryption.roots)?;
    if trusted.is_empty() && encryption.mode >= Mode::VerifyCa {
        return Err(no_roots(&encryption.roots));
    }
    let verifier = Verifier {
        check: match encryption.mode {
            Mode::VerifyFull => Check::Name,
            _ if trusted.is_empty() => Check::Nothing,
            _ => Check::Authority,
        },
        roots: store(&trusted)?,
        trusted,
        provider: Arc::clone(&provider),
    };
    let versions: &[_] = match encryption.versions {
        Versions::Both => &[&version::TLS13, &version::TLS12],
        Versions::Only12 => &[&version::TLS12],
        Versions::Only13 => &[&version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &encryption.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let (chain, key) = client_certificate(client)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                let path = client.certificate.display();
                format!("client certificate {path} cannot be used: {e}")
            })?
        }
    };
    config.enable_sni = encryption.server_name;
    if encryption.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// The certificates to believe; none where no file was named and the default one does not exist.
fn trusted(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = match roots {
        Roots::Default(Some(path)) if path.exists() => path,
        Roots::Default(_) => return Ok(Vec::new()),
        Roots::File(path) => path,
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            return match found.errors.first() {
                Some(e) if found.certs.is_empty() => Err(format!(
                    "the system's root certificates cannot be read: {e}"
                )),
                _ => Ok(found.certs),
            };
        }
    };
    let certificates = certificates(path).map_err(|e| root_file(path, &e))?;
    if certificates.is_empty() {
        return Err(root_file(path, "it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn root_file(path: &Path, why: &str) -> String {
    format!(
        "root certificate file {} cannot be used: {why}",
        path.display()
    )
}

fn no_roots(roots: &Roots) -> String {
    let place = match roots {
        Roots::Default(Some(path)) => format!("{} does not exist", path.display()),
        Roots::System => "the system has none".to_owned(),
        _ => "there is no home directory to look in".to_owned(),
    };
    format!("no root certificate to check the server's against: {place}")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(|found| found.collect())
        .map_err(|e| e.to_string())
}

/// What of the trusted certificates can vouch for others.
fn store(trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if added == 0 && !trusted.is_empty() {
        return Err("none of the root certificates can be understood".to_owned());
    }
    Ok(roots)
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(client: &ClientCertificate) -> Result<ChainAndKey, String> {
    let chain = certificates(&client.certificate)
        .map_err(|e| format!("client certificate {}: {e}", client.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&client.key)
        .map_err(|e| format!("client key {}: {e}", client.key.display()))?;
    Ok((chain, key))
}

/// How much of a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    Name,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    trusted: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // A server whose own self-signed certificate is the root file, as the manual's quick recipe has it, is known
        // by that very certificate; webpki would refuse it for being an authority's.
        if !self.trusted.contains(end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if self.check == Check::Name {
            verify_server_name(&certificate, server_name).or_else(|error| {
                match certificate::common_name_is(end_entity, &server_name.to_str()) {
                    true => Ok(()),
                    false => Err(error),
                }
            })?;
        }
        Ok(ServerCertVerified::assertion())
    }

    // The signature is checked even where the certificate is not: SCRAM's channel binding rests on it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        let verified = verify_tls13_signature(message, cert, dss, known);
        match certificate::public_key(cert) {
            // The only thing wrong may be the certificate's version.
            Some(key) if verified.is_err() && self.check == Check::Nothing => {
                verify_tls13_signature_with_raw_key(message, &key.into(), dss, known)
            }
            _ => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What an operator can do about a certificate that was not accepted.
pub(super) fn hint(error: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return None;
    };
    let hint = match reason {
        CertificateError::UnknownIssuer => {
            "the server's certificate is not signed by a certificate in sslrootcert; name the file of the authority \
             that signed it"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host name; connect by a name that its subjectAltName lists \
             (hostaddr=… can still say where to go), or use sslmode=verify-ca"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid today; check both clocks, or renew it"
        }
        // webpki's own errors arrive without a type.
        other if format!("{other:?}").contains("UnsupportedCertVersion") => {
            "the server's certificate is of X.509 version 1; have it issued again with a subjectAltName (openssl x509 \
             -req -extfile …), or use sslmode=require without sslrootcert, which does not check it"
        }
        _ => {
            "the server's certificate cannot be used; sslmode=require without sslrootcert does not check it"
        }
    };
    Some(hint.to_owned())
}
