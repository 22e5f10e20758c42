//! What can keep a throwaway server from running.

use std::path::PathBuf;

/// An error of finding PostgreSQL's programs or of running a throwaway server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No directory holds all the server programs.
    #[error(
        "PostgreSQL's server programs (initdb, postgres, pg_ctl) not found in {}; install PostgreSQL's server, or name \
         its program directory in REINSTATE_PG_BIN",
        listed(.looked)
    )]
    ProgramsMissing {
        /// The directories looked at.
        looked: Vec<PathBuf>,
    },
    /// A client program is not installed beside the server.
    #[error("{name} not found in {}; install PostgreSQL's client programs of the same version", .directory.display())]
    ProgramMissing {
        /// The program.
        name: String,
        /// Where the server's programs are.
        directory: PathBuf,
    },
    /// A program does not start, or says something unexpected.
    #[error("{} cannot be used: {cause}; check that it is executable by this user", .program.display())]
    Unusable {
        /// The program.
        program: PathBuf,
        /// The cause.
        cause: String,
    },
    /// A file or directory of the server cannot be made or changed.
    #[error("cannot {doing} {}: {source}; check TMPDIR, its rights and its free space", .path.display())]
    Directory {
        /// What was being done, as a verb.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Root cannot run a server, and no other account can.
    #[error(
        "PostgreSQL does not run as root, and none of the accounts {} can use {} and {}; run this as another user, or \
         let everyone enter those directories",
        .tried.join(", "), .programs.display(), .directory.display()
    )]
    NoAccount {
        /// The accounts tried.
        tried: Vec<String>,
        /// The program directory.
        programs: PathBuf,
        /// The server's directory.
        directory: PathBuf,
    },
    /// A program ended with an error.
    #[error("{program} failed on {}: {output}", .directory.display())]
    Failed {
        /// The program's name.
        program: String,
        /// The server's directory.
        directory: PathBuf,
        /// What it printed last.
        output: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL in {} does not start; the end of its log: {log}", .directory.display())]
    NotStarted {
        /// The server's directory.
        directory: PathBuf,
        /// The end of its log.
        log: String,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    if shown.is_empty() {
        "any known place".to_owned()
    } else {
        shown.join(", ")
    }
}
