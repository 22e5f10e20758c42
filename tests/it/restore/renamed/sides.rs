//! What reads the snapshot beside `extract`: all of it speaks live's names.

use reinstate::catalog::{Rename, Renames, introspect};
use reinstate::pg::Access;

use super::{Incident, LOSS, MIGRATION, RELATION, RENAMES, SETUP};
use crate::support::{TestDb, copy_database};

/// A live that was migrated before the loss, and its configuration.
fn migrated() -> Incident {
    let live = crate::support::database();
    live.run(SETUP);
    let snapshot = copy_database(&live);
    live.run(MIGRATION);
    let before = crate::support::dump(&live);
    live.run(&new_loss());
    let incident = Incident::between(snapshot, live, before);
    incident
        .case
        .write("reinstate.toml", &format!("{RENAMES}{RELATION}"));
    incident
}

/// The loss in live's names.
fn new_loss() -> String {
    LOSS.replace("files where owner ", "files where owner_id ")
        .replace("dossiers where id ", "app.cases where number ")
}

/// Nothing but what was lost differs, and every table of the snapshot is compared.
#[test]
fn diff_sees_no_difference_in_a_name() {
    let incident = migrated();
    let found = incident
        .run(&["diff", "--depth", "rows"])
        .expect_code(1)
        .json();
    assert_eq!(found["totals"]["deleted"], 14, "{found:#}");
    assert_eq!(found["totals"]["changed"], 2, "the notes: {found:#}");
    assert_eq!(found["totals"]["inserted"], 0);
    for table in found["tables"].as_array().unwrap() {
        let status = table["status"].as_str().unwrap();
        assert!(matches!(status, "compared" | "no_key"), "{table}");
    }
    let lines = incident.case.read("diff.jsonl");
    assert!(
        lines.contains("app.cases") && !lines.contains("dossiers"),
        "{lines}"
    );
    let one = incident.run(&["diff", "--table", "cases", "--schema", "app"]);
    assert_eq!(one.expect_code(1).json()["totals"]["deleted"], 2);
    let text = incident.for_people(&["diff"]).expect_code(1).stdout;
    assert!(
        text.contains("app.cases: was public.dossiers in the snapshot"),
        "{text}"
    );
    assert!(text.contains("Heading was title"), "{text}");
}

/// A table that is cut into ranges and pages, by key and by place.
#[test]
fn a_large_table_is_cut_by_its_new_names() {
    for key in ["primary key", ""] {
        let incident = Incident::new(
            &format!(
                "create table t (id int {key}, pad text);
                 insert into t select n, repeat('x', n % 7) from generate_series(1, 150000) n; analyze t"
            ),
            "delete from t where id % 50000 = 3; update t set pad = 'edited' where id = 77777;
             alter table t rename to u; alter table u rename id to n; alter table u rename pad to filling",
        );
        let entries =
            "[[rename]]\ntable = 't'\nto = 'u'\n[[rename]]\ntable = 't'\ncolumn = 'id'\nto = 'n'\n
                       [[rename]]\ntable = 't'\ncolumn = 'pad'\nto = 'filling'\n";
        incident.case.write("reinstate.toml", entries);
        let found = incident
            .run(&["diff", "--depth", "rows"])
            .expect_code(1)
            .json();
        let totals = &found["totals"];
        let bag = u64::from(key.is_empty());
        assert_eq!(totals["deleted"], 3 + bag, "{found:#}");
        assert_eq!(totals["inserted"], bag, "{found:#}");
    }
}

/// What is not allowed is granted in the names of the database that forbids it.
#[test]
fn rights_are_granted_by_the_names_of_each_side() {
    let incident = migrated();
    let role = format!(
        "{}_reader",
        incident.snapshot.query_text("select current_database()")
    );
    let grants = format!("create role {role} login; grant usage on schema public to {role}");
    incident.snapshot.run(&grants);
    let output = incident
        .command(&["diff"])
        .env("REINSTATE_SNAPSHOT", incident.snapshot.conninfo_as(&role))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    incident
        .snapshot
        .run(&format!("drop owned by {role}; drop role {role}"));
    assert!(
        said.contains("snapshot: role") && said.contains("public.dossiers"),
        "{said}"
    );
    assert!(!said.contains("app.cases"), "{said}");
}

/// The bound on rows born since counts by a column and a sequence that have other names in the backup.
#[test]
fn what_cannot_be_known_is_bounded() {
    let incident = Incident::new(
        "create table t (id serial primary key, v int); insert into t (v) select n from generate_series(1, 20) n",
        "delete from t where id <= 2; insert into t (v) values (1), (2), (3); delete from t where id > 21;
         alter table t rename to u; alter table u rename id to n; alter sequence t_id_seq rename to u_n_seq",
    );
    let entries =
        "[[rename]]\ntable = 't'\nto = 'u'\n[[rename]]\ntable = 't'\ncolumn = 'id'\nto = 'n'\n";
    incident.case.write("reinstate.toml", entries);
    let found = incident.run(&["diff"]).expect_code(1).json();
    let bound = &found["unknowable"]["born_and_gone"][0];
    assert_eq!(bound["table"], "public.u", "{found:#}");
    assert_eq!(
        (&bound["column"], &bound["after"]),
        (&"n".into(), &20.into()),
        "{found:#}"
    );
    assert_eq!(bound["at_most"], 2, "{found:#}");
}

/// The condition is read by live's names; in a table without a key too.
#[test]
fn conditions_speak_live_names() {
    let incident = migrated();
    let extracted = incident.extract(&[
        "--root",
        "app.cases",
        "--where",
        "\"Heading\" = 'title 4' and cases.number > 3",
    ]);
    assert_eq!(extracted.by_table("rows")["app.cases"], 1);
    std::fs::remove_dir_all(incident.case.file("bundle")).unwrap();
    let condition = "what = 'what 0' and ctid is not null and dossier_id = 4";
    let args = ["--root", "\"Visits\"", "--where", condition];
    let extracted = incident.extract(&args);
    let lost = "select count(*) from visits where what = 'what 0' and dossier_id = 4";
    let lost = incident.snapshot.count(lost) as u64;
    assert!(lost > 0);
    assert_eq!(extracted.by_table("rows")["public.\"Visits\""], lost);
    let said = incident.run(&["extract", "-o", "other", "--root", "dossiers"]);
    let said = said.expect_code(2).stderr;
    assert!(said.contains("it is app.cases by now"), "{said}");
    let manifest: serde_json::Value =
        serde_json::from_str(&incident.case.read("bundle/manifest.json")).unwrap();
    assert_eq!(manifest["format"], "1.5");
    let renames = manifest["renames"].as_array().unwrap();
    let table = serde_json::json!({"table": "public.dossiers", "to": "app.cases"});
    let column =
        serde_json::json!({"table": "public.dossiers", "column": "title", "to": "Heading"});
    assert!(
        renames.contains(&table) && renames.contains(&column),
        "{renames:?}"
    );
}

/// Lists of rows name keys by live's names, wherever they come from.
#[test]
fn lists_of_rows_speak_live_names() {
    for rows in [
        "snapshot_sql = \"select id as number, now() as deleted_at from dossiers where id = 4\"",
        "live_sql = \"select 4 as number, now() as deleted_at\"",
        "file = 'list.csv'",
    ] {
        let incident = migrated();
        let list = incident.case.file("list.csv");
        incident
            .case
            .write("list.csv", "number,deleted_at\n4,2040-01-01T00:00:00Z\n");
        let rows = rows.replace("list.csv", list.to_str().unwrap());
        for entry in [
            format!("[[exclude]]\ntable = 'app.cases'\nreason = 'asked'\n{rows}\n"),
            format!("[[audit]]\ntable = 'app.cases'\nslack = '9999h'\n{rows}\n"),
        ] {
            let whole = format!("{entry}{RENAMES}{RELATION}");
            incident.case.write("reinstate.toml", &whole);
            let output = incident
                .for_people(&["extract", "--root", "app.cases"])
                .ok();
            let manifest: serde_json::Value =
                serde_json::from_str(&incident.case.read("bundle/manifest.json")).unwrap();
            match entry.contains("exclude") {
                true => assert_eq!(manifest["totals"]["excluded"], 7, "{manifest:#}"),
                false => {
                    let dated = manifest["evidence"].to_string();
                    assert!(dated.contains("audit"), "{dated} {}", output.stderr);
                }
            }
            std::fs::remove_dir_all(incident.case.file("bundle")).unwrap();
        }
    }
}

/// A later backup may have either names, or some of both.
#[test]
fn an_after_snapshot_with_either_names() {
    let partly =
        "create schema app; alter table dossiers rename to cases; alter table cases set schema app;
                  alter table app.cases rename id to number";
    for migration in ["select 1", partly, MIGRATION] {
        let incident = migrated();
        let after = copy_database(&incident.snapshot);
        after.run(migration);
        let moment = |db: &TestDb| {
            db.query_text("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        };
        let time = moment(&after);
        let args = [
            "timeline",
            "--snapshot-time",
            "2020-01-01T00:00:00Z",
            "--after",
            &after.conninfo(),
            "--after-time",
            &time,
            "--evidence",
            "bracket",
        ];
        let found = incident.run(&args).ok().json();
        let text = found.to_string();
        assert!(text.contains("app.cases"), "{found:#}");
        // All of them were still there.
        let bundle = [
            &["extract", "--root", "app.cases", "--from", &time],
            &args[1..],
        ]
        .concat();
        let extracted = incident.run(&bundle).ok().json();
        assert_eq!(
            extracted["totals"]["rows"], 14,
            "{migration}: {extracted:#}"
        );
    }
}

/// The operator's own SQL may call the owner by either name.
#[test]
fn contacts_by_either_name() {
    for name in ["dossiers", "app.cases", "cases"] {
        let incident = migrated();
        incident.extract(&["--root", "app.cases"]);
        let sql = format!(
            "[[contacts]]\nsql = \"select '{name}' as owner_table, d.id as owner_key, u.email as contact from dossiers d join users u on u.id = d.user_id\"\n"
        );
        incident
            .case
            .write("reinstate.toml", &format!("{sql}{RENAMES}{RELATION}"));
        let found = incident.run(&["contacts"]).ok().json();
        assert_eq!(found["totals"]["records"], 2, "{name}: {found:#}");
        assert_eq!(found["totals"]["records_without_contact"], 0);
        assert_eq!(found["unknown_owner_tables"], serde_json::json!([]));
    }
}

#[test]
fn doctor_and_init_look_at_them_as_one() {
    let incident = migrated();
    let found = incident.run(&["doctor"]);
    assert!(matches!(found.code, 0 | 1), "{}", found.stderr);
    let found = found.json();
    let about: Vec<&serde_json::Value> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| {
            matches!(
                f["code"].as_str(),
                Some("only_in_snapshot" | "only_in_live" | "rename")
            )
        })
        .collect();
    assert!(about.is_empty(), "{about:?}");
}

/// A subquery that only renames costs nothing: indexes and ranges of places serve it as they serve the table.
#[tokio::test]
async fn the_server_pulls_the_subquery_up() {
    let db = crate::support::database();
    db.run(
        "create table dossiers (id int primary key, title text);
         insert into dossiers select n, 't' from generate_series(1, 20000) n; analyze dossiers;
         create table logs (id int primary key, title text) partition by range (id);
         create table logs_1 partition of logs for values from (1) to (10000);
         create table logs_2 partition of logs for values from (10000) to (30000);
         insert into logs select n, 't' from generate_series(1, 20000) n; analyze logs",
    );
    let session = db.session(Access::Reading).await;
    let schema = introspect(&session).await.unwrap_or_else(|e| panic!("{e}"));
    let name = |text: &str| text.parse().unwrap();
    let entries = ["dossiers", "logs"].map(|table| Rename::Column {
        table: name(table),
        from: "id".into(),
        to: "number".into(),
    });
    let renamed = Renames::of(&entries, &schema).apply(schema);
    let plan = |sql: &str| db.query_text(&format!("explain (costs off) {sql}"));
    for (table, parts) in [("dossiers", 1), ("logs", 2)] {
        let from = renamed.tables[&name(table)].from_sql();
        let by_key = plan(&format!(
            "select t.title from unnest('{{1,2}}'::text[]) k join {from} t on t.number = k::int4"
        ));
        assert_eq!(by_key.matches("Index Scan").count(), parts, "{by_key}");
        let by_range = plan(&format!(
            "select t.number from {from} t where t.number >= 5 and t.number < 9"
        ));
        assert!(by_range.contains("Index Only Scan"), "{by_range}");
        let by_pages = plan(&format!(
            "select count(*) from {from} t where t.ctid >= '(1,0)' and t.ctid < '(3,0)'"
        ));
        assert_eq!(
            by_pages.matches("Tid Range Scan").count(),
            parts,
            "{by_pages}"
        );
        let by_place = plan(&format!(
            "select t.xmin, t.tableoid from unnest('{{\"(0,1)\"}}'::text[]) k join {from} t on t.ctid = k::tid"
        ));
        assert_eq!(by_place.matches("Tid Scan").count(), parts, "{by_place}");
        for plan in [by_key, by_range, by_pages, by_place] {
            assert!(!plan.contains("Subquery"), "{plan}");
        }
        let sampled =
            renamed.tables[&name(table)].sample_sql("t", "tablesample system (10) repeatable (1)");
        assert!(db.count(&format!("select count(t.number) from {sampled}")) < 20_000);
    }
}
