//! PostgreSQL: how to reach a server, sessions with pinned settings, COPY streams, and what its errors mean.
//!
//! Every session of the program is opened here (DESIGN: reading sessions cannot write; every setting that changes how
//! values are shown is pinned; transaction poolers are refused before anything is set). No other room names `tokio_postgres` but for values and rows.

mod certificate;
mod connect;
mod conninfo;
pub mod copy;
mod environment;
mod error;
mod explain;
mod pooler;
mod same;
mod session;
mod settings;
mod size;
mod target;
mod tls;
mod trim;

pub use conninfo::Conninfo;
pub use environment::Environment;
pub use error::{PgError, ServerError};
pub use same::{same_database, system_identifier};
pub(crate) use session::BY_KEY;
pub use session::{Access, CancelToken, Session};
pub use size::{Size, lasting};
pub use target::Target;
pub use tokio_postgres::Row;
pub use tokio_postgres::types::ToSql;
pub use trim::trimmed;
