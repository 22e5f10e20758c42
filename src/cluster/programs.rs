//! Where PostgreSQL's programs are.
//!
//! The server's programs are often not in PATH (Debian keeps one directory for each major version), and what is in
//! PATH can be a wrapper that picks a version by itself; so a directory counts only if it holds the real server.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// What a directory must hold to be of use.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Parents whose subdirectories `…/bin` hold one version each.
const VERSIONED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// A directory with the programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The directory.
    pub dir: PathBuf,
    /// The version as the server prints it: `15.18`, `18beta1`.
    pub version: String,
}

impl Programs {
    /// Finds the programs: in `preferred` and nowhere else if it is given (what the user named in `REINSTATE_PG_BIN`),
    /// otherwise in `search_path` (the caller's `PATH`), then where Debian, Red Hat, a plain build and Homebrew put
    /// them, newest first.
    pub fn find(
        preferred: Option<&Path>,
        search_path: Option<&OsStr>,
    ) -> Result<Self, ClusterError> {
        let places = match preferred {
            Some(dir) => vec![dir.to_owned()],
            None => places(search_path),
        };
        match places.iter().find_map(|place| complete(place)) {
            Some(dir) => Ok(Self {
                version: version(&dir)?,
                dir,
            }),
            None => Err(ClusterError::ProgramsMissing { looked: places }),
        }
    }

    /// The path of a program of this version (`psql`, `pg_dump`, `pg_waldump`, …), if it is installed.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.join(name)).filter(|p| p.is_file())
    }

    /// The path of a program of this version, or an error that names it.
    pub fn require(&self, name: &str) -> Result<PathBuf, ClusterError> {
        self.program(name)
            .ok_or_else(|| ClusterError::ProgramMissing {
                name: name.to_owned(),
                directory: self.dir.clone(),
            })
    }

    /// The major version: 15 for `15.18`; 0 where the server's own text has no number.
    pub fn major(&self) -> u32 {
        leading_number(&self.version)
    }
}

fn places(search_path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = search_path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    for (parent, prefix) in VERSIONED {
        places.extend(versions_in(Path::new(parent), prefix));
    }
    places.push("/usr/local/pgsql/bin".into());
    places
}

/// `parent/<prefix><number>/bin`, highest number first.
fn versions_in(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = leading_number(name.to_str()?.strip_prefix(prefix)?);
            (number > 0).then(|| (number, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

fn leading_number(text: &str) -> u32 {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

/// The real directory behind `place` if everything needed is there: a link to one program leads to its siblings.
fn complete(place: &Path) -> Option<PathBuf> {
    let real = place.join("initdb").canonicalize().ok()?;
    let dir = real.parent()?;
    NEEDED
        .iter()
        .all(|name| dir.join(name).is_file())
        .then(|| dir.to_owned())
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version(dir: &Path) -> Result<String, ClusterError> {
    let program = dir.join("postgres");
    let unusable = |cause: String| ClusterError::Unusable {
        program: program.clone(),
        cause,
    };
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|e| unusable(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split_whitespace().nth(2) {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => Err(unusable(format!("--version printed {:?}", text.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn install(dir: &Path, version: &str) {
        std::fs::create_dir_all(dir).unwrap();
        for name in NEEDED {
            let path = dir.join(name);
            let script = format!("#!/bin/sh\necho '{name} (PostgreSQL) {version} (Test)'\n");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn the_named_directory_is_the_only_one_looked_at() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Programs::find(Some(scratch.path()), std::env::var_os("PATH").as_deref());
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains(&scratch.path().display().to_string()),
            "{text}"
        );
        assert!(text.contains("REINSTATE_PG_BIN"), "{text}");
    }

    #[test]
    fn a_link_in_the_path_leads_to_the_real_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        install(&root.join("real"), "15.18");
        std::fs::create_dir(root.join("links")).unwrap();
        symlink(root.join("real/initdb"), root.join("links/initdb")).unwrap();
        let found = Programs::find(None, Some(root.join("links").as_os_str())).unwrap();
        assert_eq!(found.dir, root.join("real"));
        assert_eq!((found.version.as_str(), found.major()), ("15.18", 15));
        assert_eq!(found.program("psql"), None);
        assert!(found.require("psql").is_err());
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["pgsql-9", "pgsql-15", "pgsql-lib", "16"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        let found = versions_in(scratch.path(), "pgsql-");
        let expected: Vec<_> = ["pgsql-15/bin", "pgsql-9/bin"]
            .map(|n| scratch.path().join(n))
            .into();
        assert_eq!(found, expected);
    }
}
