//! What cannot be asked is named, and nothing is written.

use serde_json::{Value, json};

use super::{Incident, OWNERS, incident};

/// Refused with this code and all of these words; what an earlier run wrote is still there, and nothing else.
#[track_caller]
fn refused(incident: &Incident, args: &[&str], code: i32, words: &[&str]) {
    incident.case.write("contacts.csv", "an earlier one");
    let output = incident
        .run(&[&["contacts"], args].concat())
        .expect_code(code);
    for word in words {
        assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
    }
    assert_eq!(output.stdout, "");
    assert_eq!(incident.case.read("contacts.csv"), "an earlier one");
    assert_eq!(std::fs::read_dir(incident.case.path()).unwrap().count(), 3);
}

#[test]
fn what_cannot_be_is_named() {
    let incident = incident("");
    refused(
        &incident,
        &[],
        2,
        &[
            "[[contacts]]\nsql = \"select 'dossiers' as owner_table",
            "reinstate.toml",
        ],
    );
    let good = "[[contacts]]\nsql = \"select 'dossiers' as owner_table, 1 as owner_key, 'a' as contact\"\n";
    let with = |sql: &str| {
        incident.case.write(
            "reinstate.toml",
            &format!("{good}[[contacts]]\nsql = \"{sql}\"\n"),
        )
    };
    for (sql, words) in [
        ("select no_such from users", "no_such"),
        (
            "select 1 as owner_table, 2 as owner_key, email from users",
            "gives no column contact, only owner_table, owner_key, email",
        ),
        (
            "select 'dossiers' as owner_table, 2 as owner_key, 'a' as contact, 1 as unit",
            "gives a column unit",
        ),
        (
            "select 'dossiers' as owner_table, 1 / (id - 3) as owner_key, 'a' as contact from users",
            "division by zero",
        ),
        (
            "delete from users returning 'dossiers' as owner_table, id as owner_key, email as contact",
            "syntax",
        ),
        (
            "select 'dossiers' as owner_table, 1 as owner_key, nextval('numbers')::text as contact",
            "read-only",
        ),
    ] {
        with(sql);
        refused(&incident, &[], 2, &["[[contacts]] 2", words]);
    }
    incident
        .case
        .write("reinstate.toml", "[[contacts]]\nsqll = 'x'\n");
    refused(
        &incident,
        &[],
        2,
        &["contacts 1", "did you mean `contacts.sql`?"],
    );
    incident.case.write("reinstate.toml", OWNERS);
    refused(
        &incident,
        &["--wal", "x"],
        2,
        &["`--wal` does not exist here in this version"],
    );
    refused(&incident, &["nowhere"], 2, &["no bundle at nowhere"]);
    let live = incident.live.conninfo();
    refused(&incident, &["--snapshot", &live], 3, &["same database"]);
}

#[test]
fn a_name_that_means_two_tables() {
    let incident = Incident::new(
        "create schema app; create table users (id int primary key); create table app.users (id int primary key);
         insert into users values (1); insert into app.users values (1)",
        "truncate users, app.users",
    );
    incident.extract(&[]);
    let with = |table: &str| {
        let sql = format!("select '{table}' as owner_table, 1 as owner_key, 'a' as contact");
        incident.case.write(
            "reinstate.toml",
            &format!("[[contacts]]\nsql = \"{sql}\"\n"),
        );
    };
    with("users");
    refused(
        &incident,
        &[],
        2,
        &[
            "[[contacts]] 1",
            "app.users, public.users",
            "write schema.table",
        ],
    );
    with("app.users");
    let json: Value = incident.run(&["contacts"]).ok().json();
    assert_eq!(
        json["tables"],
        json!([{"table": "app.users", "records": 1, "records_without_contact": 0},
               {"table": "public.users", "records": 1, "records_without_contact": 1}])
    );
}
