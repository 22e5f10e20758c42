//! Reads a loss story from its directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// How the snapshot was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backup {
    /// File by file: the same OIDs.
    Physical,
    /// `pg_dump`: other OIDs, other places, other transaction ids.
    Dumped,
}

/// One story: what to do, and what must hold.
pub(super) struct Story {
    pub(super) name: String,
    directory: PathBuf,
    pub(super) backup: Backup,
    pub(super) units: u64,
    pub(super) edited: u64,
    pub(super) born: u64,
    pub(super) left: u64,
    pub(super) quarantined: u64,
    pub(super) remapped: u64,
    pub(super) skipped: u64,
    /// References that are filled.
    pub(super) relinked: u64,
    /// Rows in the bundle, by table.
    pub(super) rows: BTreeMap<String, u64>,
    /// Lines of the state before that the end lacks.
    pub(super) gone: Vec<String>,
    /// Lines of the end that the state before lacked.
    pub(super) new: Vec<String>,
    /// Arguments of every `restore`, plan and deed.
    pub(super) restore_args: Vec<String>,
    /// Arguments of every `undo`, plan and deed.
    pub(super) undo_args: Vec<String>,
}

const KEYS: &[&str] = &[
    "snapshot",
    "units",
    "edited",
    "born",
    "left",
    "quarantined",
    "remapped",
    "skipped",
    "relinked",
    "rows",
    "differs",
];
const FILES: &[&str] = &[
    "schema.sql",
    "data.sql",
    "loss.sql",
    "expected.toml",
    "reinstate.toml",
    "args",
    "restore_args",
    "undo_args",
    "snapshot.sql",
    "live.sql",
];

impl Story {
    /// Reads one directory; panics where it is not a story.
    pub(super) fn read(directory: &Path) -> Self {
        let name = directory
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for entry in std::fs::read_dir(directory).unwrap() {
            let file = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(
                FILES.contains(&file.as_str()),
                "{name}/{file} is no part of a story"
            );
        }
        let text = std::fs::read_to_string(directory.join("expected.toml"))
            .unwrap_or_else(|e| panic!("{name}/expected.toml: {e}"));
        let expected: Table = text
            .parse()
            .unwrap_or_else(|e| panic!("{name}/expected.toml: {e}"));
        for key in expected.keys() {
            assert!(
                KEYS.contains(&key.as_str()),
                "{name}/expected.toml: unknown key {key}"
            );
        }
        let number = |key: &str| expected.get(key).map_or(0, |v| unsigned(v, &name));
        let lines = |key: &str| -> Vec<String> {
            let list = expected.get("differs").and_then(|d| d.get(key));
            let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter()
                .map(|l| l.as_str().unwrap().to_owned())
                .collect()
        };
        let rows = expected
            .get("rows")
            .and_then(Value::as_table)
            .unwrap_or_else(|| panic!("{name}/expected.toml has no [rows]"));
        Self {
            backup: match expected.get("snapshot").map(|v| v.as_str().unwrap()) {
                None | Some("physical") => Backup::Physical,
                Some("dumped") => Backup::Dumped,
                Some(other) => panic!("{name}/expected.toml: snapshot = {other:?}"),
            },
            units: number("units"),
            edited: number("edited"),
            born: number("born"),
            left: number("left"),
            quarantined: number("quarantined"),
            remapped: number("remapped"),
            skipped: number("skipped"),
            relinked: number("relinked"),
            rows: rows
                .iter()
                .map(|(table, n)| (table.clone(), unsigned(n, &name)))
                .collect(),
            gone: lines("gone"),
            new: lines("new"),
            restore_args: words(&directory.join("restore_args")),
            undo_args: words(&directory.join("undo_args")),
            name,
            directory: directory.to_owned(),
        }
    }

    /// A file of the story that it must have.
    pub(super) fn file(&self, name: &str) -> String {
        self.optional(name)
            .unwrap_or_else(|| panic!("{}/{name} is missing", self.name))
    }

    /// A file of the story that it may have.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.join(name)).ok()
    }

    /// Rows that come back as rows of their own.
    pub(super) fn back(&self) -> u64 {
        self.total() - self.quarantined - self.remapped - self.skipped
    }

    /// Rows in the bundle.
    pub(super) fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

fn unsigned(value: &Value, story: &str) -> u64 {
    let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
    number.unwrap_or_else(|| panic!("{story}/expected.toml: {value:?} is no count"))
}

/// The lines of a file of arguments; none where there is none.
fn words(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
