//! Which encryption a connection string asks for: modes, root certificates, client certificates.
//!
//! Reads names only; the files themselves are opened when a connection is (see `tls`).
//!
//! Source: PostgreSQL manual, "SSL Support" of libpq.

use std::path::PathBuf;

use super::super::Environment;
use super::complete::Parameters;

/// `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pg) enum Mode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server insists.
    Allow,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted; the certificate is checked only where a root certificate is known.
    Require,
    /// Encrypted, by a certificate of a known authority.
    VerifyCa,
    /// Encrypted, by a certificate of a known authority that bears the host's name.
    VerifyFull,
}

/// Where trusted authorities are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Roots {
    /// No file was named, and the default one may or may not exist.
    Default(Option<PathBuf>),
    /// The file named by `sslrootcert`.
    File(PathBuf),
    /// The operating system's.
    System,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) struct ClientCertificate {
    pub(in crate::pg) certificate: PathBuf,
    pub(in crate::pg) key: PathBuf,
}

/// The newest and oldest TLS that is allowed, as far as this program knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pg) enum Versions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 only.
    Only12,
    /// 1.3 only.
    Only13,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) struct Encryption {
    pub(in crate::pg) mode: Mode,
    pub(in crate::pg) roots: Roots,
    pub(in crate::pg) client: Option<ClientCertificate>,
    pub(in crate::pg) versions: Versions,
    /// Whether the host's name is told to the server before encryption starts.
    pub(in crate::pg) server_name: bool,
    /// Whether TLS starts at once, without asking the server (PostgreSQL 17).
    pub(in crate::pg) direct: bool,
}

impl Encryption {
    pub(super) fn read(parameters: &Parameters, environment: &Environment) -> Result<Self, String> {
        let modes = [
            ("disable", Mode::Disable),
            ("allow", Mode::Allow),
            ("prefer", Mode::Prefer),
            ("require", Mode::Require),
            ("verify-ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
        ];
        let asked = parameters.choice("sslmode", &modes)?;
        let roots = match parameters.get("sslrootcert") {
            Some("system") => Roots::System,
            Some(path) => Roots::File(path.into()),
            None => Roots::Default(environment.in_home(".postgresql/root.crt")),
        };
        let mode = match (asked, &roots) {
            (None | Some(Mode::VerifyFull), Roots::System) => Mode::VerifyFull,
            (Some(_), Roots::System) => {
                return Err(
                    "\"sslrootcert\" set to system needs sslmode=verify-full: anybody can have a \
                     certificate of a public authority"
                        .to_owned(),
                );
            }
            (asked, _) => asked.unwrap_or(Mode::Prefer),
        };
        let switch = [("postgres", false), ("direct", true)];
        let direct = parameters
            .choice("sslnegotiation", &switch)?
            .unwrap_or(false);
        if direct && mode < Mode::Require {
            return Err(
                "\"sslnegotiation\" set to direct needs sslmode=require or more".to_owned(),
            );
        }
        Ok(Self {
            mode,
            roots,
            client: client_certificate(parameters, environment),
            versions: versions(parameters)?,
            server_name: parameters
                .choice("sslsni", &[("0", false), ("1", true)])?
                .unwrap_or(true),
            direct,
        })
    }
}

fn client_certificate(
    parameters: &Parameters,
    environment: &Environment,
) -> Option<ClientCertificate> {
    let certificate = match parameters.get("sslcert") {
        Some(path) => PathBuf::from(path),
        None => environment
            .in_home(".postgresql/postgresql.crt")
            .filter(|path| path.exists())?,
    };
    let key = match parameters.get("sslkey") {
        Some(path) => PathBuf::from(path),
        None => environment.in_home(".postgresql/postgresql.key")?,
    };
    Some(ClientCertificate { certificate, key })
}

fn versions(parameters: &Parameters) -> Result<Versions, String> {
    // Older ones than 1.2 are not spoken here, so a lower floor changes nothing.
    let known = [
        ("TLSv1", 10),
        ("TLSv1.1", 11),
        ("TLSv1.2", 12),
        ("TLSv1.3", 13),
    ];
    let oldest = parameters.choice("ssl_min_protocol_version", &known)?;
    let newest = parameters.choice("ssl_max_protocol_version", &known)?;
    match (oldest.unwrap_or(12), newest.unwrap_or(13)) {
        (oldest, newest) if oldest > newest || newest < 12 => Err(
            "no TLS version is left between \"ssl_min_protocol_version\" and \
             \"ssl_max_protocol_version\"; TLSv1.2 and TLSv1.3 are spoken"
                .to_owned(),
        ),
        (13, _) => Ok(Versions::Only13),
        (_, 12) => Ok(Versions::Only12),
        _ => Ok(Versions::Both),
    }
}
