//! What libpq would look at besides the connection string, handed in by the caller.
//!
//! This room never reads the process's environment itself: the shell decides what counts. Files that the
//! environment points to (`~/.pgpass`, the service file, certificates) are read by their own modules.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// Environment variables, the operating system user, and the home directory.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables (`PGHOST`, …).
    pub variables: HashMap<String, String>,
    /// The operating system user's name: the default role.
    pub user: Option<String>,
    /// The home directory, for `~/.pgpass`, `~/.pg_service.conf` and `~/.postgresql/root.crt`.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// Takes all `variables` that libpq knows (those that start with `PG`), the home directory and the user's name.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        home: Option<PathBuf>,
        user: Option<String>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("PG"))
            .collect();
        Self {
            variables,
            user,
            home,
        }
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// A path below the home directory, where there is one.
    pub(super) fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

// Names only: a value may be a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.variables.keys().collect();
        names.sort();
        f.debug_struct("Environment")
            .field("variables", &names)
            .field("user", &self.user)
            .field("home", &self.home)
            .finish()
    }
}
