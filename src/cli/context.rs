//! What every command starts from: the case directory, its configuration, and how to reach the databases.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::clock::{Clock, SystemClock};
use crate::doctor::{NEWEST, OLDEST};
use crate::ident::shell_word;
use crate::pg::{Access, Conninfo, Environment, Session};

use super::args::{Format, Global};
use super::case_file::CaseFile;
use super::config::Config;
use super::error::Failure;
use super::ui::Ui;

/// What every command starts from.
pub(crate) struct Context {
    pub(crate) case: PathBuf,
    pub(crate) config: Config,
    /// Where the configuration is, if not in the case.
    config_given: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) ui: Ui,
    pub(crate) clock: Box<dyn Clock>,
    environment: Environment,
    live: Option<String>,
    snapshot: Option<String>,
    /// What was warned of already: both sides read the same password file.
    warned: Mutex<BTreeSet<String>>,
}

impl Context {
    pub(crate) fn new(global: &Global, ui: Ui) -> Result<Self, Failure> {
        if !global.case.is_dir() {
            return Err(Failure::usage(format!(
                "the case directory {} does not exist",
                global.case.display()
            ))
            .hint("create it, or name another one with -C"));
        }
        let path = match &global.config {
            Some(path) => path.clone(),
            None => global.case.join("reinstate.toml"),
        };
        let config = Config::read(&path, global.config.is_some())?;
        // An empty string would mean whatever PGHOST and PGDATABASE happen to say: never for a database to write to.
        let given = |flag: &Option<String>, file: &Option<String>| {
            let flag = flag.clone().filter(|text| !text.trim().is_empty());
            flag.or_else(|| file.clone())
        };
        Ok(Self {
            case: global.case.clone(),
            live: given(&global.live, &config.live),
            snapshot: given(&global.snapshot, &config.snapshot),
            config,
            config_given: global.config.clone(),
            format: global.format,
            ui,
            clock: Box::new(SystemClock),
            environment: environment(),
            warned: Mutex::default(),
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

    /// How to reach an after-snapshot.
    pub(crate) fn after(&self, text: &str) -> Result<Conninfo, Failure> {
        self.conninfo(Some(text).filter(|t| !t.trim().is_empty()), "after")
    }

    fn conninfo(&self, text: Option<&str>, side: &str) -> Result<Conninfo, Failure> {
        let text = text.ok_or_else(|| {
            Failure::usage(format!("no connection string for {side}")).hint(format!(
                "give --{side}, set REINSTATE_{}, or write {side} = \"…\" in reinstate.toml",
                side.to_uppercase()
            ))
        })?;
        let conninfo = Conninfo::parse(text, &self.environment)
            .map_err(|e| Failure::usage(format!("{side}: {e}")))?;
        for note in conninfo.notes() {
            let new = self.warned.lock().map(|mut w| w.insert(note.clone()));
            if new.unwrap_or(true) {
                self.ui.warning(note);
            }
        }
        Ok(conninfo)
    }

    /// Opens a session with a server of a supported version.
    pub(crate) async fn open(
        &self,
        conninfo: &Conninfo,
        access: Access,
        purpose: &str,
    ) -> Result<Session, Failure> {
        let session = Session::open(conninfo, access, purpose).await?;
        if let Some(warning) =
            check_version(&session.target().to_string(), session.server_version())?
        {
            let new = self.warned.lock().map(|mut w| w.insert(warning.clone()));
            if new.unwrap_or(true) {
                self.ui.warning(&warning);
            }
        }
        Ok(session)
    }

    /// The bundle a command works on: the one named, else the case's own.
    pub(crate) fn bundle(&self, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| self.case.join("bundle"), Path::to_path_buf)
    }

    /// How to run another command on this case from here.
    pub(crate) fn next(&self, verb: &str) -> String {
        let mut words = "reinstate".to_owned();
        if self.case != Path::new(".") {
            words = format!("{words} -C {}", word(&self.case));
        }
        if let Some(config) = &self.config_given {
            words = format!("{words} --config {}", word(config));
        }
        format!("{words} {verb}")
    }

    /// The same for a command that works on the bundle just used.
    pub(crate) fn next_on(&self, verb: &str, bundle: &Path) -> String {
        match bundle == self.bundle(None) {
            true => self.next(verb),
            false => format!("{} {}", self.next(verb), word(bundle)),
        }
    }

    /// Begins a file of the case.
    pub(crate) fn create(&self, name: &str) -> Result<CaseFile, Failure> {
        CaseFile::create(&self.case, name)
    }

    /// Removes a file of the case, where there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.case.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::usage(format!(
                "cannot remove {} of an earlier run: {e}",
                path.display()
            ))
            .hint("remove it by hand, and run again")),
            _ => Ok(()),
        }
    }

    /// Writes a file of the case, whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let mut file = self.create(name)?;
        file.write_all(content).map_err(|e| file.failed(&e))?;
        file.finish()
    }
}

/// Refuses a server that is too old; gives a warning for one that is newer than this build.
fn check_version(target: &str, version: u32) -> Result<Option<String>, Failure> {
    let major = version / 10_000;
    if major < OLDEST {
        return Err(Failure::refused(format!(
            "{target} runs PostgreSQL {major}; {OLDEST} to {NEWEST} are supported"
        ))
        .hint("upgrade a copy of it, and work on that; nothing was changed"));
    }
    Ok((major > NEWEST).then(|| {
        format!(
            "{target} runs PostgreSQL {major}, which is newer than what this build was tested with ({OLDEST} to \
             {NEWEST}); rehearse on a copy first"
        )
    }))
}

/// What libpq would look at in this process.
/// A path as a shell takes it.
pub(crate) fn word(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

fn environment() -> Environment {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
        .ok()
        .flatten();
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .or_else(|| user.as_ref().map(|u| u.dir.clone()));
    Environment::new(std::env::vars(), home, user.map(|u| u.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_too_old_are_refused_and_newer_ones_warned_of() {
        assert_eq!(check_version("live", 140_000).ok().flatten(), None);
        assert_eq!(check_version("live", 180_004).ok().flatten(), None);
        let newer = check_version("live", 190_000).ok().flatten().unwrap();
        assert!(newer.contains("PostgreSQL 19, which is newer"), "{newer}");
        let older = check_version("live", 130_011).unwrap_err();
        assert_eq!(
            older.message,
            "live runs PostgreSQL 13; 14 to 18 are supported"
        );
        assert_eq!(older.code.number(), 3);
    }
}
