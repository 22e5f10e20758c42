//! `extract`: what is chosen, what is refused, and that a live database that moves is read rightly.

mod chosen;
mod huge;
mod moving;
mod relinks;
mod strangers;

use crate::restore::{Incident, Ledger};

const SETUP: &str = "
create table users (id int primary key, name text);
create table posts (id int primary key, user_id int not null references users on delete cascade, body text);
insert into users select n, 'user ' || n from generate_series(1, 20) n;
insert into posts select n, 1 + n % 20, 'post ' || n from generate_series(1, 60) n;
";

fn incident() -> Incident {
    Incident::new(SETUP, "delete from users where id in (3, 4, 5)")
}

/// Ends with this code, says all of `words`, and leaves no bundle behind.
#[track_caller]
fn refused(incident: &Incident, args: &[&str], code: i32, words: &[&str]) {
    let output = incident
        .run(&[&["extract"], args].concat())
        .expect_code(code);
    for word in words {
        assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
    }
    assert_eq!(output.stdout, "");
    let left: Vec<_> = std::fs::read_dir(incident.case.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn keys_from_a_file_choose_the_roots() {
    let incident = incident();
    incident.case.write("keys", "4\n 5\n17\n999\n");
    let path = incident.case.file("keys");
    let extracted = incident.extract(&["--root", "users", "--keys", path.to_str().unwrap()]);
    assert_eq!((extracted.total("units"), extracted.total("rows")), (2, 8));
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 8)]);
    assert_eq!(
        incident.live.query_text(
            "select string_agg(id::text, ',' order by id) from users where id between 2 and 6"
        ),
        "2,4,5,6"
    );
}

#[test]
fn keys_of_several_columns() {
    let incident = Incident::new(
        "create table pairs (a int, b text, primary key (a, b)); insert into pairs select n, v from generate_series(1, 3) n, (values ('x'), ('y,z'), ('\"q\"')) v (v)",
        "delete from pairs where a < 3",
    );
    incident
        .case
        .write("keys", "1,x\n2,\"y,z\"\n1,\"\"\"q\"\"\"\n");
    let path = incident.case.file("keys");
    let extracted = incident.extract(&["--root", "pairs", "--keys", path.to_str().unwrap()]);
    assert_eq!(extracted.total("rows"), 3);
}

#[test]
fn a_bundle_is_never_overwritten() {
    let incident = incident();
    incident.extract(&[]);
    let manifest = incident.case.read("bundle/manifest.json");
    let output = incident.run(&["extract"]).expect_code(3);
    assert!(output.stderr.contains("bundle"), "{}", output.stderr);
    assert_eq!(incident.case.read("bundle/manifest.json"), manifest);
    // Another place is as good.
    let other = incident.case.file("second");
    incident.extract(&[
        "-o",
        other.to_str().unwrap(),
        "--root",
        "users",
        "--where",
        "id = 3",
    ]);
    let output = incident.restore_with(&[other.to_str().unwrap()]).ok();
    Ledger::of(&output).expect(&[("inserted", 4)]);
}

#[test]
fn what_cannot_be_extracted_is_named() {
    let incident = incident();
    refused(
        &incident,
        &["--root", "nothing"],
        2,
        &["public.nothing", "neither"],
    );
    refused(
        &incident,
        &["--root", "users", "--where", "no_such = 1"],
        2,
        &["no_such"],
    );
    refused(
        &incident,
        &["--root", "users", "--where", "id = 1"],
        2,
        &["nothing to extract", "public.users"],
    );
    refused(
        &incident,
        &["--root", "users", "--where", "id in (3); delete from users"],
        2,
        &["syntax"],
    );
    refused(&incident, &["--where", "id = 3"], 2, &["--root"]);
    refused(
        &incident,
        &["--from", "2020-01-21T16:40:00+01:00"],
        2,
        &["nothing tells when"],
    );
    let snapshot = incident.live.conninfo();
    refused(&incident, &["--snapshot", &snapshot], 3, &["same database"]);
}

#[test]
fn nothing_was_deleted() {
    let incident = Incident::new(SETUP, "update users set name = 'edited' where id = 3");
    refused(&incident, &[], 2, &["nothing to extract"]);
}

#[test]
fn a_snapshot_is_never_written_to() {
    let incident = incident();
    incident.snapshot.run(&format!(
        "alter database {} set default_transaction_read_only = on",
        incident.snapshot.name
    ));
    incident.run(&["diff"]).expect_code(1);
    incident.extract(&[]);
}

/// Of a list of keys, those that match nothing are counted: whoever lists five hundred wants to know.
#[test]
fn keys_that_match_nothing_are_counted() {
    let incident = incident();
    incident.case.write("keys.csv", "3\n7\n99999\n");
    let keys = incident.case.file("keys.csv");
    let extracted = incident.extract(&["--root", "users", "--keys", keys.to_str().unwrap()]);
    assert_eq!(extracted.total("units"), 1);
    let left = extracted.get("left_out").to_string();
    assert!(
        left.contains("listed by --keys") && left.contains("\"rows\":2"),
        "{left}"
    );
}
