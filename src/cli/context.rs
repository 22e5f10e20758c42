//! What every command starts from: the case directory, its configuration, and how to reach the databases.

use std::path::{Path, PathBuf};

use crate::clock::{Clock, SystemClock};
use crate::pg::{Conninfo, Environment};

use super::args::{Format, Global};
use super::config::Config;
use super::error::Failure;
use super::ui::Ui;

/// What every command starts from.
pub(crate) struct Context {
    pub(crate) case: PathBuf,
    pub(crate) config: Config,
    pub(crate) format: Format,
    pub(crate) ui: Ui,
    pub(crate) clock: Box<dyn Clock>,
    environment: Environment,
    live: Option<String>,
    snapshot: Option<String>,
}

impl Context {
    pub(crate) fn new(global: &Global, ui: Ui) -> Result<Self, Failure> {
        if !global.case.is_dir() {
            return Err(Failure::usage(format!(
                "the case directory {} does not exist",
                global.case.display()
            ))
            .hint("create it, or name another with -C"));
        }
        let path = match &global.config {
            Some(path) => path.clone(),
            None => global.case.join("reinstate.toml"),
        };
        let config = Config::read(&path, global.config.is_some())?;
        Ok(Self {
            case: global.case.clone(),
            live: global.live.clone().or_else(|| config.live.clone()),
            snapshot: global.snapshot.clone().or_else(|| config.snapshot.clone()),
            config,
            format: global.format,
            ui,
            clock: Box::new(SystemClock),
            environment: environment(),
        })
    }

    /// How to reach live.
    pub(crate) fn live(&self) -> Result<Conninfo, Failure> {
        self.conninfo(self.live.as_deref(), "live")
    }

    /// How to reach the snapshot.
    pub(crate) fn snapshot(&self) -> Result<Conninfo, Failure> {
        self.conninfo(self.snapshot.as_deref(), "snapshot")
    }

    /// Whether a connection string for the snapshot was given.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    fn conninfo(&self, text: Option<&str>, side: &str) -> Result<Conninfo, Failure> {
        let text = text.ok_or_else(|| {
            Failure::usage(format!("no connection string for {side}")).hint(format!(
                "give --{side}, set REINSTATE_{}, or write {side} = \"…\" in reinstate.toml",
                side.to_uppercase()
            ))
        })?;
        Conninfo::parse(text, &self.environment)
            .map_err(|e| Failure::usage(format!("--{side}: {e}")))
    }

    /// The bundle a command works on: the one named, else the case's own.
    pub(crate) fn bundle(&self, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| self.case.join("bundle"), Path::to_path_buf)
    }

    /// Writes a file of the case, readable by its owner only, whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.case.join(name);
        let failed = |e: std::io::Error| {
            Failure::usage(format!("cannot write {}: {e}", path.display()))
                .hint("free some space, or choose another case directory with -C")
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.case).map_err(failed)?;
        std::io::Write::write_all(&mut file, content).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(path)
    }
}

/// What libpq would look at in this process.
fn environment() -> Environment {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
        .ok()
        .flatten();
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .or_else(|| user.as_ref().map(|u| u.dir.clone()));
    Environment::new(std::env::vars(), home, user.map(|u| u.name))
}
