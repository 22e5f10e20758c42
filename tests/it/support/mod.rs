//! What all integration tests stand on: one server for the whole binary, a fresh database for each test, the program
//! under test in a case directory of its own, and oracles that do not use the code under test.
//!
//! Tests run as threads of one process (`cargo test`, not nextest, which would start a server for each test).

// Each module of the tests uses its own part of this.
#![allow(dead_code, unused_imports)]

mod case;
mod database;
mod dice;
mod oracle;
pub(crate) mod proxy;

use std::path::Path;
use std::sync::OnceLock;

use reinstate::cluster::{Cluster, Programs, Settings};

pub(crate) use case::{Case, Output, reinstate};
pub(crate) use database::{
    TestDb, copy_database, database, database_with, dump_restore, pair, pair_dumped,
};
pub(crate) use dice::Dice;
pub(crate) use oracle::dump;

/// PostgreSQL's programs: in `REINSTATE_PG_BIN` if it is set, otherwise where they usually are.
pub(crate) fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let named = std::env::var_os("REINSTATE_PG_BIN");
        let path = std::env::var_os("PATH");
        Programs::find(named.as_deref().map(Path::new), path.as_deref())
            .unwrap_or_else(|e| panic!("{e} (scripts/setup installs it)"))
    })
}

/// The server that all tests share. No destructor runs for it: its keeper stops it when the process ends.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start(&shared_settings()))
}

/// A server of one's own, for tests that stop it or need other settings.
pub(crate) fn start(settings: &Settings) -> Cluster {
    Cluster::start(programs(), settings).unwrap_or_else(|e| panic!("{e}"))
}

/// Whether the tests that take minutes were asked for (`scripts/test --long`).
pub(crate) fn long() -> bool {
    std::env::var_os("REINSTATE_LONG").is_some_and(|v| v == "1")
}

/// Commit timestamps, because some evidence needs them, and room for everything that tests do at the same time.
fn shared_settings() -> Settings {
    Settings::default()
        .with("track_commit_timestamp", "on")
        .with("max_prepared_transactions", "20")
        .with("max_connections", "200")
}
