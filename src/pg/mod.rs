//! PostgreSQL: how to reach a server, sessions with pinned settings, COPY streams, and what its errors mean.
//!
//! Every session of the program is opened here (DESIGN: reading sessions cannot write; every setting that changes how
//! values are shown is pinned). No other room names `tokio_postgres` but for values and rows.

mod conninfo;
pub mod copy;
mod error;
mod session;

pub use conninfo::{Conninfo, Environment};
pub use error::{PgError, ServerError};
pub use session::{Access, Session, Target};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::ToSql;
