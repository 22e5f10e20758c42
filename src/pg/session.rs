//! One session with a server: settings pinned, reading or writing, every failure named with what was being done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, CopyInSink, CopyOutStream, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::connect;
use super::{Conninfo, PgError, Target, pooler, settings};

/// `random_page_cost` where rows are looked up by key: a page that is in memory, or needed in any case. With the default, a
/// list of 2,000 keys is worth reading a table of a million rows.
pub(crate) const BY_KEY: &str = "0.1";

/// Whether a session may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only transactions by default; accepts a standby.
    Reading,
    /// May write.
    Writing,
}

/// One session.
pub struct Session {
    client: Client,
    connection: AbortHandle,
    given_up: AtomicBool,
    /// Milliseconds after which an answer is no longer waited for; zero is no bound.
    patience: AtomicU64,
    target: Target,
    tls: Option<MakeRustlsConnect>,
    shown: String,
    server_version: u32,
    backend_pid: i32,
}

impl Session {
    /// Opens a session for `purpose`, which `application_name` shows to whoever looks at `pg_stat_activity`.
    ///
    /// Refuses a transaction pooler before anything is set; that takes a second connection for a moment, the first
    /// time that a `conninfo` (or a clone of it) is used.
    pub async fn open(conninfo: &Conninfo, access: Access, purpose: &str) -> Result<Self, PgError> {
        let connected = connect(conninfo, &format!("reinstate {purpose}")).await?;
        pooler::refuse(conninfo, &connected).await?;
        let shown = connected.target.to_string();
        let pinned = settings::pin(&connected.client, access)
            .await
            .map_err(|e| PgError::from_client(&shown, "pinning the session's settings", &e))?;
        Ok(Self {
            client: connected.client,
            connection: connected.connection,
            given_up: AtomicBool::new(false),
            patience: AtomicU64::new(0),
            target: connected.target,
            tls: connected.tls,
            shown,
            server_version: pinned.server_version,
            backend_pid: pinned.backend_pid,
        })
    }

    /// What this session is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The server's version as `server_version_num` gives it (150018 is 15.18).
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    /// The server process that serves this session, as `pg_locks` and `pg_stat_activity` show it.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    /// Bounds how long a statement may wait for a lock, and how long it may take; zero is no bound.
    pub async fn set_timeouts(&self, lock: Duration, statement: Duration) -> Result<(), PgError> {
        let (lock, statement) = (lock.as_millis(), statement.as_millis());
        let sql = format!("set lock_timeout = {lock}; set statement_timeout = {statement}");
        self.batch("setting the session's timeouts", &sql).await
    }

    /// Looks for names as the role does in this database by itself, for SQL that people wrote; `false` goes back to our own
    /// search path.
    pub async fn search_as_role(&self, as_role: bool) -> Result<(), PgError> {
        let sql = match as_role {
            true => "reset search_path".to_owned(),
            false => format!("set search_path = {}", settings::SEARCH_PATH),
        };
        self.batch("setting the search path", &sql).await
    }

    /// What ends the running statement from another task.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            token: self.client.cancel_token(),
            tls: self.tls.clone(),
            shown: self.shown.clone(),
        }
    }

    /// From now on a connection on which no answer has come for so long counts as lost: something between us and the server
    /// may swallow what we say, and no error ever comes of that. `None` is no bound.
    ///
    /// For statements that the server itself bounds (`statement_timeout`), with room for the way there and back.
    pub fn give_up_after(&self, limit: Option<Duration>) {
        let limit = limit.map_or(0, |l| u64::try_from(l.as_millis()).unwrap_or(u64::MAX));
        self.patience.store(limit, Ordering::SeqCst);
    }

    /// Waits for an answer, for as long as [`Session::give_up_after`] says.
    pub(super) async fn answer<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        let limit = match self.patience.load(Ordering::SeqCst) {
            0 => return answer.await.map_err(|e| self.wrap(doing, &e)),
            limit => Duration::from_millis(limit),
        };
        if let Ok(answered) = tokio::time::timeout(limit, answer).await {
            return answered.map_err(|e| self.wrap(doing, &e));
        }
        self.connection.abort();
        Err(PgError::silent(&self.shown, doing, limit))
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
        self.answer(doing, self.client.query(sql, params)).await
    }

    /// Runs one statement whose parameters are all text (the SQL casts them), in one round trip.
    pub async fn ask(&self, doing: &str, sql: &str, params: &[&str]) -> Result<Vec<Row>, PgError> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = params
            .iter()
            .map(|p| (p as &(dyn ToSql + Sync), Type::TEXT))
            .collect();
        self.answer(doing, self.client.query_typed(sql, &typed))
            .await
    }

    /// The names of the columns that a statement would give, without running it.
    pub async fn columns(&self, doing: &str, sql: &str) -> Result<Vec<String>, PgError> {
        let statement = self
            .client
            .prepare(sql)
            .await
            .map_err(|e| self.wrap(doing, &e))?;
        let columns = statement.columns().iter();
        Ok(columns.map(|c| c.name().to_owned()).collect())
    }

    /// Runs one statement that gives exactly one row.
    pub async fn query_one(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, PgError> {
        self.answer(doing, self.client.query_one(sql, params)).await
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, PgError> {
        self.answer(doing, self.client.execute(sql, params)).await
    }

    /// Runs statements without parameters and results, in one round trip.
    pub async fn batch(&self, doing: &str, sql: &str) -> Result<(), PgError> {
        self.answer(doing, self.client.batch_execute(sql)).await
    }

    /// From now on statements mostly ask for rows by their keys, in lists, of rows that were written just now or are going to
    /// be: the server is to find them by index, and not to read a whole table for each list. Where there is no index it
    /// still joins as it would.
    pub async fn look_up_by_key(&self) -> Result<(), PgError> {
        let sql = format!("set random_page_cost = {BY_KEY}");
        self.batch("setting how rows are looked up", &sql).await
    }

    /// Starts a `COPY … TO STDOUT`; see [`super::copy`] for what reads it.
    pub async fn copy_out(&self, doing: &str, sql: &str) -> Result<CopyOutStream, PgError> {
        self.answer(doing, self.client.copy_out(sql)).await
    }

    /// Starts a `COPY … FROM STDIN`; see [`super::copy`] for what feeds it.
    ///
    /// A refusal ends the session: the client library then asks for one answer more than it reads (a CopyFail with a
    /// Sync of its own), and would take every later answer for that of the statement before.
    pub async fn copy_in(&self, doing: &str, sql: &str) -> Result<CopyInSink<Bytes>, PgError> {
        let started = self.client.copy_in(sql);
        self.answer(doing, async {
            started.await.inspect_err(|_| self.give_up())
        })
        .await
    }

    /// After a `COPY … FROM STDIN` that the server refused while it was fed: ends the session where the server has one answer
    /// more to give than the client library reads.
    ///
    /// The library sends a Sync behind the statement and one behind the data. A server that copies passes over the first; one
    /// that gives up before it has come to it (a trigger for the statement, a time limit) answers both. Then every later
    /// answer would be taken for that of the statement before, and the first is empty: an empty statement has one that is not. Where
    /// nobody waits for it as it comes, the library ends the connection itself; the server has answered all the same.
    pub(super) async fn keep_in_step(&self) {
        let doing = "looking whether answers are in step";
        let answered = self.answer(doing, self.client.simple_query("")).await;
        if !answered.is_ok_and(|messages| !messages.is_empty()) {
            self.give_up();
        }
    }

    /// Wraps an error met while reading or feeding a COPY stream of this session.
    pub fn stream_error(&self, doing: &str, error: &tokio_postgres::Error) -> PgError {
        self.wrap(doing, error)
    }

    /// Ends the connection from our side; the server takes back what was not committed.
    fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.connection.abort();
    }

    /// Whether we ended the connection, after an answer of the server that says why (see [`Session::copy_in`] and
    /// [`super::copy::copy_in`]).
    pub fn was_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.was_given_up() || self.client.is_closed()
    }
}

/// Ends whatever statement a session is running; see [`Session::cancel_token`].
#[derive(Clone)]
pub struct CancelToken {
    token: tokio_postgres::CancelToken,
    tls: Option<MakeRustlsConnect>,
    shown: String,
}

impl CancelToken {
    /// Asks the server to end the statement, which then fails with SQLSTATE 57014. A statement that is already done
    /// is left alone; the session lives on either way.
    pub async fn cancel(&self) -> Result<(), PgError> {
        let asked = match &self.tls {
            Some(tls) => self.token.cancel_query(tls.clone()).await,
            None => self.token.cancel_query(NoTls).await,
        };
        asked.map_err(|e| PgError::from_client(&self.shown, "cancelling a statement", &e))
    }
}
