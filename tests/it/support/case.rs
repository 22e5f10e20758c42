//! The program under test, run as a user runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program gave.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// Data.
    pub(crate) stdout: String,
    /// Progress, hints, errors.
    pub(crate) stderr: String,
}

impl Output {
    /// Panics with everything that was printed unless the exit code is this one.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n-- stdout --\n{}\n-- stderr --\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Panics unless it ended with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// stdout as the one JSON document that it is.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e} in stdout: {}\n{}", self.stdout, self.stderr))
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A case directory that vanishes with this value.
pub(crate) struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    /// An empty case.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the case, existing or not.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file of the case (`reinstate.toml`, a list of keys).
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("the case can be written");
    }

    /// Reads a file of the case.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// `reinstate -C <case> ARGS`, run to its end.
    pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Output {
        let output = self.command(args).output().expect("reinstate starts");
        output.into()
    }

    /// The same, not yet started: for more environment, or to be killed.
    pub(crate) fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        let mut command = bare();
        command.arg("-C").arg(self.path()).args(args);
        command
    }
}

/// `reinstate ARGS` without a case.
pub(crate) fn reinstate<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Output {
    let output = bare().args(args).output().expect("reinstate starts");
    output.into()
}

/// The program with nothing of the developer's environment but what finds programs.
fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reinstate"));
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "TMPDIR", "REINSTATE_PG_BIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
