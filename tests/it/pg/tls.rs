//! What each `sslmode` accepts and refuses, with certificates made for the test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use reinstate::pg::Environment;

use super::server::{PASSWORD, Server, give};
use super::{must_say, open, open_in, refusal};

/// The name the server's certificate bears; the server itself is reached by address.
const NAME: &str = "db.example";

/// Certificate files in the server's directory.
pub(crate) struct Certificates {
    pub(super) directory: PathBuf,
}

impl Certificates {
    pub(crate) fn write(directory: &Path) -> Self {
        let files = Self {
            directory: directory.to_owned(),
        };
        let authority = authority("the right one");
        files.put("root.crt", &authority.pem());
        files.put("other.crt", &self::authority("another").pem());
        files.put("empty.crt", "no certificate\n");
        for (file, name) in [("server", NAME), ("client", "certified")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).unwrap();
            files.put(&format!("{file}.crt"), &certificate.pem());
            files.put(&format!("{file}.key"), &key.serialize_pem());
        }
        files
    }

    fn put(&self, name: &str, content: &str) {
        let path = self.directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        give(&path);
    }

    /// Settings for the server.
    pub(crate) fn settings(&self) -> String {
        let shown = self.directory.display();
        format!(
            "ssl_cert_file = '{shown}/server.crt'\nssl_key_file = '{shown}/server.key'\n\
             ssl_ca_file = '{shown}/root.crt'\n"
        )
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Whether the session that `text` opens is encrypted.
async fn encrypted(text: &str) -> bool {
    let session = open(text).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    session.query_one("asking", sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn each_mode_encrypts_as_it_says() {
    let server = Server::shared();
    for (more, expected) in [
        ("sslmode=disable", false),
        ("sslmode=allow", false),
        ("sslmode=prefer", true),
        ("", true),
        ("sslmode=require", true),
        ("sslmode=require ssl_min_protocol_version=TLSv1.3", true),
        ("sslmode=require ssl_max_protocol_version=TLSv1.2", true),
        ("sslmode=require channel_binding=require", true),
        ("user=only_tls sslmode=allow", true),
        ("user=only_plain sslmode=prefer", false),
    ] {
        assert_eq!(encrypted(&server.anna(more)).await, expected, "{more}");
    }
    for more in [
        "user=only_tls sslmode=disable",
        "user=only_plain sslmode=require",
    ] {
        must_say(
            &refusal(&server.anna(more)).await,
            &["28000", "pg_hba.conf"],
        );
    }
    // Nobody is in between on a Unix socket.
    assert!(!encrypted(&format!("{} sslmode=verify-full", server.owner())).await);
}

#[tokio::test]
async fn certificates_are_checked_as_far_as_asked() {
    let server = Server::shared();
    let right = format!("sslrootcert={}", server.certificates.path("root.crt"));
    let wrong = format!("sslrootcert={}", server.certificates.path("other.crt"));
    let itself = format!("sslrootcert={}", server.certificates.path("server.crt"));
    let named = format!("host={NAME} hostaddr=127.0.0.1");
    for more in [
        format!("{right} sslmode=require"),
        format!("{right} sslmode=verify-ca"),
        format!("{right} sslmode=verify-full {named}"),
        format!("{itself} sslmode=verify-full {named}"),
    ] {
        assert!(encrypted(&server.anna(&more)).await, "{more}");
    }
    for more in [
        "sslmode=require",
        "sslmode=verify-ca",
        "sslmode=verify-full",
    ] {
        let said = refusal(&server.anna(&format!("{wrong} {more} {named}"))).await;
        must_say(
            &said,
            &["TLS handshake failed", "UnknownIssuer", "sslrootcert"],
        );
    }
    let said = refusal(&server.anna(&format!("{right} sslmode=verify-full"))).await;
    must_say(&said, &["another host name", NAME]);
    let said = refusal(&server.anna(&format!("{right} sslmode=verify-full host=localhost"))).await;
    must_say(&said, &["another host name"]);
    // Prefer does not insist: what cannot be trusted is not used for encryption.
    assert!(!encrypted(&server.anna(&format!("{wrong} sslmode=prefer"))).await);
    let public = refusal(&server.anna(&format!("sslrootcert=system {named}"))).await;
    must_say(&public, &["cannot connect"]);
}

#[tokio::test]
async fn root_certificates_that_cannot_be_read_are_named() {
    let server = Server::shared();
    let said = refusal(&server.anna("sslmode=verify-full")).await;
    must_say(&said, &["no root certificate", "sslrootcert"]);
    let said = refusal(&server.anna("sslmode=require sslrootcert=/nonexistent")).await;
    must_say(&said, &["/nonexistent", "cannot be used"]);
    let empty = server.certificates.path("empty.crt");
    let said = refusal(&server.anna(&format!("sslmode=verify-ca sslrootcert={empty}"))).await;
    must_say(&said, &["no certificate in PEM form"]);

    // The default place, as libpq looks for it.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".postgresql")).unwrap();
    let default = home.path().join(".postgresql/root.crt");
    let environment = Environment::new([], Some(home.path().to_owned()), None);
    let text = server.anna("sslmode=require");
    fs::copy(server.certificates.path("root.crt"), &default).unwrap();
    open_in(&text, &environment).await.unwrap();
    fs::copy(server.certificates.path("other.crt"), &default).unwrap();
    assert!(open_in(&text, &environment).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_is_sent() {
    let server = Server::shared();
    let files = &server.certificates;
    let text = format!("{} user=certified sslmode=require", server.tcp());
    let with = format!(
        "{text} sslcert={} sslkey={}",
        files.path("client.crt"),
        files.path("client.key")
    );
    assert!(encrypted(&with).await);
    must_say(&refusal(&text).await, &["certificate"]);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    // A listener that answers every request for TLS as a server with ssl off does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 8];
            let _ = stream.read_exact(&mut request).await;
            let _ = stream.write_all(b"N").await;
        }
    });
    let text = format!("host=127.0.0.1 port={port} user=anna password={PASSWORD}");
    let said = refusal(&format!("{text} sslmode=require")).await;
    must_say(
        &said,
        &["does not support TLS", "ssl off", "sslmode=prefer"],
    );
}
