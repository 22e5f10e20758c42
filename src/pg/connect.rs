//! Opens connections: one server after the other, one way of encryption after the other, as libpq does.
//!
//! Guarantees: no wait without a limit (unless the string asks for that), encryption never weaker than `sslmode` says,
//! and a wrong password is sent once. Goes on to the next server only where libpq would: this one did not answer, is
//! starting up or shutting down, or is not of the kind wanted.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{Address, Mode, Server, Wish};
use super::explain;
use super::{Conninfo, PgError, Target, tls};

/// A connection that has been authenticated.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Ends the connection at once.
    pub(super) connection: AbortHandle,
    pub(super) target: Target,
    /// What the connection was encrypted with, to cancel by.
    pub(super) tls: Option<MakeRustlsConnect>,
}

/// Why one server could not be connected to.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its name is unknown.
    Resolve(String),
    /// It did not answer in time.
    Timeout(Duration),
    /// TLS could not be prepared on this side.
    TlsSetup(String),
    /// It answered, and is not of the kind asked for.
    WrongKind(&'static str),
    /// What the client library says.
    Client(tokio_postgres::Error),
}

impl Failure {
    fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Client(error) => error.code(),
            _ => None,
        }
    }

    /// Whether another server of the list could do better.
    fn next_server_may_answer(&self) -> bool {
        match self {
            Self::TlsSetup(_) => false,
            Self::Client(_) => self
                .sqlstate()
                .is_none_or(|state| *state == SqlState::CANNOT_CONNECT_NOW),
            _ => true,
        }
    }

    /// Whether the same server could answer with, or without, encryption.
    fn encryption_matters(&self) -> bool {
        match self {
            Self::Client(error) => match error.code() {
                // No line of pg_hba.conf for this kind of connection.
                Some(state) => *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                None => explain::is_tls(error),
            },
            _ => false,
        }
    }
}

/// Connects to the first server that answers.
pub(super) async fn connect(conninfo: &Conninfo, application: &str) -> Result<Connected, PgError> {
    let mut failures: Vec<(&Server, Failure)> = Vec::new();
    let rounds: &[Wish] = match conninfo.wish {
        Wish::PreferStandby => &[Wish::Standby, Wish::Any],
        ref wish => std::slice::from_ref(wish),
    };
    'rounds: for wish in rounds {
        failures.clear();
        for server in &conninfo.servers {
            match server_of(conninfo, server, *wish, application).await {
                Ok(connected) => return Ok(connected),
                Err(failure) => {
                    let go_on = failure.next_server_may_answer();
                    failures.push((server, failure));
                    if !go_on {
                        break 'rounds;
                    }
                }
            }
        }
    }
    Err(explain::refusal(conninfo, &failures))
}

/// Connects to `server` by the first of its addresses that answers.
async fn server_of(
    conninfo: &Conninfo,
    server: &Server,
    wish: Wish,
    application: &str,
) -> Result<Connected, Failure> {
    let addresses: Vec<Option<IpAddr>> = match &server.address {
        Address::Socket(_) => vec![None],
        Address::Ip { ip, .. } => vec![Some(*ip)],
        Address::Name(name) => {
            let lookup = tokio::net::lookup_host((name.as_str(), server.port));
            let found = limited(conninfo.timeout, async {
                lookup.await.map_err(|e| Failure::Resolve(e.to_string()))
            });
            found.await?.map(|found| Some(found.ip())).collect()
        }
    };
    let mut last = Failure::Resolve("the name has no address".to_owned());
    for address in addresses {
        let config = config(conninfo, server, address, application);
        match encryption_of(conninfo, server, config, wish).await {
            Ok(connected) => return Ok(connected),
            Err(failure) if failure.next_server_may_answer() => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

/// Connects with the kinds of encryption that `sslmode` allows, in its order.
async fn encryption_of(
    conninfo: &Conninfo,
    server: &Server,
    mut config: Config,
    wish: Wish,
) -> Result<Connected, Failure> {
    let ways: &[SslMode] = match (&server.address, conninfo.encryption.mode) {
        // Never encrypted, whatever the mode says: nobody is in between.
        (Address::Socket(_), _) | (_, Mode::Disable) => &[SslMode::Disable],
        (_, Mode::Allow) => &[SslMode::Disable, SslMode::Require],
        (_, Mode::Prefer) => &[SslMode::Prefer, SslMode::Disable],
        _ => &[SslMode::Require],
    };
    let mut outcome = Err(Failure::Timeout(Duration::ZERO));
    for way in ways {
        config.ssl_mode(*way);
        let tls = match way {
            SslMode::Disable => None,
            _ => Some(tls::connector(&conninfo.encryption).map_err(Failure::TlsSetup)?),
        };
        let attempt = async {
            let dialled = dial(&config, tls.clone()).await.map_err(Failure::Client)?;
            check_kind(&dialled.0, wish).await?;
            Ok(dialled)
        };
        outcome = limited(conninfo.timeout, attempt)
            .await
            .map(|(client, connection)| Connected {
                client,
                connection,
                target: conninfo.target_of(server),
                tls,
            });
        if !matches!(&outcome, Err(failure) if failure.encryption_matters()) {
            break;
        }
    }
    outcome
}

/// One connection; what it needs to live runs beside, and ends with the client.
async fn dial(
    config: &Config,
    tls: Option<MakeRustlsConnect>,
) -> Result<(Client, AbortHandle), tokio_postgres::Error> {
    match tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await?;
            Ok((client, tokio::spawn(connection).abort_handle()))
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, tokio::spawn(connection).abort_handle()))
        }
    }
}

fn config(
    conninfo: &Conninfo,
    server: &Server,
    address: Option<IpAddr>,
    application: &str,
) -> Config {
    let mut config = Config::new();
    match (&server.address, address) {
        (Address::Socket(directory), _) => {
            config.host_path(directory);
        }
        (other, address) => {
            config.host(other.shown());
            if let Some(address) = address {
                config.hostaddr(address);
            }
        }
    }
    config
        .port(server.port)
        .dbname(&conninfo.database)
        .user(&conninfo.role)
        .application_name(application)
        .channel_binding(conninfo.channel_binding);
    if let Some(password) = &server.password {
        config.password(&password.secret);
    }
    if conninfo.encryption.direct {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    let keepalive = &conninfo.keepalive;
    config.keepalives(!keepalive.off);
    if let Some(idle) = keepalive.idle {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = keepalive.interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = keepalive.count {
        config.keepalives_retries(count);
    }
    if let Some(timeout) = keepalive.user_timeout {
        config.tcp_user_timeout(timeout);
    }
    config
}

/// Whether the server is of the kind that `target_session_attrs` asks for.
async fn check_kind(client: &Client, wish: Wish) -> Result<(), Failure> {
    if wish == Wish::Any {
        return Ok(());
    }
    let sql = "select pg_catalog.pg_is_in_recovery(), \
                      pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool";
    let answer = client.simple_query(sql).await.map_err(Failure::Client)?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let said = |column| row.is_some_and(|row| row.get(column) == Some("t"));
    let (standby, read_only) = (said(0), said(1));
    let wrong = match wish {
        Wish::ReadWrite if read_only => "it does not accept writes",
        Wish::ReadOnly if !read_only => "it accepts writes",
        Wish::Primary if standby => "it is a standby",
        Wish::Standby | Wish::PreferStandby if !standby => "it is no standby",
        _ => return Ok(()),
    };
    Err(Failure::WrongKind(wrong))
}

async fn limited<T>(
    limit: Option<Duration>,
    attempt: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match limit {
        None => attempt.await,
        Some(limit) => tokio::time::timeout(limit, attempt)
            .await
            .unwrap_or(Err(Failure::Timeout(limit))),
    }
}
