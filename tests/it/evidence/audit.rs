//! Audits: an application's own log, in a table or a file.

mod transactions;

use super::scene::Scene;

const SETUP: &str = "
create table dossiers (id int primary key, state text);
create table champs (id int primary key, dossier_id int not null references dossiers);
create table deleted_dossiers (id int generated always as identity primary key, dossier_id int, deleted_at timestamptz,
                               created_at timestamptz not null default now());
insert into dossiers select n, 'draft' from generate_series(1, 100) n;
insert into champs select n, 1 + n % 100 from generate_series(1, 300) n;
";

/// One transaction a dossier, as the application does it: the log, the children, the row. `deleted_at` is when its owner
/// hid it, days before.
fn destroy(scene: &Scene, ids: std::ops::RangeInclusive<u32>) {
    let mut sql = String::new();
    for id in ids {
        sql += &format!(
            "begin; insert into deleted_dossiers (dossier_id, deleted_at) values ({id}, now() - interval '3 days');
             delete from champs where dossier_id = {id}; delete from dossiers where id = {id}; commit;\n"
        );
    }
    scene.live.run(&sql);
}

const AUDIT: &str = "[[audit]]\ntable = 'dossiers'\nslack = '10s'\nlive_sql = '''
select dossier_id as id, created_at as deleted_at, xmin as xid from deleted_dossiers'''\n";

/// A log whose `deleted_at` is the wrong column: it says when the owner hid the dossier.
const TRAP: &str = "[[audit]]\ntable = 'dossiers'\nslack = '1ms'\nlive_sql = '''
select dossier_id as id, deleted_at from deleted_dossiers'''\n";

#[test]
fn a_log_of_roots_dates_them_to_their_commit() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", AUDIT);
    destroy(&scene, 1..=5);
    let from = scene.now();
    destroy(&scene, 6..=30);
    let to = scene.now();
    destroy(&scene, 31..=33);
    let window = [
        "extract", "--root", "dossiers", "--from", &from, "--to", &to,
    ];
    // Nothing dates their dependents: whether to take them is for a person to say.
    let refused = scene.dated(&window).expect_code(3);
    assert!(
        refused.stderr.contains("75 of public.champs"),
        "{}",
        refused.stderr
    );
    assert_eq!(scene.case.read("undetermined.jsonl").lines().count(), 75);
    let taken = scene.dated(
        &[
            &window[..],
            &["--undetermined", "include", "--format", "json"],
        ]
        .concat(),
    );
    let document = taken.ok().json();
    let totals = &document["totals"];
    assert_eq!(
        (&totals["rows"], &totals["units"]),
        (&100.into(), &25.into())
    );
    assert_eq!(
        (&totals["outside_window"], &totals["undetermined"]),
        (&8.into(), &75.into())
    );
    for unit in scene.units() {
        let id = &unit["root"]["key"][0];
        assert!((6..=30).contains(&id.as_str().unwrap().parse::<u32>().unwrap()));
        assert_eq!(unit["evidence"]["source"], "audit");
        assert!(unit["evidence"]["transaction"].is_u64());
        // The dependents are dated by themselves: by nothing.
        let rows = unit["row_evidence"].as_array().unwrap();
        assert!(
            rows.iter()
                .any(|r| r["evidence"]["source"] == "none" && r["rows"] == 3)
        );
    }
}

#[test]
fn the_interval_is_the_commit_of_the_deleting_transaction() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", AUDIT);
    // A transaction that takes its time: its start says little.
    scene.live.run(
        "begin; insert into deleted_dossiers (dossier_id) values (1); select pg_sleep(0.2);
         delete from champs where dossier_id = 1; delete from dossiers where id = 1; commit",
    );
    scene.dated(&["extract", "--root", "dossiers"]).ok();
    let commit = scene.live.query_text(
        "select xmin, to_char(pg_xact_commit_timestamp(xmin) at time zone 'UTC', 'HH24:MI:SS.US'),
                to_char(created_at at time zone 'UTC', 'HH24:MI:SS.US') from deleted_dossiers",
    );
    let commit: Vec<&str> = commit.split('|').collect();
    let evidence = &scene.units()[0]["evidence"];
    assert_eq!(evidence["transaction"].to_string(), commit[0]);
    // From the start of the transaction to its commit: an update of the record would look the same.
    assert!(
        evidence["from"]
            .as_str()
            .unwrap()
            .contains(commit[2].trim_end_matches('0')),
        "{evidence} {commit:?}"
    );
    let to = evidence["to"].as_str().unwrap();
    let end = scene.live.query_text(&format!(
        "select '{to}'::timestamptz - interval '1 microsecond' = pg_xact_commit_timestamp('{}'::xid)", commit[0]
    ));
    assert_eq!(end, "t", "{evidence} {commit:?}");
}

#[test]
fn a_column_that_says_when_it_was_hidden_contradicts_the_backup() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", TRAP);
    destroy(&scene, 1..=4);
    let to = scene.now();
    let taken = scene.taken.clone();
    let refused = scene
        .dated(&[
            "extract", "--root", "dossiers", "--from", &taken, "--to", &to,
        ])
        .expect_code(3);
    assert!(
        refused.stderr.contains("4 of public.dossiers"),
        "{}",
        refused.stderr
    );
    let drawn = scene.dated(&["timeline"]).ok();
    assert!(
        drawn
            .stderr
            .contains("does `deleted_at` say when they were hidden"),
        "{}",
        drawn.stderr
    );
    let listed = scene.case.read("contradictions.jsonl");
    assert_eq!(listed.lines().count(), 4);
    let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(first["contradicted_by"]["source"], "audit");
    assert_eq!(first["table"], "public.dossiers");
}

#[test]
fn a_key_deleted_twice_was_deleted_at_one_of_both_times() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", AUDIT);
    destroy(&scene, 1..=2);
    scene.live.run("insert into dossiers values (1, 'again')");
    let from = scene.now();
    destroy(&scene, 1..=1);
    destroy(&scene, 3..=3);
    let to = scene.now();
    let window = [
        "extract",
        "--root",
        "dossiers",
        "--from",
        &from,
        "--to",
        &to,
        "--undetermined",
    ];
    scene.dated(&[&window[..], &["exclude"]].concat()).ok();
    // Of 1 nobody knows, and its champs were deleted with the first; 3 is certain, but not its champs.
    assert_eq!(scene.bundled(), ["public.dossiers: 3".to_owned()].into());
}

#[test]
fn a_file_of_the_applications_log_is_an_audit() {
    let scene = Scene::new(SETUP);
    destroy(&scene, 1..=10);
    let log = scene.case.file("deletions.csv");
    scene.case.write(
        "reinstate.toml",
        &format!(
            "[[audit]]\ntable = 'dossiers'\nfile = '{}'\nslack = '1s'\n",
            log.display()
        ),
    );
    let at = |text: &str| {
        let rows = "id,deleted_at,by\n 07 ,2020-01-21T16:40:00+01:00,x\n8,2020-01-21T16:41:00+01:00,x\n99,2020-01-21T16:41:00Z,x\n";
        scene.case.write("deletions.csv", &format!("{rows}{text}"));
    };
    at("");
    let window = [
        "extract",
        "--root",
        "dossiers",
        "--from",
        "2020-01-21T15:40:00Z",
        "--to",
        "2020-01-21T15:41:00Z",
        "--undetermined",
        "exclude",
    ];
    scene.run(&window).ok();
    assert_eq!(scene.bundled(), ["public.dossiers: 7".to_owned()].into());
    // A record without a time says nothing, as a NULL in a query does.
    at("9,,x\n10, ,x\n");
    let drawn = scene.run(&["timeline"]).ok();
    assert!(
        drawn
            .stderr
            .contains("deletions.csv have no `deleted_at` and are passed over")
            && drawn.stderr.contains(": 2 records of "),
        "{}",
        drawn.stderr
    );
    // A time without an offset could mean anything.
    for (line, words) in [
        (
            "9,2020-01-21 16:40:00,x\n",
            "line 5: `2020-01-21 16:40:00` is not an RFC 3339 time",
        ),
        (
            "9,2020-01-21T16:40:00Z,x\n10,2020-01-21T16:40:00Z,x\nten,2020-01-21T16:40:00Z,x\n",
            "line 7: ten is no key of public.dossiers: invalid input syntax for type integer",
        ),
    ] {
        at(line);
        let refused = scene.run(&["timeline"]).expect_code(2);
        let whole = format!("deletions.csv, {words}");
        assert!(
            refused.stderr.contains(&whole),
            "{whole} in {}",
            refused.stderr
        );
    }
    scene
        .case
        .write("deletions.csv", "nr,deleted_at\n1,2020-01-21T16:40:00Z\n");
    let refused = scene.run(&["timeline"]).expect_code(2);
    assert!(
        refused
            .stderr
            .contains("no `id` among them (nr, deleted_at)"),
        "{}",
        refused.stderr
    );
}

#[test]
fn times_that_never_come_are_passed_over() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", TRAP);
    destroy(&scene, 1..=4);
    // Of rows that are missing, and of one that is not.
    scene.live.run(
        "update deleted_dossiers set deleted_at = 'infinity' where dossier_id = 1;
         update deleted_dossiers set deleted_at = '-infinity' where dossier_id = 2;
         update deleted_dossiers set deleted_at = '294276-12-31' where dossier_id = 3;
         update deleted_dossiers set deleted_at = now() where dossier_id = 4;
         insert into deleted_dossiers (dossier_id, deleted_at) values (50, 'infinity'), (null, 'infinity')",
    );
    let drawn = scene.dated(&["timeline", "--format", "json"]).ok();
    assert!(
        drawn
            .stderr
            .contains("the `deleted_at` of 5 records is infinity, or beyond the year 9999"),
        "{}",
        drawn.stderr
    );
    assert!(
        drawn.stderr.contains("has no record of 3 of its"),
        "{}",
        drawn.stderr
    );
}

/// What an earlier run listed would be taken for this one's.
#[test]
fn lists_of_an_earlier_run_do_not_stay() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", TRAP);
    destroy(&scene, 1..=4);
    let there = |name: &str| scene.case.file(name).exists();
    let (from, to) = (scene.taken.clone(), scene.now());
    scene
        .dated(&["extract", "--from", &from, "--to", &to])
        .expect_code(3);
    scene.dated(&["timeline"]).ok();
    assert!(there("undetermined.jsonl") && there("contradictions.jsonl"));
    scene.case.write("reinstate.toml", AUDIT);
    // A command that is refused says nothing of them.
    scene.case.write("bundle", "in the way");
    scene.dated(&["extract"]).expect_code(3);
    assert!(there("undetermined.jsonl"));
    std::fs::remove_file(scene.case.file("bundle")).unwrap();
    scene.dated(&["extract"]).ok();
    scene.dated(&["timeline"]).ok();
    assert!(!there("undetermined.jsonl") && !there("contradictions.jsonl"));
}

#[test]
fn queries_that_cannot_be_an_audit_are_refused_by_name() {
    let scene = Scene::new(SETUP);
    destroy(&scene, 1..=2);
    for (sql, words) in [
        (
            "live_sql = 'select dossier_id, created_at as deleted_at from deleted_dossiers'",
            "no column `id`",
        ),
        (
            "live_sql = 'select dossier_id as id, created_at from deleted_dossiers'",
            "no column `deleted_at`",
        ),
        (
            "live_sql = 'select dossier_id as id, created_at::date as deleted_at from deleted_dossiers'",
            "is of type date",
        ),
        (
            "live_sql = 'select 1 from nowhere'",
            "relation \"nowhere\" does not exist",
        ),
        (
            "snapshot_sql = 'select 1 as id, now() as deleted_at, 7 as xid'",
            "only live_sql can return",
        ),
        (
            "live_sql = 'select 1'\nslack = 'soon'",
            "is no length of time",
        ),
        ("live_sql = 'select 1'\nfile = 'x'", "only one of"),
        ("live_sq = 'select 1'", "did you mean `audit.live_sql`"),
    ] {
        scene.case.write(
            "reinstate.toml",
            &format!("[[audit]]\ntable = 'dossiers'\n{sql}\n"),
        );
        let refused = scene.run(&["timeline"]).expect_code(2);
        assert!(
            refused.stderr.contains(words),
            "{words} in {}",
            refused.stderr
        );
    }
    // Without a zone it is read as UTC, and said to be; an audit that writes is refused by the session.
    let naive = "live_sql = 'select dossier_id as id, created_at::timestamp as deleted_at from deleted_dossiers; -- hidden; or not'";
    scene.case.write(
        "reinstate.toml",
        &format!("[[audit]]\ntable = 'dossiers'\n{naive}\n"),
    );
    let drawn = scene.run(&["timeline"]).ok();
    assert!(
        drawn.stderr.contains("has no time zone and is read as UTC"),
        "{}",
        drawn.stderr
    );
}
