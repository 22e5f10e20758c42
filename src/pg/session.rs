//! One session with a server: settings pinned, reading or writing, every failure named with what was being done.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, CopyInSink, CopyOutStream, Row};

use super::error::root_cause;
use super::{Conninfo, PgError};

/// Whether a session may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only transactions by default; accepts a standby.
    Reading,
    /// May write.
    Writing,
}

/// What a session is connected to, for messages: never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name, address, or socket directory.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role.
    pub role: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "database {} on {}:{} as {}",
            self.database, self.host, self.port, self.role
        )
    }
}

/// One session.
pub struct Session {
    client: Client,
    target: Target,
    shown: String,
    server_version: u32,
}

/// The settings that decide how values are shown and how long a statement may wait, pinned in every session.
const PINNED: &[(&str, &str)] = &[
    ("default_transaction_isolation", "read committed"),
    ("row_security", "off"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    ("client_encoding", "UTF8"),
    ("search_path", "pg_catalog, pg_temp"),
    ("standard_conforming_strings", "on"),
    ("jit", "off"),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "0"),
];

impl Session {
    /// Opens a session for `purpose`, which `application_name` shows to whoever looks at `pg_stat_activity`.
    pub async fn open(conninfo: &Conninfo, access: Access, purpose: &str) -> Result<Self, PgError> {
        let mut config = conninfo.config.clone();
        config.application_name(format!("reinstate {purpose}"));
        config.connect_timeout(Duration::from_secs(10));
        let target = Target {
            host: match config.get_hosts().first() {
                Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
                Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
                None => "localhost".to_owned(),
            },
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config
                .get_dbname()
                .or(config.get_user())
                .unwrap_or_default()
                .to_owned(),
            role: config.get_user().unwrap_or_default().to_owned(),
        };
        let shown = target.to_string();
        let connected = config.connect(tokio_postgres::NoTls).await;
        let (client, connection) = connected.map_err(|e| PgError::Connect {
            target: shown.clone(),
            cause: e
                .as_db_error()
                .map_or_else(|| root_cause(&e), |db| db.message().to_owned()),
            sqlstate: e.as_db_error().map(|db| db.code().code().to_owned()),
        })?;
        tokio::spawn(connection);
        let mut session = Self {
            client,
            target,
            shown,
            server_version: 0,
        };
        session.pin(access).await?;
        Ok(session)
    }

    async fn pin(&mut self, access: Access) -> Result<(), PgError> {
        let read_only = if access == Access::Reading {
            "on"
        } else {
            "off"
        };
        let mut sql = format!("set default_transaction_read_only = {read_only};");
        for (name, value) in PINNED {
            let quoted = if *name == "search_path" {
                (*value).to_owned()
            } else {
                format!("'{value}'")
            };
            sql.push_str(&format!("set {name} = {quoted};"));
        }
        self.batch("pinning the session's settings", &sql).await?;
        let row = self
            .query_one(
                "asking for the version",
                "select current_setting('server_version_num')::int4",
                &[],
            )
            .await?;
        self.server_version = u32::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        Ok(())
    }

    /// What this session is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The server's version as `server_version_num` gives it (150018 is 15.18).
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    fn wrap(&self, doing: &str, error: &tokio_postgres::Error) -> PgError {
        PgError::from_client(&self.shown, doing, error)
    }

    /// Runs one statement and returns its rows. `doing` fits after "while" in a message.
    pub async fn query(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PgError> {
        self.client
            .query(sql, params)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Runs one statement whose parameters are all text (the SQL casts them), in one round trip.
    pub async fn ask(&self, doing: &str, sql: &str, params: &[&str]) -> Result<Vec<Row>, PgError> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = params
            .iter()
            .map(|p| (p as &(dyn ToSql + Sync), Type::TEXT))
            .collect();
        self.client
            .query_typed(sql, &typed)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Runs one statement that gives exactly one row.
    pub async fn query_one(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, PgError> {
        self.client
            .query_one(sql, params)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, PgError> {
        self.client
            .execute(sql, params)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Runs statements without parameters and results, in one round trip.
    pub async fn batch(&self, doing: &str, sql: &str) -> Result<(), PgError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Starts a `COPY … TO STDOUT`; see [`super::copy`] for what reads it.
    pub async fn copy_out(&self, doing: &str, sql: &str) -> Result<CopyOutStream, PgError> {
        self.client
            .copy_out(sql)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Starts a `COPY … FROM STDIN`; see [`super::copy`] for what feeds it.
    pub async fn copy_in(&self, doing: &str, sql: &str) -> Result<CopyInSink<Bytes>, PgError> {
        self.client
            .copy_in(sql)
            .await
            .map_err(|e| self.wrap(doing, &e))
    }

    /// Wraps an error met while reading or feeding a COPY stream of this session.
    pub fn stream_error(&self, doing: &str, error: &tokio_postgres::Error) -> PgError {
        self.wrap(doing, error)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}
