//! A small loss with something of everything, and what must hold when a command refuses.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::support::{Case, Output, TestDb, pair};

/// Carries a restore out.
pub(crate) const EXECUTE: [&str; 4] = ["restore", "--execute", "--unrehearsed", "a test"];

pub(crate) const SETUP: &str = "
    create table users (id int primary key, email text not null unique);
    create table dossiers (id int primary key, user_id int not null references users, title text);
    create table champs (id int primary key, dossier_id int not null references dossiers on delete cascade, v text);
    create table log (what text);
    insert into users select i, 'u' || i || '@example.net' from generate_series(1, 9) i;
    insert into dossiers select i, (i + 1) / 2, 'title ' || i from generate_series(1, 18) i;
    insert into champs select i, (i + 2) / 3, 'value ' || i from generate_series(1, 54) i;
    insert into log select 'line ' || i from generate_series(1, 3) i";

/// Users 1 to 4 are gone with everything, and one dossier of user 5; user 2's address was taken again.
const LOSS: &str = "
    delete from dossiers where user_id <= 4 or id = 10;
    delete from users where id <= 4;
    insert into users values (20, 'u2@example.net');
    update dossiers set title = 'edited' where id = 18";

/// A loss, and the case in which it is mended.
pub(crate) struct Story {
    pub(crate) snapshot: TestDb,
    pub(crate) live: TestDb,
    pub(crate) case: Case,
}

impl Story {
    /// Before anything was done about it.
    pub(crate) fn begin() -> Self {
        let (snapshot, live) = pair(SETUP);
        live.run(LOSS);
        Self {
            snapshot,
            live,
            case: Case::new(),
        }
    }

    /// With the bundle extracted: 4 users, 9 dossiers and 27 champs.
    pub(crate) fn extracted() -> Self {
        let story = Self::begin();
        story.run(["extract"]).ok();
        story
    }

    /// Runs a command with both connections given by the environment.
    pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Output {
        let output = self.command(args).output().expect("reinstate starts");
        output.into()
    }

    /// The same, not yet started.
    pub(crate) fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        let mut command = self.case.command(args);
        command
            .env("REINSTATE_LIVE", self.live.conninfo())
            .env("REINSTATE_SNAPSHOT", self.snapshot.conninfo());
        command
    }

    /// Runs a command that must refuse, and checks that it left nothing: no file, no journal, no row.
    #[track_caller]
    pub(crate) fn refuses<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        args: I,
        code: i32,
        parts: &[&str],
    ) -> Output {
        self.refuses_command(self.command(args), code, parts)
    }

    /// The same for a command with another environment.
    #[track_caller]
    pub(crate) fn refuses_command(
        &self,
        mut command: Command,
        code: i32,
        parts: &[&str],
    ) -> Output {
        let state = || {
            let rows = "select (select count(*) from users), (select count(*) from dossiers),
                               to_regnamespace('reinstate') is null";
            (files(self.case.path()), self.live.query_text(rows))
        };
        let before = state();
        let output: Output = command.output().expect("reinstate starts").into();
        one_message(&output, code, parts);
        assert_eq!(state(), before, "it left something\n{}", output.stderr);
        output
    }
}

/// One clear message on stderr with all of these parts, nothing on stdout, this exit code.
#[track_caller]
pub(crate) fn one_message(output: &Output, code: i32, parts: &[&str]) {
    let shown = format!("{}\n-- stdout --\n{}", output.stderr, output.stdout);
    assert_eq!(output.code, code, "exit code\n{shown}");
    assert_eq!(output.stdout, "", "stdout is for data");
    let errors = output.stderr.matches("error: ").count();
    assert_eq!(errors, 1, "one message\n{shown}");
    for part in parts {
        assert!(
            output.stderr.contains(part),
            "{part:?} is missing in:\n{shown}"
        );
    }
}

/// Everything in a directory, at any depth.
pub(crate) fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path.display().to_string());
    }
    found
}
