//! Records whose files are lost are marked in live, people are told, and who lost what is listed.

use serde_json::{Value, json};

use super::scene::{Scene, content, key, one_each};
use crate::cli::story::one_message;
use crate::s3::Version;
use crate::support::Output;

const NOTICES: &str = r#"
[[attachments]]
preset = "active_storage"
[[notice]]
audience = "owner"
text = "{% if id > 3 %}Please attach {{ filename }} again.{% else %}{{ filename }} of {{ title }} was lost ({{ file.state }}).{% endif %}"
[[notice]]
audience = "official"
table = "dossiers"
text = "{{ attachment }} of {{ key }}: {{ file.state }}, {{ file.size }} bytes"
"#;

const STORES: &str = "primary = \"s3://files\"";

/// Five dossiers: 1 has its file, those of 2 and 4 are lost, that of 3 is corrupt, 5 shares the lost one of 4.
fn scene(more: &str) -> Scene {
    let rows = format!(
        "{}select has(5, '{}', '{}');",
        one_each(1..=4),
        key(4),
        content(4)
    );
    let scene = Scene::with(&rows, NOTICES);
    scene.stores(&format!("{more}{NOTICES}"), STORES);
    scene.put("files", 1..=1);
    scene
        .server
        .put("files", &key(3), b"other bytes than those");
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 1), ("corrupt", 1), ("lost", 2)],
    );
    scene
}

fn run(scene: &Scene, args: &[&str]) -> Output {
    let mut command = scene.incident.case.command(args);
    command
        .env("REINSTATE_LIVE", scene.incident.live.conninfo())
        .env("REINSTATE_SNAPSHOT", scene.incident.snapshot.conninfo());
    command.output().expect("reinstate starts").into()
}

#[track_caller]
fn says(scene: &Scene, args: &[&str], flagged: u64, already: u64, unflagged: u64) -> Value {
    let document = run(scene, &[args, &["--format", "json"]].concat())
        .ok()
        .json();
    let totals = json!({"flagged": flagged, "already_flagged": already, "unflagged": unflagged});
    assert_eq!(document["totals"], totals);
    document
}

/// The marks, by plain SQL.
fn marks(scene: &Scene) -> String {
    scene.incident.live.query_text(
        "select string_agg(concat_ws(' ', owner_table, owner_key, attachment, blob_key, filename, state), '; ' order by owner_key)
           from reinstate.flagged_record",
    )
}

const MARKED: &str = "public.dossiers 2 piece k002 file 2.pdf lost; public.dossiers 3 piece k003 file 3.pdf corrupt; \
                      public.dossiers 4 piece k004 file 4.pdf lost; public.dossiers 5 piece k004 file 4.pdf lost";

#[test]
fn marked_once_and_unmarked_when_the_file_turns_up() {
    let scene = scene("");
    let live = &scene.incident.live;
    // Before the rows are back there is nobody to mark.
    let plan = says(&scene, &["flag"], 0, 0, 0);
    assert_eq!(plan["absent"], 4);
    scene.incident.restore().ok();
    let plan = says(&scene, &["flag"], 4, 0, 0);
    assert_eq!(
        (&plan["plan"], &plan["run"], &plan["absent"]),
        (&json!(true), &Value::Null, &json!(0))
    );
    assert_eq!(
        live.count("select count(*) from reinstate.flagged_record"),
        0,
        "a plan wrote"
    );
    let done = says(&scene, &["flag", "--execute"], 4, 0, 0);
    assert_eq!(marks(&scene), MARKED);
    let told = |key: u32, audience: &str| {
        live.query_text(&format!(
            "select notice ->> '{audience}' from reinstate.flagged_record where owner_table = 'public.dossiers' and owner_key = '{key}'"
        ))
    };
    assert_eq!(told(2, "owner"), "file 2.pdf of title 2 was lost (lost).");
    assert_eq!(
        told(3, "owner"),
        "file 3.pdf of title 3 was lost (corrupt)."
    );
    assert_eq!(told(5, "owner"), "Please attach file 4.pdf again.");
    assert_eq!(told(3, "official"), "piece of 3: corrupt, 21 bytes");
    let run_id = done["run"].as_str().unwrap();
    let recorded = live.query_text(&format!(
        "select kind || ' ' || state from reinstate.run where run = '{run_id}'"
    ));
    assert_eq!(recorded, "flag done");
    // Again: nothing is written.
    let before = live.query_text("select string_agg(xmin::text || flagged_at, ',' order by owner_key) from reinstate.flagged_record");
    says(&scene, &["flag", "--execute"], 0, 4, 0);
    let after = live.query_text("select string_agg(xmin::text || flagged_at, ',' order by owner_key) from reinstate.flagged_record");
    assert_eq!(after, before);
    // A file that turns up.
    scene.server.bucket("files", |b| {
        b.put(&key(4), Version::of(content(4).as_bytes()))
    });
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 2), ("corrupt", 1), ("lost", 1)],
    );
    says(&scene, &["flag"], 0, 2, 2);
    says(&scene, &["flag", "--execute"], 0, 2, 2);
    assert_eq!(
        live.count("select count(*) from reinstate.flagged_record"),
        2
    );
    says(&scene, &["unflag"], 0, 0, 2);
    assert_eq!(
        live.count("select count(*) from reinstate.flagged_record"),
        2
    );
    says(&scene, &["unflag", "--execute"], 0, 0, 2);
    assert_eq!(
        live.count("select count(*) from reinstate.flagged_record"),
        0
    );
    says(&scene, &["unflag", "--execute"], 0, 0, 0);
    says(&scene, &["flag", "--execute"], 2, 0, 0);
}

#[test]
fn what_a_person_sees() {
    let scene = scene("");
    scene.incident.restore().ok();
    let said = run(&scene, &["flag"]).ok();
    let first = said.stdout.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("plan for database ") && first.contains(" as "),
        "{first}"
    );
    for part in [
        "4 marks would be written",
        "for example public.dossiers 2, file 2.pdf:",
        "  owner: file 2.pdf of title 2 was lost (lost).",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    assert!(
        said.stderr
            .contains("nothing was changed. To carry it out: reinstate"),
        "{}",
        said.stderr
    );
    let done = run(&scene, &["flag", "--execute"]).ok();
    assert!(done.stdout.contains("4 marks written"), "{}", done.stdout);
}

#[test]
fn the_operators_own_sql_runs_with_the_marks() {
    for sql in [
        "update dossiers d set title = title || '!' || (flag.notice ->> 'official') from flag where flag.owner_table = 'public.dossiers' and d.id::text = flag.owner_key",
        "with mine as (select * from flag where state in ('lost', 'corrupt')) update dossiers d set title = title || '!' || (mine.notice ->> 'official') from mine where d.id::text = mine.owner_key;",
    ] {
        let unflag = "update dossiers d set title = split_part(title, '!', 1) from flag where d.id::text = flag.owner_key";
        let scene = scene(&format!(
            "[flag]\nsql = \"\"\"{sql}\"\"\"\nunflag_sql = \"{unflag}\"\n"
        ));
        let live = &scene.incident.live;
        scene.incident.restore().ok();
        let titles = || {
            live.query_text("select string_agg(title, ',' order by id) from dossiers where id <= 5")
        };
        let before = titles();
        says(&scene, &["flag", "--execute"], 4, 0, 0);
        let said = |n: u32, what: &str| format!("title {n}!piece of {n}: {what}, 21 bytes");
        let expected = [
            "title 1".to_owned(),
            said(2, "lost"),
            said(3, "corrupt"),
            said(4, "lost"),
            said(5, "lost"),
        ]
        .join(",");
        assert_eq!(titles(), expected);
        // Of marks that are there nothing is said again.
        says(&scene, &["flag", "--execute"], 0, 4, 0);
        assert_eq!(titles(), expected);
        says(&scene, &["unflag", "--execute"], 0, 0, 4);
        assert_eq!(titles(), before);
    }
    // What fails leaves neither marks nor anything else.
    let broken =
        "[flag]\nsql = \"update dossiers set title = 1/0 from flag\"\nunflag_sql = \"select\"\n";
    let scene = scene(broken);
    scene.incident.restore().ok();
    one_message(
        &run(&scene, &["flag", "--execute"]),
        2,
        &["[flag] sql: ", "division by zero"],
    );
    assert_eq!(
        scene
            .incident
            .live
            .count("select count(*) from reinstate.flagged_record"),
        0
    );
}

#[test]
fn a_template_fails_before_anything_is_written() {
    let scene = scene("[[notice]]\naudience = \"lawyer\"\ntext = \"fine\\n{{ titel }}\"\n");
    scene.incident.restore().ok();
    for args in [&["flag"][..], &["flag", "--execute"]] {
        let output = run(&scene, args);
        one_message(
            &output,
            2,
            &[
                "[[notice]] 1 (for lawyer), of public.dossiers 2: line 2",
                "title",
                "file.state",
            ],
        );
    }
    let live = &scene.incident.live;
    assert_eq!(
        live.count("select count(*) from reinstate.flagged_record"),
        0
    );
    scene.stores(
        &format!("[[notice]]\naudience = \"x\"\ntext = \"{{% if %}}\"\n{NOTICES}"),
        STORES,
    );
    one_message(
        &run(&scene, &["flag"]),
        2,
        &["[[notice]] 1 (for x): line 1"],
    );
    scene.stores(&format!("[[notice]]\naudience = \"x\"\n{NOTICES}"), STORES);
    one_message(&run(&scene, &["flag"]), 2, &["notice 1: `text` is missing"]);
}

#[test]
fn what_is_not_known_is_not_marked() {
    let scene = scene("");
    scene.incident.case.write("blobs.partial.jsonl", "");
    one_message(
        &run(&scene, &["flag"]),
        3,
        &["was interrupted", "blobs check"],
    );
    std::fs::remove_file(scene.incident.case.file("blobs.partial.jsonl")).unwrap();
    std::fs::remove_file(scene.incident.case.file("blobs.jsonl")).unwrap();
    one_message(&run(&scene, &["flag"]), 2, &["there is no ", "blobs check"]);
    one_message(&run(&scene, &["contacts", "--lost"]), 2, &["[[contacts]]"]);
}

#[test]
fn rights_that_lack_are_named_and_a_run_that_died_is_ended() {
    let scene = scene("");
    scene.incident.restore().ok();
    let live = &scene.incident.live;
    let role = format!("marker_{}", live.name);
    live.run(&format!(
        "create role {role} login; grant usage on schema public, reinstate to {role};
         grant select on all tables in schema public, reinstate to {role};
         insert into reinstate.run (run, kind, bundle, state, tool, settings, os_user, host, command)
           values ('20200121T164000Z-dead', 'flag', '', 'running', '{{}}', '{{}}', '', '', '')"
    ));
    let mut command = scene.incident.case.command(["flag", "--execute"]);
    command
        .env("REINSTATE_LIVE", live.conninfo_as(&role))
        .env("REINSTATE_SNAPSHOT", scene.incident.snapshot.conninfo());
    let refused: Output = command.output().unwrap().into();
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("permission denied"),
        "{}",
        refused.stderr
    );
    says(&scene, &["flag", "--execute"], 4, 0, 0);
    let state = "select state from reinstate.run where run = '20200121T164000Z-dead'";
    assert_eq!(live.query_text(state), "interrupted");
    live.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn who_lost_which_file() {
    let contacts = "[[contacts]]\nsql = \"\"\"select 'dossiers' as owner_table, id::text as owner_key,
        case when id <= 2 then '=one@example.org' when id <> 3 then 'other@example.org' end as contact from dossiers\"\"\"\n";
    let scene = scene(contacts);
    let said = run(&scene, &["contacts", "--lost"]).ok();
    assert!(
        said.stdout.contains("2 persons lost 4 files"),
        "{}",
        said.stdout
    );
    let text = scene.incident.case.read("lost.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        head,
        [
            "contact",
            "owner_table",
            "owner_key",
            "attachment",
            "filename",
            "state",
            "blob_key",
            "unit"
        ]
    );
    let rows: Vec<String> = reader
        .records()
        .map(|r| r.unwrap().iter().take(6).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(
        rows,
        [
            "|public.dossiers|3|piece|file 3.pdf|corrupt",
            "'=one@example.org|public.dossiers|2|piece|file 2.pdf|lost",
            "other@example.org|public.dossiers|4|piece|file 4.pdf|lost",
            "other@example.org|public.dossiers|5|piece|file 4.pdf|lost",
        ]
    );
}
