//! What a session is connected to, as every message names it.

use std::fmt;

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
