//! How a throwaway server is set up.

use std::path::PathBuf;

/// What a throwaway server is started with. The default suits tests: small, not durable, reachable over TCP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lines for `postgresql.conf`, name and value; they come last and so win over the others.
    pub extra: Vec<(String, String)>,
    /// Whether data must survive a crash of the machine (`fsync`, `full_page_writes`).
    pub durable: bool,
    /// Whether to listen on 127.0.0.1 as well as on the socket. There is no password: any local user could then connect,
    /// so a server that holds a restored backup should not.
    pub tcp: bool,
    /// Whether a base backup follows its origin as a standby (`primary_conninfo` among the lines) instead of being
    /// promoted at once.
    pub standby: bool,
    /// Where to put the server's directory; the system's temporary directory if not given.
    pub parent: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extra: Vec::new(),
            durable: false,
            tcp: true,
            standby: false,
            parent: None,
        }
    }
}

impl Settings {
    /// Adds one line for `postgresql.conf`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.extra.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text to append to `postgresql.conf`; `socket_directory` is where the socket goes.
    ///
    /// Source: PostgreSQL manual, 20.1.2 "Parameter Interaction via the Configuration File".
    pub(super) fn file(&self, socket_directory: &str) -> String {
        let on_off = |on| if on { "on" } else { "off" };
        let own = [
            ("listen_addresses", if self.tcp { "127.0.0.1" } else { "" }),
            ("unix_socket_directories", socket_directory),
            ("unix_socket_permissions", "0777"),
            ("fsync", on_off(self.durable)),
            ("synchronous_commit", on_off(self.durable)),
            ("full_page_writes", on_off(self.durable)),
            ("shared_buffers", "32MB"),
            ("max_connections", "100"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("lc_messages", "C"),
            ("log_line_prefix", "%m [%p] %d "),
            // A base backup brings its origin's archiving along; a throwaway server archives nothing unasked.
            ("archive_mode", "off"),
        ];
        let extra = self.extra.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let mut text = String::from("\n# reinstate: throwaway server\n");
        for (name, value) in own.into_iter().chain(extra) {
            let quoted = value.replace('\\', "\\\\").replace('\'', "''");
            text.push_str(&format!("{name} = '{quoted}'\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_adds_comes_last_and_quoted() {
        let text = Settings::default()
            .with("fsync", "on")
            .with("cluster_name", "it's")
            .file("/s");
        assert!(
            text.ends_with("fsync = 'on'\ncluster_name = 'it''s'\n"),
            "{text}"
        );
        assert!(text.contains("fsync = 'off'\n"), "{text}");
    }
}
