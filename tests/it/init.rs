//! `init`: the file it writes, that it loads, and that it is never written over another.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Case, Output, TestDb, database, pair};

const SCHEMA: &str = "
    create table users (id int primary key, email text);
    create table dossiers (id int primary key, user_id int references users);
    create table champs (id int primary key, dossier_id int);          -- convincing
    create table visits (id int primary key, user_id int);             -- not
    create table active_storage_blobs (id int primary key);
    create table active_storage_attachments (id int primary key, record_id int, record_type text,
                                             blob_id int references active_storage_blobs);
    create table deleted_dossiers (id int primary key, dossier_id int, reason text,
                                   deleted_at timestamptz, created_at timestamptz);
    create table versions (id int primary key, item_id int, item_type text, created_at timestamptz);
    insert into users select n, n || '@example.net' from generate_series(1, 50) n;
    insert into dossiers select n, n from generate_series(1, 50) n;
    insert into champs select n, n from generate_series(1, 50) n;
    insert into visits select n, n * 100 from generate_series(1, 50) n;
    insert into active_storage_blobs select generate_series(1, 50);
    insert into active_storage_attachments select n, n, 'Dossier', n from generate_series(1, 50) n;
    insert into active_storage_attachments values (99, 1, 'Ghost', 1)";

fn run(case: &Case, live: &TestDb, snapshot: Option<&TestDb>, args: &[&str]) -> Output {
    let mut command = case.command(args);
    command.env("REINSTATE_LIVE", live.conninfo());
    if let Some(snapshot) = snapshot {
        command.env("REINSTATE_SNAPSHOT", snapshot.conninfo());
    }
    command.output().unwrap().into()
}

#[test]
fn what_is_convincing_is_active_and_what_is_not_is_a_comment() {
    let (snapshot, live) = pair(SCHEMA);
    let case = Case::new();
    let document = run(&case, &live, Some(&snapshot), &["init", "--format", "json"])
        .ok()
        .json();
    assert_eq!(document["command"], "init");
    let file = case.read("reinstate.toml");
    assert_eq!(document["totals"]["active"], 2, "{file}");
    let mode = std::fs::metadata(case.file("reinstate.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let active: Vec<&str> = file
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .collect();
    let expected = [
        "[[relation]]",
        "from = \"public.active_storage_attachments(record_id)\"",
        "to = \"public.dossiers(id)\"",
        "when = { record_type = \"Dossier\" }",
        "[[relation]]",
        "from = \"public.champs(dossier_id)\"",
        "to = \"public.dossiers(id)\"",
    ];
    assert_eq!(active, expected, "{file}");
    for comment in [
        "# 50 of 50 values sampled match\n",
        "# 0 of 50 values sampled match: is it one?\n# [[relation]]\n# from = \"public.visits(user_id)\"",
        "# \"Ghost\": no table of that name",
        // The column named deleted_at is when the file was hidden, in the application that this is taken from.
        "# public.deleted_dossiers has other times too: deleted_at\n",
        "select dossier_id as id, created_at as deleted_at, xmin as xid from public.deleted_dossiers",
        "public.versions looks like a log of changes",
        "select dossier_id as id from public.deleted_dossiers where reason = 'user_request'",
        "p.email as contact from public.dossiers o join public.users p on p.id = o.user_id",
        "# preset = \"active_storage\"\n# classes = { Dossier = \"public.dossiers\" }",
        "# snapshot_time = \"2020-01-21T03:00:00+01:00\"",
    ] {
        assert!(file.contains(comment), "{comment} is missing in\n{file}");
    }
}

#[test]
fn the_file_loads_and_is_obeyed() {
    let (snapshot, live) = pair(SCHEMA);
    live.run(
        "delete from champs where dossier_id = 7; delete from active_storage_attachments where record_id = 7;
         delete from dossiers where id = 7",
    );
    let case = Case::new();
    run(&case, &live, Some(&snapshot), &["init"]).ok();
    let extract = ["extract", "--root", "dossiers", "--format", "json"];
    let document = run(&case, &live, Some(&snapshot), &extract).ok().json();
    // The dossier, and with it what only the written relations lead to.
    assert_eq!(document["totals"]["rows"], 3, "{document}");
    assert_eq!(document["totals"]["units"], 1, "{document}");
}

#[test]
fn live_alone_is_enough_and_no_password_is_written() {
    let live = database();
    live.run(SCHEMA);
    let case = Case::new();
    let conninfo = format!("{} password=s3cr3t", live.conninfo());
    let output = case.run(["init", "--live", &conninfo]).ok();
    let file = case.read("reinstate.toml");
    assert!(!file.contains("s3cr3t"), "{file}");
    assert!(
        file.contains(&format!("dbname={} user=postgres", live.name)),
        "{file}"
    );
    assert!(
        output
            .stdout
            .contains("reinstate.toml: 2 references active, "),
        "{}",
        output.stdout
    );
    case.run(["doctor", "--live", &conninfo]).ok();
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let live = database();
    live.run(SCHEMA);
    let case = Case::new();
    case.write("reinstate.toml", "# mine\n");
    let output = run(&case, &live, None, &["init"]).expect_code(3);
    assert!(
        output.stderr.contains("was left as it is"),
        "{}",
        output.stderr
    );
    assert_eq!(case.read("reinstate.toml"), "# mine\n");
    // Nor through a link that leads nowhere yet.
    std::fs::remove_file(case.file("reinstate.toml")).unwrap();
    std::os::unix::fs::symlink("elsewhere", case.file("reinstate.toml")).unwrap();
    run(&case, &live, None, &["init"]).expect_code(3);
    assert!(!case.file("elsewhere").exists());
}

#[test]
fn nothing_is_written_where_nothing_could_be_read() {
    let case = Case::new();
    let output = case
        .run(["init", "--live", "host=/nowhere user=x"])
        .expect_code(2);
    assert!(output.stderr.contains("error: live: "), "{}", output.stderr);
    case.run(["init"]).expect_code(2);
    assert!(!case.file("reinstate.toml").exists());
}

#[test]
fn a_class_whose_rows_lie_together_at_the_end_is_not_missed() {
    let live = database();
    live.run(SCHEMA);
    live.run(
        "insert into active_storage_attachments select n, 1 + n % 50, 'Dossier', 1 from generate_series(1000, 60000) n;
         insert into active_storage_attachments select n, 1 + n % 50, 'Champ', 1 from generate_series(100000, 109000) n;
         analyze active_storage_attachments",
    );
    let case = Case::new();
    run(&case, &live, None, &["init"]).ok();
    let file = case.read("reinstate.toml");
    assert!(
        file.contains("when = { record_type = \"Champ\" }"),
        "{file}"
    );
    assert!(file.ends_with('\n'));
}

/// What one side alone has, and looks alike, is a comment; uncommented, it can be read.
#[test]
fn what_may_have_been_renamed_is_a_comment() {
    let (snapshot, live) = pair(SCHEMA);
    live.run("alter table versions rename to \"Changes\"; alter table dossiers rename user_id to owner_id");
    let case = Case::new();
    run(&case, &live, Some(&snapshot), &["init"]).ok();
    let file = case.read("reinstate.toml");
    let table = "# [[rename]]\n# table = \"public.versions\"\n# to = \"public.\\\"Changes\\\"\"\n";
    let column = "# [[rename]]\n# table = \"public.dossiers\"\n# column = \"user_id\"\n# to = \"owner_id\"\n";
    for entry in [table, column] {
        assert!(file.contains(entry), "{entry} is missing in\n{file}");
    }
    assert_eq!(file.matches("[[rename]]").count(), 2, "{file}");
    let warned = run(&case, &live, Some(&snapshot), &["doctor"]);
    assert!(
        warned
            .stdout
            .contains("public.versions, which live lacks, may be live's public.\"Changes\""),
        "{}",
        warned.stdout
    );

    let stated: String = [table, column].concat().replace("# ", "");
    case.write("reinstate.toml", &stated);
    let found = run(&case, &live, Some(&snapshot), &["doctor"]);
    assert!(
        !found.stdout.contains("which live lacks"),
        "{}",
        found.stdout
    );
    run(&case, &live, Some(&snapshot), &["diff"]).ok();
}

/// Two of a kind on one side: nobody can say which of them it is.
#[test]
fn what_may_be_either_is_not_guessed() {
    let (snapshot, live) = pair(
        "create table keeps (id int); create table a (x int, y text); create table b (x int, y text)",
    );
    live.run("alter table a rename to c; alter table b rename to d; alter table keeps rename id to n; alter table keeps add m int");
    let case = Case::new();
    run(&case, &live, Some(&snapshot), &["init"]).ok();
    assert!(!case.read("reinstate.toml").contains("[[rename]]"));
}
