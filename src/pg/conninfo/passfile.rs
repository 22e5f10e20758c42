//! The password file, `~/.pgpass`: `host:port:database:role:password`, first match wins.
//!
//! Guarantees what libpq guarantees: a file that others could read is not used, and the caller is told so.
//!
//! Source: PostgreSQL manual, "The Password File".

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A password file that may be used.
pub(super) struct Passfile {
    path: PathBuf,
    content: String,
}

/// Whom a password is looked up for.
pub(super) struct Wanted<'a> {
    /// Host as written, or `localhost` for a default socket directory.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) role: &'a str,
}

impl Passfile {
    /// Opens `path`. A missing file is no file; one that cannot be used gives a note for the operator.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, String> {
        let ignored = |why: &str| format!("password file {} is not used: {why}", path.display());
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(None);
        };
        if !metadata.is_file() {
            return Err(ignored("it is not a plain file"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(ignored(
                "others can read or write it; its permissions must be u=rw (0600) or less",
            ));
        }
        let bytes = fs::read(path).map_err(|e| ignored(&e.to_string()))?;
        Ok(Some(Self {
            path: path.to_owned(),
            content: String::from_utf8_lossy(&bytes).into_owned(),
        }))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The password of the first line that matches, and the line's number.
    pub(super) fn password(&self, wanted: &Wanted<'_>) -> Option<(String, usize)> {
        let port = wanted.port.to_string();
        let keys = [wanted.host, &port, wanted.database, wanted.role];
        self.content
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.starts_with('#'))
            .find_map(|(index, line)| {
                let mut rest = line;
                for key in keys {
                    let (field, after) = take_field(rest);
                    // `*` stands for anything; an escaped one for itself.
                    if field != "*" && unescape(field) != key {
                        return None;
                    }
                    rest = after?;
                }
                let (password, _) = take_field(rest);
                (!password.is_empty()).then(|| (unescape(password), index + 1))
            })
    }
}

/// Splits at the first `:` that is not escaped.
fn take_field(line: &str) -> (&str, Option<&str>) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return (&line[..at], Some(&line[at + 1..])),
            _ => {}
        }
    }
    (line, None)
}

fn unescape(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(content: &str, host: &str, port: u16, database: &str, role: &str) -> Option<String> {
        let file = Passfile {
            path: PathBuf::new(),
            content: content.to_owned(),
        };
        let wanted = Wanted {
            host,
            port,
            database,
            role,
        };
        file.password(&wanted).map(|(password, _)| password)
    }

    #[test]
    fn lines_match_as_in_libpq() {
        let file = "# a comment\nshort:5432\n\
                    db:5432:shop:anna:first\ndb:*:*:anna:second\n\
                    a\\:b:1:*:*:p\\:q\\\\r\n*:*:star:\\*:literal\n*:*:*:last:\n*:*:*:last:x:y\n";
        for (host, port, database, role, expected) in [
            ("db", 5432, "shop", "anna", Some("first")),
            ("db", 5433, "shop", "anna", Some("second")),
            ("db", 5432, "shop", "bob", None),
            ("a:b", 1, "d", "r", Some("p:q\\r")),
            ("h", 1, "star", "*", Some("literal")),
            ("h", 1, "star", "x", None),
            ("h", 1, "d", "last", Some("x")),
        ] {
            let found = lookup(file, host, port, database, role);
            assert_eq!(
                found.as_deref(),
                expected,
                "{host}:{port}:{database}:{role}"
            );
        }
    }

    #[test]
    fn a_readable_file_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert!(Passfile::open(&path).unwrap().is_none());
        fs::write(&path, "*:*:*:*:x\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Passfile::open(&path).err().unwrap().contains("0600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Passfile::open(&path).unwrap().is_some());
    }
}
