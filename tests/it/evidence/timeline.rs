//! `timeline`: what a person sees, and the document for plotting.

use super::scene::Scene;

const SETUP: &str = "
create table dossiers (id int primary key, state text);
create table champs (id int primary key, dossier_id int not null references dossiers);
create table gone (id int, at timestamptz);
insert into dossiers select n, 'draft' from generate_series(1, 1000) n;
insert into champs select n, 1 + n % 1000 from generate_series(1, 3000) n;
";

/// A day: one deletion an hour, and a loop from 16:40 on that deletes one every second.
fn day() -> Scene {
    let scene = Scene::new(SETUP);
    scene.live.run(
        "insert into gone select n, timestamptz '2020-01-21 06:00+01' + n * interval '1 hour' from generate_series(1, 12) n;
         insert into gone select 100 + n, timestamptz '2020-01-21 16:40+01' + n * interval '1 second'
           from generate_series(0, 299) n;
         delete from champs where dossier_id in (select id from gone);
         delete from dossiers where id in (select id from gone)",
    );
    scene.case.write(
        "reinstate.toml",
        "snapshot_time = 2020-01-21T03:00:00+01:00\n[[audit]]\ntable = 'dossiers'\nslack = '1s'\n\
         live_sql = 'select id, at as deleted_at from gone'\n",
    );
    scene
}

#[test]
fn a_burst_among_a_days_deletions_is_suggested_as_the_window() {
    let scene = day();
    let output = scene.run(&["timeline", "--table", "dossiers"]).ok();
    let line = output
        .stdout
        .lines()
        .find(|l| l.contains("--from "))
        .unwrap();
    assert_eq!(
        line.trim(),
        "--from 2020-01-21T15:40:00Z --to 2020-01-21T15:45:00Z"
    );
    assert!(output.stdout.contains("█"), "{}", output.stdout);
    // The window that was suggested holds exactly the loop.
    let args: Vec<&str> = line.split_whitespace().collect();
    scene
        .run(
            &[
                &["extract", "--root", "dossiers", "--undetermined", "include"][..],
                &args,
            ]
            .concat(),
        )
        .ok();
    let expected: std::collections::BTreeSet<String> = (100..400)
        .map(|n| format!("public.dossiers: {n}"))
        .collect();
    let roots = scene
        .bundled()
        .into_iter()
        .filter(|r| r.contains("dossiers"))
        .collect();
    assert_eq!(expected, roots);
}

#[test]
fn the_document_counts_every_missing_row_once() {
    let scene = day();
    let document = scene
        .run(&["timeline", "--format", "json", "--bucket", "5m"])
        .ok()
        .json();
    assert_eq!(
        document,
        serde_json::from_str::<serde_json::Value>(&scene.case.read("timeline.json")).unwrap()
    );
    let totals = &document["totals"];
    assert_eq!(
        (&totals["rows"], &totals["dated"], &totals["vague"]),
        (&1248.into(), &312.into(), &936.into())
    );
    let buckets = document["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 13);
    let burst = buckets.iter().find(|b| b["rows"] == 300).unwrap();
    assert_eq!(burst["from"], "2020-01-21T15:40:00Z");
    assert_eq!(burst["tables"]["public.dossiers"], 300);
    // Nothing dates their children.
    assert_eq!(document["vague"][0]["source"], "none");
    assert_eq!(document["vague"][0]["tables"]["public.champs"], 936);
    assert_eq!(document["vague"][0]["from"], "2020-01-21T02:00:00Z");
    assert_eq!(document["blur_seconds"], 1.0);
}

#[test]
fn transactions_are_named_where_they_are_known() {
    let scene = Scene::new(SETUP);
    scene.live.run(
        "create table log (id int, at timestamptz default now()); begin; insert into log (id) select generate_series(1, 50);
         delete from champs where dossier_id <= 50; delete from dossiers where id <= 50; commit;
         begin; insert into log (id) values (60); delete from champs where dossier_id = 60; delete from dossiers where id = 60; commit",
    );
    scene.case.write(
        "reinstate.toml",
        "[[audit]]\ntable = 'dossiers'\nlive_sql = \"select id, at as deleted_at, xmin as xid from log\"\n",
    );
    let document = scene.run(&["timeline", "--format", "json"]).ok().json();
    let transactions = document["transactions"].as_array().unwrap();
    assert_eq!(
        (transactions.len(), &transactions[0]["rows"]),
        (2, &50.into())
    );
    let xid = scene
        .live
        .query_text("select distinct xmin from log where id <= 50");
    assert_eq!(transactions[0]["xid"].to_string(), xid);
}

#[test]
fn nothing_missing_and_buckets_too_narrow_are_said() {
    let scene = Scene::new(SETUP);
    let output = scene.run(&["timeline"]).ok();
    assert_eq!(output.stdout, "no row of the snapshot is missing in live\n");
    let scene = day();
    let refused = scene.run(&["timeline", "--bucket", "100ms"]).expect_code(2);
    assert!(
        refused.stderr.contains("choose a wider one"),
        "{}",
        refused.stderr
    );
    let refused = scene.run(&["timeline", "--bucket", "soon"]).expect_code(2);
    assert!(
        refused.stderr.contains("is no length of time"),
        "{}",
        refused.stderr
    );
}
