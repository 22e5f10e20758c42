//! `diff` against real databases, judged by an oracle that compares rows as text outside of the server and shares no
//! code with it.

mod bags;
mod command;
mod content;
mod drift;
mod keys;
mod moving;
mod oracle;
mod random;
mod ranges;
mod unknowable;
mod unlike;

use std::collections::BTreeMap;
use std::sync::Mutex;

use reinstate::catalog::{Comparable, compare, introspect};
use reinstate::diff::{Change, Counts, Depth, DiffOptions, Sides, diff_table};
use reinstate::event::Event;
use reinstate::ident::TableName;
use reinstate::pg::{Access, Conninfo, Environment};

use crate::support::{Case, Output, TestDb};
use oracle::Truth;

/// What differs in one table: the change, and the key as the program or the oracle writes it. Sorted.
pub(crate) type Differences = Vec<(String, Vec<String>)>;

/// Runs the command; checks that its exit code, its JSON, `diff.json` and `diff.jsonl` tell the same story.
fn run(snapshot: &TestDb, live: &TestDb, depth: &str) -> (Case, Output, serde_json::Value) {
    run_with(snapshot, live, depth, &[])
}

fn run_with(
    snapshot: &TestDb,
    live: &TestDb,
    depth: &str,
    more: &[&str],
) -> (Case, Output, serde_json::Value) {
    let case = Case::new();
    let (snapshot, live) = (snapshot.conninfo(), live.conninfo());
    let mut args = vec!["diff", "--snapshot", &snapshot, "--live", &live];
    args.extend(["--format", "json", "--depth", depth]);
    args.extend(more);
    let output = case.run(args);
    assert!(
        output.code == 0 || output.code == 1,
        "exit code {}\n{}",
        output.code,
        output.stderr
    );
    let json = output.json();
    let file: serde_json::Value = serde_json::from_str(&case.read("diff.json")).unwrap();
    assert_eq!(json, file, "stdout and diff.json");
    let listed = lines(&case);
    let totals = &json["totals"];
    let sum = |change: &str| {
        let all = listed.values().flatten();
        all.filter(|d| d.0 == change).count() as u64
    };
    for change in ["deleted", "inserted"] {
        assert_eq!(totals[change], sum(change), "{change} in total");
    }
    if depth == "rows" {
        assert_eq!(totals["changed"], sum("changed"));
    } else {
        assert!(totals["changed"].is_null());
        assert_eq!(sum("changed"), 0);
    }
    for table in json["tables"].as_array().unwrap() {
        let name = table["table"].as_str().unwrap();
        let own = listed.get(name).cloned().unwrap_or_default();
        for change in ["deleted", "inserted", "changed"] {
            let told = table[change].as_u64().unwrap_or(0);
            let count = own.iter().filter(|d| d.0 == change).count() as u64;
            assert_eq!(told, count, "{change} in {name}");
        }
    }
    (case, output, json)
}

/// `diff.jsonl` by table.
fn lines(case: &Case) -> BTreeMap<String, Differences> {
    let mut listed: BTreeMap<String, Differences> = BTreeMap::new();
    for line in case.read("diff.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = if line["key"].is_null() {
            &line["place"]
        } else {
            &line["key"]
        };
        let key = serde_json::from_value(key.clone()).unwrap();
        let change = line["change"].as_str().unwrap().to_owned();
        let table = line["table"].as_str().unwrap().to_owned();
        listed.entry(table).or_default().push((change, key));
    }
    for found in listed.values_mut() {
        found.sort();
    }
    listed
}

/// The entry of one table in the report.
#[track_caller]
fn entry<'a>(json: &'a serde_json::Value, table: &str) -> &'a serde_json::Value {
    let tables = json["tables"].as_array().unwrap();
    let found = tables.iter().find(|t| t["table"] == table);
    found.unwrap_or_else(|| panic!("{table} is not in {json:#}"))
}

/// How the library is made to compare.
#[derive(Debug, Clone, Copy)]
struct Way {
    depth: Depth,
    chunk_rows: u64,
    slice_pages: u64,
    /// By buckets, although the key has an order.
    buckets: bool,
    jobs: usize,
}

/// Both strategies, both depths, in pieces so small that a few hundred rows fall into many.
const WAYS: [Way; 4] = [
    way(Depth::Rows, 7, false),
    way(Depth::Keys, 3, false),
    way(Depth::Rows, 3, true),
    way(Depth::Keys, 3, true),
];

const fn way(depth: Depth, chunk_rows: u64, buckets: bool) -> Way {
    Way {
        depth,
        chunk_rows,
        slice_pages: 1,
        buckets,
        jobs: 2,
    }
}

/// What the library found in a table.
struct Outcome {
    counts: Counts,
    found: Differences,
    events: Vec<Event>,
    comparable: Box<Comparable>,
}

/// Compares every table that can be compared, this way.
async fn outcomes(snapshot: &TestDb, live: &TestDb, way: Way) -> BTreeMap<TableName, Outcome> {
    outcomes_watched(snapshot, live, way, &|_, _| ()).await
}

/// The same; `watch` is told of every event of a table, and those before it.
async fn outcomes_watched(
    snapshot: &TestDb,
    live: &TestDb,
    way: Way,
    watch: &(dyn Fn(&Event, &[Event]) + Sync),
) -> BTreeMap<TableName, Outcome> {
    let conninfo = |db: &TestDb| Conninfo::parse(&db.conninfo(), &Environment::default()).unwrap();
    let (s, l) = (
        snapshot.session(Access::Reading).await,
        live.session(Access::Reading).await,
    );
    let schemas = (introspect(&s).await.unwrap(), introspect(&l).await.unwrap());
    let sides = Sides::open(&conninfo(snapshot), &conninfo(live), way.jobs)
        .await
        .unwrap();
    let mut all = BTreeMap::new();
    for (name, pair) in compare(&schemas.0, &schemas.1) {
        let Ok(mut comparable) = pair else { continue };
        comparable.ordered &= !way.buckets;
        let options = DiffOptions {
            chunk_rows: way.chunk_rows,
            slice_pages: way.slice_pages,
            ..DiffOptions::new(way.depth)
        };
        let mut found = Vec::new();
        let events = Mutex::new(Vec::new());
        let sink = |event: Event| {
            let mut events = events.lock().unwrap();
            watch(&event, &events);
            events.push(event);
        };
        let mut take =
            |f: reinstate::diff::Found| found.push((f.change.word().to_owned(), f.key.0));
        let counts = diff_table(&sides, &comparable, options, &mut take, &sink)
            .await
            .unwrap_or_else(|e| panic!("{name} {way:?}: {e}"));
        found.sort();
        let outcome = Outcome {
            counts,
            found,
            events: events.into_inner().unwrap(),
            comparable,
        };
        all.insert(name, outcome);
    }
    all
}

/// Compares by the library in all [`WAYS`], and holds every result against the oracle's.
async fn check_library(snapshot: &TestDb, live: &TestDb) -> Truth {
    let truth = Truth::of(snapshot, live);
    for way in WAYS {
        check_way(snapshot, live, &truth, way).await;
    }
    truth
}

/// Compares by the library in all [`WAYS`] and by the command at both depths, and holds every result against the
/// oracle's.
async fn check(snapshot: &TestDb, live: &TestDb) {
    let truth = check_library(snapshot, live).await;
    for depth in ["rows", "keys"] {
        let (case, output, json) = run(snapshot, live, depth);
        let listed = lines(&case);
        let mut differ = false;
        for (table, true_) in &truth.tables {
            let entry = entry(&json, table);
            assert_eq!(entry["snapshot_rows"], true_.snapshot_rows, "{table}");
            assert_eq!(entry["live_rows"], true_.live_rows, "{table}");
            let expected = true_.at(depth == "rows");
            differ |= !expected.is_empty();
            let found = listed.get(table).cloned().unwrap_or_default();
            true_.assert_same(&found, &expected, &format!("{table} at depth {depth}"));
        }
        assert_eq!(output.code, i32::from(differ));
    }
}

async fn check_way(snapshot: &TestDb, live: &TestDb, truth: &Truth, way: Way) {
    let outcomes = outcomes(snapshot, live, way).await;
    for (name, outcome) in &outcomes {
        let Some(true_) = truth.tables.get(&name.to_string()) else {
            continue;
        };
        let expected = true_.at(way.depth == Depth::Rows);
        let of = |change: Change| {
            let word = change.word();
            expected.iter().filter(|d| d.0 == word).count() as u64
        };
        let counts = Counts {
            snapshot_rows: true_.snapshot_rows,
            live_rows: true_.live_rows,
            deleted: of(Change::Deleted),
            inserted: of(Change::Inserted),
            changed: of(Change::Changed),
        };
        true_.assert_same(&outcome.found, &expected, &format!("{name} {way:?}"));
        assert_eq!(outcome.counts, counts, "{name} {way:?}");
        progress_is_sane(name, outcome);
    }
}

/// Rows announced as done never exceed those announced as to be done by more than the estimate was wrong, and what was
/// begun ends.
fn progress_is_sane(name: &TableName, outcome: &Outcome) {
    let rows = outcome.counts.snapshot_rows + outcome.counts.live_rows;
    let mut open = None;
    let mut passes = 0;
    for event in &outcome.events {
        match event {
            Event::TableStarted { .. } => {
                assert!(open.replace(0).is_none(), "{name} begins twice");
                passes += 1;
            }
            Event::TableProgress { rows: more, .. } => {
                let done = open.as_mut().expect("progress between begin and end");
                *done += more;
                assert!(*done <= rows, "{name}: {done} of {rows} rows");
            }
            Event::TableFinished { .. } => {
                assert!(open.take().is_some(), "{name} ends twice");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_none() && (1..=2).contains(&passes), "{name}");
}
