//! A live database, its backup, later backups, and the moments between them.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{Case, Output, TestDb, copy_database, dump_restore, pair};

/// Carries a restore out.
pub(super) const EXECUTE: [&str; 6] = [
    "restore",
    "--execute",
    "--unrehearsed",
    "test",
    "--format",
    "json",
];

/// What a command's JSON counts.
#[track_caller]
pub(super) fn totals(document: &serde_json::Value, expected: &[(&str, u64)]) {
    for (state, rows) in expected {
        assert_eq!(document["totals"][state], *rows, "{state}: {document:#}");
    }
}

/// An incident in the making.
pub(super) struct Scene {
    pub(super) case: Case,
    pub(super) snapshot: TestDb,
    pub(super) live: TestDb,
    /// When the snapshot was taken.
    pub(super) taken: String,
    afters: Vec<(TestDb, String)>,
}

impl Scene {
    /// Runs `setup` on live and takes the snapshot.
    pub(super) fn new(setup: &str) -> Self {
        let (snapshot, live) = pair(setup);
        Self::of(snapshot, live)
    }

    /// With a snapshot that was taken just now.
    pub(super) fn of(snapshot: TestDb, live: TestDb) -> Self {
        let taken = moment(&live);
        Self {
            case: Case::new(),
            snapshot,
            live,
            taken,
            afters: Vec::new(),
        }
    }

    /// A moment that every transaction so far lies before, and every later one at or after.
    pub(super) fn now(&self) -> String {
        moment(&self.live)
    }

    /// Takes an after-snapshot, file by file.
    pub(super) fn after(&mut self) -> String {
        let copy = copy_database(&self.live);
        self.keep(copy)
    }

    /// Takes an after-snapshot by `pg_dump`.
    pub(super) fn after_dumped(&mut self) -> String {
        let copy = dump_restore(&self.live);
        self.keep(copy)
    }

    /// The latest after-snapshot, and how a role reaches it.
    pub(super) fn last_after_as(&self, role: &str) -> (&TestDb, String) {
        let (after, _) = self.afters.last().expect("one was taken");
        (after, after.conninfo_as(role))
    }

    fn keep(&mut self, copy: TestDb) -> String {
        let time = self.now();
        self.afters.push((copy, time.clone()));
        time
    }

    /// Everything deleted since `before` (a query of the form `table: key`) that is not there now.
    pub(super) fn keys(&self, sql: &str) -> BTreeSet<String> {
        self.live
            .query_text(sql)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.case.command(args);
        command
            .env("REINSTATE_LIVE", self.live.conninfo())
            .env("REINSTATE_SNAPSHOT", self.snapshot.conninfo());
        command
    }

    /// Runs a command on this scene, without evidence but what `args` name.
    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it starts").into()
    }

    /// The same with the time of the snapshot and all after-snapshots.
    pub(super) fn dated(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.args(["--snapshot-time", &self.taken]);
        for (after, time) in &self.afters {
            command.args(["--after", &after.conninfo(), "--after-time", time]);
        }
        command.output().expect("it starts").into()
    }

    /// Rows of the bundle: `table: key`, as the bundle's own files have them.
    pub(super) fn bundled(&self) -> BTreeSet<String> {
        let manifest: serde_json::Value =
            serde_json::from_str(&self.case.read("bundle/manifest.json")).unwrap();
        let mut rows = BTreeSet::new();
        for table in manifest["tables"].as_array().unwrap() {
            let file = self
                .case
                .file("bundle")
                .join(table["file"].as_str().unwrap());
            let text = zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap();
            let name = table["table"].as_str().unwrap();
            let columns = table["columns"].as_array().unwrap();
            let place = |key: &serde_json::Value| columns.iter().position(|c| c["name"] == *key);
            let key = table["key"].as_array().unwrap();
            let places: Vec<usize> = key.iter().map(|k| place(k).unwrap()).collect();
            for line in String::from_utf8(text).unwrap().lines() {
                let fields: Vec<&str> = line.split('\t').collect();
                let key: Vec<&str> = places.iter().map(|p| fields[*p]).collect();
                rows.insert(format!("{name}: {}", key.join(", ")));
            }
        }
        rows
    }

    /// The units of the bundle.
    pub(super) fn units(&self) -> Vec<serde_json::Value> {
        let file = std::fs::File::open(self.case.file("bundle/units.jsonl.zst")).unwrap();
        let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }
}

/// What the server's clock shows once nothing before it can be later, as the program writes it.
fn moment(db: &TestDb) -> String {
    let text = db.query_text(
        "select pg_sleep(0.002);
         select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    );
    let time: jiff::Timestamp = text.trim().parse().unwrap();
    time.to_string()
}
