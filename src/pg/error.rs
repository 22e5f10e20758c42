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
    /// Consecutive transactions of one session reach different server processes.
    #[error(
        "{target} is behind a transaction pooler (one session was served by server processes {first} and {second}); \
         session settings, advisory locks and row locks do not hold there. Connect to PostgreSQL directly, or to a \
         pool in session mode"
    )]
    Pooler {
        /// Host, port, database and role.
        target: String,
        /// Process id seen first.
        first: i32,
        /// Process id seen later.
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
            })),
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
}

/// The innermost message of an error, which is the one that says what happened.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}
