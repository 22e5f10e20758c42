//! Connection strings and URIs as libpq reads them.

use std::collections::HashMap;

use super::PgError;

/// What libpq would look at besides the string: environment variables and the home directory, given by the caller so
/// that this room never reads the process's environment itself.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables (`PGHOST`, …).
    pub variables: HashMap<String, String>,
    /// The operating system user's name: the default role.
    pub user: Option<String>,
    /// The home directory, for `~/.pgpass` and `~/.postgresql/root.crt`.
    pub home: Option<std::path::PathBuf>,
}

/// How to reach one database.
#[derive(Clone)]
pub struct Conninfo {
    pub(super) config: tokio_postgres::Config,
}

impl Conninfo {
    /// Reads a connection string or URI and completes it from `environment`.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, PgError> {
        let mut config: tokio_postgres::Config =
            text.parse()
                .map_err(|e: tokio_postgres::Error| PgError::Conninfo {
                    reason: e.to_string(),
                })?;
        if config.get_user().is_none()
            && let Some(user) = &environment.user
        {
            config.user(user);
        }
        Ok(Self { config })
    }
}
