//! A throwaway PostgreSQL with TLS for these tests, shared while any of them runs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

use super::tls::Certificates;

pub(crate) const PASSWORD: &str = "right-s3cr3t";

const HBA: &str = "\
local all postgres trust
local all anna scram-sha-256
local replication postgres trust
hostssl all only_tls all scram-sha-256
hostnossl all only_plain all scram-sha-256
hostssl all certified all cert
host all anna all scram-sha-256
";

const ROLES: &str = "
create database other;
create role anna login password 'right-s3cr3t';
create role outcast login password 'right-s3cr3t';
create role only_tls login password 'right-s3cr3t';
create role only_plain login password 'right-s3cr3t';
create role certified login;
";

/// A running server; stops when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) certificates: Arc<Certificates>,
    directory: TempDir,
}

impl Server {
    /// The server of all tests: started by the first, stopped after the last.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> Self {
        let directory = scratch();
        let path = directory.path();
        let certificates = Arc::new(Certificates::write(path));
        run(
            path,
            "initdb",
            &["-D", "data", "-U", "postgres", "--no-sync", "-A", "trust"],
        );
        fs::write(path.join("data/pg_hba.conf"), HBA).unwrap();
        let server = Self::launch(directory, certificates);
        let mut psql = command(server.directory.path(), "psql");
        let port = server.port.to_string();
        psql.args([
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-p",
            &port,
        ]);
        for statement in ROLES.trim().lines() {
            psql.args(["-c", statement]);
        }
        succeed(psql.args(["-h", &server.directory()]));
        server
    }

    /// A hot standby of this server.
    pub(crate) fn standby(&self) -> Self {
        let directory = scratch();
        let port = self.port.to_string();
        let args = [
            "-D", "data", "-R", "-N", "-c", "fast", "-U", "postgres", "-h",
        ];
        let mut backup = command(directory.path(), "pg_basebackup");
        succeed(backup.args(args).args([&self.directory(), "-p", &port]));
        Self::launch(directory, Arc::clone(&self.certificates))
    }

    fn launch(directory: TempDir, certificates: Arc<Certificates>) -> Self {
        let port = free_port();
        let shown = directory.path().display();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{shown}'\n\
             fsync = off\nmax_connections = 60\nssl = on\n{}",
            certificates.settings()
        );
        let conf = directory.path().join("data/postgresql.auto.conf");
        let before = fs::read_to_string(&conf).unwrap_or_default();
        fs::write(conf, before + &settings).unwrap();
        run(
            directory.path(),
            "pg_ctl",
            &["-D", "data", "-w", "-l", "log", "start"],
        );
        Self {
            port,
            certificates,
            directory,
        }
    }

    /// Where the socket is.
    pub(crate) fn directory(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Where its certificates and those of its clients are.
    pub(crate) fn certificates_directory(&self) -> String {
        self.certificates.directory.display().to_string()
    }

    pub(crate) fn socket(&self) -> String {
        format!(
            "host={} port={} dbname=postgres",
            self.directory(),
            self.port
        )
    }

    pub(crate) fn tcp(&self) -> String {
        format!("host=127.0.0.1 port={} dbname=postgres", self.port)
    }

    /// The superuser over the socket.
    pub(crate) fn owner(&self) -> String {
        format!("{} user=postgres", self.socket())
    }

    /// A plain role over TCP; what `more` says comes later and wins.
    pub(crate) fn anna(&self, more: &str) -> String {
        format!("{} user=anna password={PASSWORD} {more}", self.tcp())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let args = ["-D", "data", "-m", "immediate", "-w", "stop"];
        let _ = command(self.directory.path(), "pg_ctl").args(args).output();
    }
}

/// A directory that the server's user may use.
pub(crate) fn scratch() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    give(directory.path());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Gives a file to the server's user, where that is not us.
pub(crate) fn give(path: &Path) {
    if let Some(user) = server_user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

/// PostgreSQL and PgBouncer refuse to run as root.
fn server_user() -> Option<User> {
    Uid::effective().is_root().then(|| {
        User::from_name("postgres")
            .unwrap()
            .expect("run scripts/setup")
    })
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `program` as the server's user, in `directory`.
pub(crate) fn command(directory: &Path, program: &str) -> Command {
    let mut command = Command::new(find(program));
    command.current_dir(directory).stdin(Stdio::null());
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        command.env("HOME", directory);
    }
    command
}

/// Where `program` is: on the path, or where Debian keeps the server's programs.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    places.extend(versions.flatten().map(|version| version.path().join("bin")));
    places
        .into_iter()
        .map(|place| place.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed; run scripts/setup"))
}

fn run(directory: &Path, program: &str, args: &[&str]) {
    succeed(command(directory, program).args(args));
}

fn succeed(command: &mut Command) {
    // A server that pg_ctl started would keep a pipe open.
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}
