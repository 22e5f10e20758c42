//! What asks an application's database for its files.

use super::scene::{Scene, key, one_each};
use crate::restore::Incident;
use crate::support::Case;

/// The bundle's listing of files, as standard tools read it.
fn listed(case: &Case) -> Vec<serde_json::Value> {
    let bytes = std::fs::read(case.file("bundle/attachments.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn active_storage_gives_what_belongs_to_the_rows_of_the_bundle() {
    let scene = Scene::new(&format!("{}{}", one_each(1..=3), one_each(41..=43)));
    let rows = listed(&scene.incident.case);
    let keys: Vec<&str> = rows.iter().map(|r| r["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        [key(1), key(2), key(3)],
        "and not those that live still has"
    );
    assert_eq!(rows[0]["owner"]["table"], "public.dossiers");
    assert_eq!(rows[0]["owner"]["name"], "piece");
    assert_eq!(rows[0]["store"], "files");
    assert_eq!(rows[0]["checksum_algorithm"], "md5");
    assert!(rows[0]["unit"].as_u64().unwrap() > 0);
    let manifest = scene.incident.case.read("bundle/manifest.json");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["totals"]["attachments"], 3);
    assert_eq!(manifest["attachment_sources"][0], "active_storage");
}

#[test]
fn a_file_whose_owner_was_not_deleted_comes_with_the_row_that_tied_it() {
    let scene = Scene::new(&one_each(1..=1));
    let incident = &scene.incident;
    incident.snapshot.run("select has(50, 'tied', 'x')");
    incident.extract(&["-o", incident.case.file("second").to_str().unwrap()]);
    let bytes = std::fs::read(incident.case.file("second/attachments.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap();
    assert!(text.contains("\"tied\""), "{text}");
}

#[test]
fn a_bundle_without_files_is_no_bundle_whose_files_are_well() {
    let scene = Scene::with(&one_each(1..=1), "");
    let refused = scene.check(&[""; 0]).expect_code(2).stderr;
    assert!(
        refused.contains("does not say which files its rows point at"),
        "{refused}"
    );
    scene.store("primary = \"s3://files\"");
    let refused = scene.check(&[""; 0]).expect_code(2).stderr;
    assert!(
        refused.contains("extract again, into another directory"),
        "{refused}"
    );
}

#[test]
fn the_operators_own_sql() {
    let own = |sql: &str| {
        format!(
            "[[attachments]]\nsql = \"{sql}\"\nstore = \"files\"\nkey = \"up/{{blob_key}}\"\nchecksum = \"md5\"\n"
        )
    };
    let right = "select 'dossiers' as owner_table, id as owner_key, 'f' || id as blob_key, md5('x') as checksum from dossiers where id in (1, 50)";
    let scene = Scene::with("", &own(right));
    scene.server.put("files", "up/f1", b"x");
    scene.stores(&own(right), "primary = \"s3://files\"");
    scene.finds(&["--level", "checksum"], 0, &[("present", 1)]);
    assert_eq!(scene.row("up/f1")["proof"], "etag");
    for (sql, said) in [
        (
            "select 1 as owner_table",
            "the SQL gives no column owner_key",
        ),
        (
            "select 'dossiers' as owner_table, 1 as owner_key, 'x' as blob_key, 'y' as chekcsum",
            "a column chekcsum, which means nothing here",
        ),
        (
            "select 'dossiers' as owner_table, 1 as owner_key, 'x' as blob_key, 'big' as byte_size",
            "byte_size `big` of file `x`",
        ),
        ("select * from nowhere", "[[attachments]] 1 (sql)"),
    ] {
        scene.stores(&own(sql), "primary = \"s3://files\"");
        let refused = scene.check(&["--live-all"]).expect_code(2).stderr;
        assert!(refused.contains(said), "{refused}");
    }
}

/// As `db/structure.sql` of GitLab has it.
const GITLAB: &str = "
create table projects (id integer primary key, name varchar);
create table notes (id bigint primary key, note text, project_id integer references projects on delete cascade);
create table namespaces (id bigint primary key, name varchar, type varchar);
create table uploads (
    id bigserial primary key, size bigint not null, path varchar(511) not null, checksum varchar(64), model_type varchar,
    model_id bigint, uploader varchar not null, created_at timestamp not null default now(), store integer default 1,
    mount_point varchar, secret varchar, version integer default 1 not null, uploaded_by_user_id bigint);
insert into projects select n, 'p' || n from generate_series(1, 4) n;
insert into notes select n, 'note', 1 + n % 4 from generate_series(1, 8) n;
insert into namespaces values (1, 'g', 'Group');
insert into uploads (size, path, checksum, model_type, model_id, uploader, store, secret) values
  (1, '@hashed/aa/bb/s1/one.png', encode(sha256('1'), 'hex'), 'Project', 1, 'FileUploader', 2, 's1'),
  (1, '@hashed/aa/bb/s2/two words.png', null, 'Project', 1, 'FileUploader', 2, 's2'),
  (1, 'local/three.png', null, 'Project', 1, 'FileUploader', 1, 's3'),
  (1, '@hashed/cc/dd/s4/four.png', encode(sha256('4'), 'hex'), 'Note', 4, 'FileUploader', 2, 's4'),
  (1, 'group/avatar.png', null, 'Group', 1, 'AvatarUploader', 2, null),
  (1, 'kept.png', null, 'Project', 2, 'FileUploader', 2, 's6'),
  (1, 'odd.png', null, 'Some::Oddity', 2, 'FileUploader', 2, 's7');
";

#[test]
fn gitlab_uploads() {
    let scene_loss = "delete from uploads where model_id in (1, 4); delete from notes where project_id = 1; delete from projects where id = 1; delete from namespaces";
    let incident = Incident::new(GITLAB, scene_loss);
    let server = crate::s3::Server::start(&["uploads"]);
    let config = format!(
        "[[attachments]]\npreset = \"gitlab_uploads\"\nstore = \"uploads\"\n\
         [stores.uploads]\nprimary = \"s3://uploads\"\nendpoint_url = \"{}\"\n",
        server.endpoint
    );
    incident.case.write("reinstate.toml", &config);
    let output = incident.run(&["extract"]).ok();
    assert!(
        output
            .stderr
            .contains("`Some::Oddity`, which is no table of the snapshot"),
        "{}",
        output.stderr
    );
    let rows = listed(&incident.case);
    let owners: Vec<(String, String)> = rows
        .iter()
        .map(|r| {
            (
                r["owner"]["table"].to_string(),
                r["owner"]["filename"].to_string(),
            )
        })
        .collect();
    let expected = [
        ("public.namespaces", "avatar.png"),
        ("public.notes", "four.png"),
        ("public.projects", "one.png"),
        ("public.projects", "two words.png"),
    ];
    assert_eq!(
        owners,
        expected.map(|(t, f)| (format!("\"{t}\""), format!("\"{f}\"")))
    );
    for key in [
        "@hashed/aa/bb/s1/one.png",
        "@hashed/aa/bb/s2/two words.png",
        "group/avatar.png",
    ] {
        server.put("uploads", key, b"1");
    }
    let mut command = incident
        .case
        .command(["blobs", "check", "--level", "checksum", "--format", "json"]);
    command
        .env("AWS_ACCESS_KEY_ID", crate::s3::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", crate::s3::SECRET_KEY);
    let output: crate::support::Output = command.output().unwrap().into();
    let totals = &output.expect_code(1).json()["totals"];
    assert_eq!(
        (&totals["present"], &totals["unverifiable"], &totals["lost"]),
        (&1.into(), &2.into(), &1.into())
    );
}
