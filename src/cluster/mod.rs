//! Throwaway local PostgreSQL servers: for tests, for the demonstration, and to hold a restored backup.
//!
//! Guarantees: a server listens on this machine only; its directory is closed to other users; it is stopped and its
//! directory removed when its [`Cluster`] is dropped and when the process ends, however it ends; servers
//! are only ever stopped by their data directory. Refuses nothing but to run as root: there it uses another account.

mod account;
mod error;
mod keeper;
mod programs;
mod settings;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use account::Account;
use keeper::Keeper;

pub use error::ClusterError;
pub use programs::Programs;
pub use settings::Settings;

/// The only role of a fresh server: a superuser without a password.
const ROLE: &str = "postgres";

/// How often another port is tried when somebody else was faster.
const PORT_ATTEMPTS: usize = 10;

/// How a server is asked to stop.
///
/// Source: PostgreSQL manual, 19.5 "Shutting Down the Server".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends sessions, then writes a checkpoint.
    Fast,
    /// As a crash: the next start recovers from the WAL.
    Immediate,
}

/// A running server of our own.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    account: Option<Account>,
    directory: PathBuf,
    port: u16,
    // Dropped with the server: stops it and removes the directory.
    _keeper: Keeper,
}

impl Cluster {
    /// Makes a new, empty server (UTF-8, `C.UTF-8` where the system has it, role `postgres` without a password) and
    /// waits until it accepts connections.
    pub fn start(programs: &Programs, settings: &Settings) -> Result<Self, ClusterError> {
        let mut cluster = Self::place(programs, settings)?;
        cluster.initialise()?;
        cluster.launch(settings)?;
        Ok(cluster)
    }

    /// Takes a base backup of this server and starts it as a server of its own: the same system identifier, OIDs,
    /// block layout and transaction ids, as a restored physical backup has them.
    pub fn base_backup(&self, settings: &Settings) -> Result<Self, ClusterError> {
        let mut copy = Self::place(&self.programs, settings)?;
        let data = copy.data_directory();
        let port = self.port.to_string();
        let fixed = ["-U", ROLE, "-c", "fast", "-X", "stream", "-N", "-p", &port];
        let mut command = copy.command("pg_basebackup")?;
        command.args(fixed).arg("-h").arg(&self.directory);
        copy.finish("pg_basebackup", command.arg("-D").arg(&data))?;
        if settings.standby {
            // Not by -R: it would write down what an older server cannot read.
            copy.signal_standby(&data)?;
        }
        copy.launch(settings)?;
        Ok(copy)
    }

    /// Tells a server that is about to start to follow another.
    fn signal_standby(&self, data: &Path) -> Result<(), ClusterError> {
        let path = data.join("standby.signal");
        let made = std::fs::write(&path, "").and_then(|()| match &self.account {
            Some(account) => account.own(&path),
            None => Ok(()),
        });
        made.map_err(|source| ClusterError::Directory {
            doing: "write",
            path,
            source,
        })
    }

    /// Connection string over the Unix socket.
    pub fn conninfo(&self, database: &str) -> String {
        self.conninfo_at(&self.directory.display().to_string(), database)
    }

    /// Connection string over TCP; of use only where [`Settings::tcp`] is on.
    pub fn tcp_conninfo(&self, database: &str) -> String {
        self.conninfo_at("127.0.0.1", database)
    }

    fn conninfo_at(&self, host: &str, database: &str) -> String {
        format!(
            "host={} port={} dbname={} user={ROLE}",
            conninfo_value(host),
            self.port,
            conninfo_value(database)
        )
    }

    /// The port, which also names the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the socket.
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    /// The server's data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The programs this server runs with.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The path of a program of the server's version (`psql`, `pg_dump`, …), if it is installed.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.program(name)
    }

    /// Stops the server; [`Cluster::restart`] brings it back. Does nothing if it is not running.
    pub fn stop(&mut self, mode: StopMode) -> Result<(), ClusterError> {
        if !self.data_directory().join("postmaster.pid").exists() {
            return Ok(());
        }
        let mode = match mode {
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        let mut command = self.command("pg_ctl")?;
        command.args(["stop", "-m", mode, "-w", "-t", "60"]);
        self.finish("pg_ctl", command.arg("-D").arg(self.data_directory()))?;
        Ok(())
    }

    /// Stops the server if it runs and starts it again, on the same port, with the same data.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop(StopMode::Fast)?;
        self.attempt(self.port).map_err(|log| self.not_started(log))
    }

    /// A directory, the account that owns it, and the keeper that will remove it.
    fn place(programs: &Programs, settings: &Settings) -> Result<Self, ClusterError> {
        let parent = settings.parent.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = tempfile::Builder::new()
            .prefix("reinstate-pg-")
            .tempdir_in(&parent)
            .map_err(|source| ClusterError::Directory {
                doing: "make a directory in",
                path: parent,
                source,
            })?;
        let account = account::choose(programs, scratch.path())?;
        let keeper = Keeper::start(programs, account.as_ref(), scratch.path())?;
        Ok(Self {
            programs: programs.clone(),
            account,
            directory: scratch.keep(),
            port: 5432,
            _keeper: keeper,
        })
    }

    fn initialise(&self) -> Result<(), ClusterError> {
        let data = self.data_directory();
        let common = ["-U", ROLE, "--auth=trust", "--encoding=UTF8", "--no-sync"];
        let mut result = Ok(String::new());
        for locale in ["--locale=C.UTF-8", "--no-locale"] {
            let mut command = self.command("initdb")?;
            command.args(common).arg(locale).arg("-D").arg(&data);
            result = self.finish("initdb", &mut command);
            if result.is_ok() {
                break;
            }
        }
        result.map(|_| ())
    }

    /// Writes the settings and starts the server, on a free port if it listens on TCP.
    fn launch(&mut self, settings: &Settings) -> Result<(), ClusterError> {
        let path = self.data_directory().join("postgresql.conf");
        let text = settings.file(&self.directory.display().to_string());
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| ClusterError::Directory {
                doing: "write",
                path,
                source,
            })?;
        let mut log = String::new();
        for _ in 0..PORT_ATTEMPTS {
            if settings.tcp {
                self.port = free_port().unwrap_or(self.port);
            }
            match self.attempt(self.port) {
                Ok(()) => return Ok(()),
                Err(failed) => log = failed,
            }
            if !log.contains("Address already in use") {
                break;
            }
        }
        Err(self.not_started(log))
    }

    /// Starts the server on `port`, or gives the end of its log.
    fn attempt(&self, port: u16) -> Result<(), String> {
        let before = std::fs::metadata(self.log_file()).map_or(0, |m| m.len());
        let started = self.command("pg_ctl").and_then(|mut command| {
            command.args(["start", "-w", "-t", "60", "-o", &format!("-p {port}")]);
            command.arg("-l").arg(self.log_file());
            self.finish("pg_ctl", command.arg("-D").arg(self.data_directory()))
        });
        started.map(|_| ()).map_err(|error| {
            let log = std::fs::read(self.log_file()).unwrap_or_default();
            let new = usize::try_from(before).map_or(&[][..], |at| log.get(at..).unwrap_or(&[]));
            match tail(&String::from_utf8_lossy(new)) {
                text if text.is_empty() => error.to_string(),
                text => text,
            }
        })
    }

    fn not_started(&self, log: String) -> ClusterError {
        ClusterError::NotStarted {
            directory: self.directory.clone(),
            log,
        }
    }

    /// A program under the server's account, away from the caller's environment (`PGDATA`, `PGPORT`, translated
    /// messages) and from a working directory that the account may not enter.
    fn command(&self, program: &str) -> Result<Command, ClusterError> {
        let mut command = Command::new(self.programs.require(program)?);
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("HOME", &self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        Ok(command)
    }

    fn finish(&self, name: &str, command: &mut Command) -> Result<String, ClusterError> {
        let output = command.output().map_err(|e| ClusterError::Unusable {
            program: self.programs.dir.join(name),
            cause: e.to_string(),
        })?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let complaint = tail(&(printed + &String::from_utf8_lossy(&output.stderr)));
        Err(ClusterError::Failed {
            program: name.to_owned(),
            directory: self.directory.clone(),
            output: complaint,
        })
    }
}

/// A port that nobody holds at this moment.
fn free_port() -> Option<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}

/// The last lines, enough to see the cause.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Quotes a value for a connection string where it needs it.
///
/// Source: PostgreSQL manual, 34.1.1.1 "Keyword/Value Connection Strings".
fn conninfo_value(value: &str) -> String {
    if !value.is_empty()
        && !value
            .chars()
            .any(|c| c.is_whitespace() || matches!(c, '\'' | '\\'))
    {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
