//! What can go wrong between us and a server, with the SQLSTATE and the names the server gave.

use tokio_postgres::error::SqlState;

/// An error of connecting to, or talking with, a PostgreSQL server. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// The connection string cannot be read.
    #[error("connection string not understood: {reason}")]
    Conninfo {
        /// What is wrong, without the string itself (it may hold a password).
        reason: String,
    },
    /// No session could be opened.
    #[error("cannot connect to {target}: {cause}")]
    Connect {
        /// Host, port, database and role.
        target: String,
        /// The cause in the server's or the system's words.
        cause: String,
        /// The SQLSTATE where the server answered.
        sqlstate: Option<String>,
        /// What an operator can do about it; see [`PgError::hint`].
        hint: Option<String>,
    },
    /// The server refused a statement.
    #[error("{} (SQLSTATE {}) while {} on {}", .0.message, .0.sqlstate, .0.doing, .0.target)]
    Server(Box<ServerError>),
    /// The connection ended.
    #[error("connection to {target} lost while {doing}: {cause}")]
    Lost {
        /// Host, port, database and role.
        target: String,
        /// What was being done.
        doing: String,
        /// The cause in the system's words.
        cause: String,
    },
    /// Sessions do not keep their server process.
    #[error(
        "{target} is behind a transaction pooler ({}); session settings, advisory locks and row locks do not hold there",
        pooler_proof(*.first, *.second)
    )]
    Pooler {
        /// Host, port, database and role.
        target: String,
        /// Process id seen first.
        first: i32,
        /// Process id seen later, or through another session at the same time; 0 where none was given in time.
        second: i32,
    },
}

/// What a server said when it refused a statement.
#[derive(Debug, Clone)]
pub struct ServerError {
    /// Host, port, database and role.
    pub target: String,
    /// What was being done, as a phrase that fits after "while".
    pub doing: String,
    /// Five characters, PostgreSQL manual appendix A.
    pub sqlstate: String,
    /// The server's primary message.
    pub message: String,
    /// The server's detail line, if any; it can hold row values.
    pub detail: Option<String>,
    /// The table the server named, if any.
    pub table: Option<String>,
    /// The constraint the server named, if any.
    pub constraint: Option<String>,
    /// Where in a function it happened, if it did. Never holds row values.
    pub function: Option<String>,
}

impl PgError {
    /// Wraps what `tokio_postgres` reported while `doing` something on `target`.
    pub(super) fn from_client(target: &str, doing: &str, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // Class 57P0x: the server ends the session; what was asked is not known to have happened.
            Some(db) if !db.code().code().starts_with("57P0") => {
                Self::Server(Box::new(ServerError {
                    target: target.to_owned(),
                    doing: doing.to_owned(),
                    sqlstate: db.code().code().to_owned(),
                    message: db.message().to_owned(),
                    detail: db.detail().map(str::to_owned),
                    table: db.table().map(str::to_owned),
                    constraint: db.constraint().map(str::to_owned),
                    function: db.where_().and_then(in_function),
                }))
            }
            Some(db) => Self::Lost {
                target: target.to_owned(),
                doing: doing.to_owned(),
                cause: db.message().to_owned(),
            },
            None if error.is_closed() => Self::Lost {
                target: target.to_owned(),
                doing: doing.to_owned(),
                cause: root_cause(error),
            },
            None => Self::Server(Box::new(ServerError {
                target: target.to_owned(),
                doing: doing.to_owned(),
                sqlstate: "XX000".to_owned(),
                message: root_cause(error),
                detail: None,
                table: None,
                constraint: None,
                function: None,
            })),
        }
    }

    /// A connection on which no answer came.
    pub fn silent(target: &str, doing: &str, limit: std::time::Duration) -> Self {
        Self::Lost {
            target: target.to_owned(),
            doing: doing.to_owned(),
            cause: format!("no answer for {} s", limit.as_secs()),
        }
    }

    /// Why the server refused, in its own words, without its detail line, which can hold row values.
    pub fn refusal(&self) -> String {
        let Self::Server(e) = self else {
            return self.to_string();
        };
        let constraint = e.constraint.iter().map(|c| format!("constraint {c}"));
        let place: Vec<String> = constraint.chain(e.function.clone()).collect();
        match place.is_empty() {
            true => e.message.clone(),
            false => format!("{} ({})", e.message, place.join(", ")),
        }
    }

    /// The SQLSTATE, where the server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.sqlstate),
            Self::Connect { sqlstate, .. } => sqlstate.as_deref(),
            _ => None,
        }
    }

    /// What an operator can do about it, as a sentence without a full stop, where something is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connect { hint, .. } => hint.clone(),
            Self::Pooler { .. } => Some(DIRECTLY.to_owned()),
            // PgBouncer's words for its mode that allows no transactions.
            Self::Server(error) if error.message.contains("statement pooling mode") => {
                Some(DIRECTLY.to_owned())
            }
            Self::Server(error) if error.is_lost_statement() => Some(format!(
                "statements prepared in this session are unknown to the server process that answered, as happens \
                 behind a transaction pooler; {DIRECTLY}"
            )),
            _ => None,
        }
    }

    /// Whether trying the same thing again can succeed: deadlock, lock or statement timeout, serialization failure.
    pub fn is_transient(&self) -> bool {
        let transient = [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
        ];
        self.sqlstate()
            .is_some_and(|s| transient.iter().any(|t| t.code() == s))
    }

    /// Whether the server was to write a text longer than the gigabyte that it makes room for.
    pub fn is_too_long(&self) -> bool {
        match self {
            Self::Server(e) if e.sqlstate == "XX000" => {
                e.message.starts_with("invalid memory alloc request size")
            }
            Self::Server(e) => e.sqlstate == "54000",
            _ => false,
        }
    }

    /// Whether the server is in no state to do it for anybody: out of disk or memory, read-only since a failover,
    /// without the right. What was being done is not at fault.
    pub fn is_general(&self) -> bool {
        self.sqlstate().is_some_and(|s| {
            s.starts_with("53") || s.starts_with("58") || matches!(s, "25006" | "42501")
        })
    }
}

const DIRECTLY: &str = "connect to PostgreSQL directly, or to a pool in session mode";

fn pooler_proof(first: i32, second: i32) -> String {
    match second {
        0 => format!("a session lost its server process {first}, and no other was free"),
        second if second == first => {
            format!("two live sessions were served by one server process, {first}")
        }
        second => format!("one session was served by server processes {first} and {second}"),
    }
}

impl ServerError {
    /// Whether the server does not know, or knows already, a statement that our client library named (`s0`, `s1`, …).
    fn is_lost_statement(&self) -> bool {
        matches!(self.sqlstate.as_str(), "26000" | "42P05")
            && self.message.starts_with("prepared statement \"s")
    }
}

/// The innermost line of a context that names a function of a procedural language. Others can hold row values.
fn in_function(context: &str) -> Option<String> {
    let mut lines = context.lines();
    lines
        .find(|l| l.contains("PL/") && !l.contains(':'))
        .map(str::to_owned)
}

/// The innermost message of an error, which is the one that says what happened.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

impl PgError {
    /// Somebody else has not ended what we wait for, as when a lock is not available.
    pub fn held(session: &super::Session, doing: &str) -> Self {
        Self::Server(Box::new(ServerError {
            target: session.target().to_string(),
            doing: doing.to_owned(),
            sqlstate: SqlState::LOCK_NOT_AVAILABLE.code().to_owned(),
            message: "they have not ended their transactions".to_owned(),
            detail: None,
            table: None,
            constraint: None,
            function: None,
        }))
    }

    /// A transaction that we ended because it took too long.
    pub fn slow(session: &super::Session, limit: std::time::Duration) -> Self {
        Self::Server(Box::new(ServerError {
            target: session.target().to_string(),
            doing: "carrying out a batch".to_owned(),
            sqlstate: SqlState::QUERY_CANCELED.code().to_owned(),
            message: format!("it took longer than {limit:?}"),
            detail: None,
            table: None,
            constraint: None,
            function: None,
        }))
    }

    /// Rows that were inserted without an error and then were not there: something in the database ate or moved them.
    pub fn vanished(session: &super::Session, table: &str, inserted: u64, found: u64) -> Self {
        Self::Server(Box::new(ServerError {
            target: session.target().to_string(),
            doing: format!("reading back what was inserted into {table}"),
            sqlstate: "09000".to_owned(),
            message: format!(
                "of {inserted} rows inserted into {table}, {found} are there under their keys: the rest was eaten, or given \
                 other keys, by a trigger or rule"
            ),
            detail: None,
            table: Some(table.to_owned()),
            constraint: None,
            function: None,
        }))
    }
}
