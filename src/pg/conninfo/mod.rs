//! Connection strings and URIs as libpq reads them, completed from service file, variables, password file, defaults.
//!
//! ```text
//! text, uri ── pairs ── complete (service file, PG* variables) ── hosts, encryption, passfile ── Conninfo
//! ```
//!
//! Guarantees: no message quotes the text it could not read, and a password is shown nowhere. Refuses keywords that ask
//! for a protection this program cannot give.

mod complete;
mod encryption;
mod hosts;
mod keywords;
mod passfile;
mod service;
#[cfg(test)]
mod tests;
mod text;
mod uri;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Environment, PgError, Target};
pub(super) use complete::Origin;
use complete::Parameters;
pub(super) use encryption::{ClientCertificate, Encryption, Mode, Roots, Versions};
pub(super) use hosts::Address;
use passfile::{Passfile, Wanted};
use tokio_postgres::config::ChannelBinding;

/// How long to wait for a server's answer where the string does not say; libpq would wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A password, and where it was found. Has no `Debug` on purpose.
#[derive(Clone)]
pub(super) struct Password {
    pub(super) secret: String,
    pub(super) origin: Origin,
}

/// One server that may answer.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) port: u16,
    pub(super) password: Option<Password>,
}

/// Which kind of server is wanted (`target_session_attrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Whichever answers.
    Any,
    /// One whose transactions may write.
    ReadWrite,
    /// One whose transactions may not.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is.
    Standby,
    /// A standby; if none answers, whichever does.
    PreferStandby,
}

/// TCP keepalives, `None` where the operating system decides.
#[derive(Debug, Clone, Default)]
pub(super) struct Keepalive {
    pub(super) off: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
    pub(super) user_timeout: Option<Duration>,
}

/// How to reach one database.
#[derive(Clone)]
pub struct Conninfo {
    pub(super) servers: Vec<Server>,
    pub(super) database: String,
    pub(super) role: String,
    pub(super) encryption: Encryption,
    pub(super) channel_binding: ChannelBinding,
    pub(super) timeout: Option<Duration>,
    pub(super) wish: Wish,
    pub(super) keepalive: Keepalive,
    /// Whether a session opened from this (or a clone) has shown that no transaction pooler is in between.
    pub(super) direct: Arc<AtomicBool>,
    notes: Vec<String>,
}

impl Conninfo {
    /// Reads a connection string or URI and completes it from `environment`, as libpq does: what the string leaves
    /// open comes from the service file it names, then from `PG*` variables, then from defaults. An empty string takes
    /// all from there.
    ///
    /// Reads the service file and the password file; does not connect.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, PgError> {
        Self::complete(text, environment).map_err(|reason| PgError::Conninfo { reason })
    }

    fn complete(text: &str, environment: &Environment) -> Result<Self, String> {
        let mut parameters = Parameters::gather(text, environment)?;
        let role = parameters
            .get("user")
            .or(environment.user.as_deref())
            .ok_or("no role is named, and the operating system user has no name; add user=…")?
            .to_owned();
        let database = parameters.get("dbname").unwrap_or(&role).to_owned();
        let places = hosts::places(&parameters)?;
        let given = parameters.with_origin("password").map(|(secret, origin)| {
            let (secret, origin) = (secret.to_owned(), origin.clone());
            Password { secret, origin }
        });
        let passfile = match given {
            Some(_) => None,
            None => open_passfile(&mut parameters, environment),
        };
        let servers = places.into_iter().map(|place| Server {
            password: given.clone().or_else(|| {
                let host = place.address.in_passfile();
                let wanted = Wanted {
                    host: &host,
                    port: place.port,
                    database: &database,
                    role: &role,
                };
                from_passfile(passfile.as_ref()?, &wanted)
            }),
            address: place.address,
            port: place.port,
        });
        Ok(Self {
            servers: servers.collect(),
            encryption: Encryption::read(&parameters, environment)?,
            channel_binding: channel_binding(&parameters)?,
            timeout: timeout(&parameters)?,
            wish: wish(&parameters)?,
            keepalive: keepalive(&parameters)?,
            direct: Arc::new(AtomicBool::new(false)),
            notes: parameters.notes,
            database,
            role,
        })
    }

    /// What a session would be connected to, for messages; the first server where several are named.
    pub fn target(&self) -> Target {
        self.target_of(&self.servers[0])
    }

    pub(super) fn target_of(&self, server: &Server) -> Target {
        Target {
            host: server.address.shown(),
            port: server.port,
            database: self.database.clone(),
            role: self.role.clone(),
        }
    }

    /// What was found and deliberately not used, such as a password file that others can read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

// Never the password, nor anything else that a misplaced quote could have swallowed it into.
impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conninfo")
            .field("target", &self.target())
            .field("sslmode", &self.encryption.mode)
            .finish_non_exhaustive()
    }
}

fn open_passfile(parameters: &mut Parameters, environment: &Environment) -> Option<Passfile> {
    let path = match parameters.get("passfile") {
        Some(path) => PathBuf::from(path),
        None => environment.in_home(".pgpass")?,
    };
    Passfile::open(&path).unwrap_or_else(|note| {
        parameters.notes.push(note);
        None
    })
}

fn from_passfile(passfile: &Passfile, wanted: &Wanted<'_>) -> Option<Password> {
    let (secret, line) = passfile.password(wanted)?;
    Some(Password {
        secret,
        origin: Origin::Passfile(passfile.path().to_owned(), line),
    })
}

fn channel_binding(parameters: &Parameters) -> Result<ChannelBinding, String> {
    let known = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    let asked = parameters.choice("channel_binding", &known)?;
    Ok(asked.unwrap_or(ChannelBinding::Prefer))
}

fn timeout(parameters: &Parameters) -> Result<Option<Duration>, String> {
    Ok(match parameters.number("connect_timeout")? {
        None => Some(CONNECT_TIMEOUT),
        // libpq: zero and less mean no limit.
        Some(seconds) => seconds_above_zero(seconds),
    })
}

fn wish(parameters: &Parameters) -> Result<Wish, String> {
    let known = [
        ("any", Wish::Any),
        ("read-write", Wish::ReadWrite),
        ("read-only", Wish::ReadOnly),
        ("primary", Wish::Primary),
        ("standby", Wish::Standby),
        ("prefer-standby", Wish::PreferStandby),
    ];
    let asked = parameters.choice("target_session_attrs", &known)?;
    Ok(asked.unwrap_or(Wish::Any))
}

fn keepalive(parameters: &Parameters) -> Result<Keepalive, String> {
    let seconds = |name| -> Result<Option<Duration>, String> {
        Ok(parameters.number(name)?.and_then(seconds_above_zero))
    };
    let milliseconds = parameters.number("tcp_user_timeout")?;
    Ok(Keepalive {
        off: parameters.number("keepalives")? == Some(0),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: parameters
            .number("keepalives_count")?
            .and_then(|count| u32::try_from(count).ok().filter(|count| *count > 0)),
        user_timeout: milliseconds
            .and_then(|given| u64::try_from(given).ok())
            .filter(|given| *given > 0)
            .map(Duration::from_millis),
    })
}

/// `None` for zero and less, and for what no clock could wait for.
fn seconds_above_zero(seconds: i64) -> Option<Duration> {
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.into()))
}
