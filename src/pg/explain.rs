//! Says why no connection came about, and what an operator can do about it.
//!
//! Guarantees: says where a refused password came from, never the password.

use std::error::Error;
use std::io;

use super::connect::Failure;
use super::conninfo::{Origin, Password, Server};
use super::error::root_cause;
use super::{Conninfo, PgError, tls};

/// Composes the error of having tried `failures`, the last of which decides the hint.
pub(super) fn refusal(conninfo: &Conninfo, failures: &[(&Server, Failure)]) -> PgError {
    let Some((server, last)) = failures.last() else {
        // No caller has an empty list; an empty message would be worse than this one.
        return PgError::Connect {
            target: conninfo.target().to_string(),
            cause: "no server is named".to_owned(),
            sqlstate: None,
            hint: None,
        };
    };
    let mut cause = cause(last);
    if failures.len() > 1 {
        let all: Vec<_> = failures
            .iter()
            .map(|(server, failure)| {
                let host = server.address.shown();
                format!("{host}:{}: {}", server.port, self::cause(failure))
            })
            .collect();
        cause = format!("none of {} servers would do: {}", all.len(), all.join("; "));
    }
    PgError::Connect {
        target: conninfo.target_of(server).to_string(),
        cause,
        sqlstate: match last {
            Failure::Client(error) => error.code().map(|code| code.code().to_owned()),
            _ => None,
        },
        hint: hint(conninfo, server, last),
    }
}

fn cause(failure: &Failure) -> String {
    match failure {
        Failure::Resolve(reason) => format!("the host name cannot be resolved: {reason}"),
        Failure::Timeout(limit) => format!("no answer within {} s", limit.as_secs()),
        Failure::TlsSetup(reason) => reason.clone(),
        Failure::WrongKind(reason) => (*reason).to_owned(),
        Failure::Client(error) => match error.as_db_error() {
            Some(db) => db.message().to_owned(),
            None if rustls_error(error).is_some() => {
                format!("the TLS handshake failed: {}", root_cause(error))
            }
            None => match root_cause(error).as_str() {
                "password missing" => {
                    "the server asks for a password, and none is known".to_owned()
                }
                cause => cause.to_owned(),
            },
        },
    }
}

fn hint(conninfo: &Conninfo, server: &Server, failure: &Failure) -> Option<String> {
    let host = server.address.shown();
    let hint = match failure {
        Failure::Resolve(_) => format!("check the spelling of host {host}, and this machine's DNS"),
        Failure::Timeout(_) => format!(
            "a firewall may drop packets to {host}:{}, or the server is overloaded; connect_timeout=… sets the limit",
            server.port
        ),
        Failure::TlsSetup(reason) if reason.contains("client") => {
            "sslcert=… and sslkey=… name a certificate and its unencrypted key, both in PEM form"
                .to_owned()
        }
        Failure::TlsSetup(_) => {
            "sslrootcert=… names the file of the authority that signed the server's certificate"
                .to_owned()
        }
        Failure::WrongKind(_) => {
            "target_session_attrs decides which servers are accepted".to_owned()
        }
        Failure::Client(error) => return client_hint(conninfo, server, error),
    };
    Some(hint)
}

fn client_hint(
    conninfo: &Conninfo,
    server: &Server,
    error: &tokio_postgres::Error,
) -> Option<String> {
    if let Some(db) = error.as_db_error() {
        return server_hint(conninfo, server, db.code().code(), db.message());
    }
    if let Some(tls) = rustls_error(error) {
        return tls::hint(tls);
    }
    let (host, port) = (server.address.shown(), server.port);
    if let Some(io) = find::<io::Error>(error) {
        let hint = match io.kind() {
            io::ErrorKind::ConnectionRefused => format!(
                "is PostgreSQL running on {host}, and does it listen on port {port} of that address \
                 (listen_addresses)?"
            ),
            io::ErrorKind::NotFound => format!(
                "there is no socket for port {port} in {host}; is the server running, and is that its \
                 unix_socket_directories?"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("this operating system user may not use the socket in {host}")
            }
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                format!("there is no route from here to {host}")
            }
            _ => return None,
        };
        return Some(hint);
    }
    match root_cause(error).as_str() {
        "password missing" => Some(password_hint(conninfo, server)),
        "server does not support TLS" => Some(format!(
            "{host} has ssl off; sslmode=prefer would connect without encryption"
        )),
        "unsupported authentication method" => Some(
            "the server asks for Kerberos, GSSAPI or SSPI, which are not supported here; give the role a password \
             method (scram-sha-256) in pg_hba.conf"
                .to_owned(),
        ),
        _ => None,
    }
}

fn server_hint(
    conninfo: &Conninfo,
    server: &Server,
    sqlstate: &str,
    message: &str,
) -> Option<String> {
    let (role, database, host) = (&conninfo.role, &conninfo.database, server.address.shown());
    let hint = match sqlstate {
        "28P01" => password_hint(conninfo, server),
        "28000" if message.contains("pg_hba.conf") => {
            let otherwise = match message {
                said if said.contains("no encryption") => ", or try sslmode=require",
                said if said.contains("SSL encryption") => ", or try sslmode=prefer",
                _ => "",
            };
            format!(
                "add a line to pg_hba.conf on {host} for role {role} and database {database} from this machine's \
                 address, and reload the server{otherwise}"
            )
        }
        "28000" if message.contains("Peer authentication") => format!(
            "over a Unix socket the operating system user must be called {role} too; name a host to use a password \
             instead"
        ),
        "28000" => format!("check that role {role} exists on {host} and has LOGIN"),
        "3D000" => format!("check the spelling; psql -l lists the databases of {host}"),
        "42501" => format!("grant role {role} CONNECT on database {database}"),
        "53300" => "all connection slots are taken; free some, or raise max_connections".to_owned(),
        "57P03" => {
            "the server is starting up, shutting down or recovering; try again shortly".to_owned()
        }
        "08P01" if message.contains("startup parameter") => POOLER_PARAMETER.to_owned(),
        _ => return None,
    };
    Some(hint)
}

const POOLER_PARAMETER: &str = "a pooler is in between; connect to PostgreSQL directly, or add the parameter to the \
                                pooler's ignore_startup_parameters";

fn password_hint(conninfo: &Conninfo, server: &Server) -> String {
    let (role, host) = (&conninfo.role, server.address.shown());
    let places = [
        "the connection string",
        "PGPASSWORD",
        "a service file",
        "~/.pgpass (permissions 0600)",
    ];
    match &server.password {
        Some(Password { origin, .. }) => {
            let used = match origin {
                Origin::Text => 0,
                Origin::Variable(_) => 1,
                Origin::Service(_) => 2,
                Origin::Passfile(..) => 3,
            };
            let others = places.iter().enumerate().filter(|(n, _)| *n != used);
            let others: Vec<&str> = others.map(|(_, place)| *place).collect();
            format!(
                "the password sent for role {role} on {host} came from {origin}; it may also come from {}",
                others.join(", ")
            )
        }
        None => format!(
            "no password was found for role {role} on {host}; put it into {}",
            places.join(", or ")
        ),
    }
}

/// Whether TLS, as opposed to the network or the server, is at fault.
pub(super) fn is_tls(error: &tokio_postgres::Error) -> bool {
    rustls_error(error).is_some()
        || error
            .to_string()
            .starts_with("error performing TLS handshake")
}

/// The TLS library's own error, wherever it is wrapped.
fn rustls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    // An I/O error hides what it wraps from `source`.
    find::<io::Error>(error)?.get_ref()?.downcast_ref()
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}
