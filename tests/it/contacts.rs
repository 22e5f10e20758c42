//! `contacts`: who is kept, who is not, and what the file looks like to a spreadsheet.

mod refused;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use reinstate::contacts::original;

use crate::restore::{Incident, journal_of};
use crate::support::{Output, dump, dump_restore};

const SETUP: &str = r#"
create table users (id int primary key, email text, name text, locale text);
create table dossiers (id bigint primary key, user_id int, title text);
create sequence numbers;
create table champs (id int primary key, dossier_id bigint references dossiers on delete cascade, v text);
insert into users select n, 'u' || n || '@example.net', 'User ' || n, case when n % 2 = 0 then 'fr' else 'de' end
  from generate_series(1, 9) n;
update users set email = null where id = 4;
update users set email = '  ' where id = 5;
update users set name = '=HYPERLINK("http://x","click")' where id = 1;
update users set name = E'two\nlines, "quoted"' where id = 2;
update users set name = 'x;=cmd|/c calc' where id = 6;
update users set email = '+33 6 12 34 56 78' where id = 3;
insert into dossiers select n, 1 + n % 6, 'title ' || n from generate_series(1, 18) n;
insert into champs select n, 1 + n % 18, 'v' from generate_series(1, 36) n;
"#;

/// Dossiers 1 to 12 go, their owners with them; live has nobody to ask any more.
const LOSS: &str = "delete from dossiers where id <= 12; truncate users";

const OWNERS: &str = r#"
[[contacts]]
sql = """select 'dossiers' as owner_table, d.id::text as owner_key, u.email as contact, u.name, u.locale
           from dossiers d join users u on u.id = d.user_id -- the owners
         ; /* all of them; */
-- but nobody else;
"""
"#;

fn incident(config: &str) -> Incident {
    let incident = Incident::new(SETUP, LOSS);
    incident.extract(&["--root", "dossiers"]);
    incident.case.write("reinstate.toml", config);
    incident
}

/// The file as a program reads it, apostrophes taken away: column by column.
fn sheet(incident: &Incident) -> Vec<Vec<String>> {
    let text = incident.case.read("contacts.csv");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let cells = |r: csv::StringRecord| r.iter().map(original).collect();
    reader.records().map(|r| cells(r.unwrap())).collect()
}

fn of_kind(sheet: &[Vec<String>], kind: &str) -> Vec<Vec<String>> {
    sheet.iter().filter(|r| r[0] == kind).cloned().collect()
}

#[test]
fn people_and_records_before_anything_is_restored() {
    let incident = incident(OWNERS);
    let (rows, before) = (dump(&incident.live), journal_of(&incident.live));
    let output = incident.run(&["contacts"]).ok();
    assert_eq!(
        (dump(&incident.live), journal_of(&incident.live)),
        (rows, before)
    );

    let json = output.json();
    assert_eq!(json["command"], "contacts");
    assert!(json["run"].is_null());
    // Twelve dossiers of users 1 to 6, two each; 4 and 5 have no address.
    assert_eq!(
        json["totals"],
        json!({"persons": 4, "records": 12, "records_without_contact": 4})
    );
    assert_eq!(
        json["tables"],
        json!([{"table": "public.dossiers", "records": 12, "records_without_contact": 4}])
    );
    // Six dossiers were never deleted.
    assert_eq!((&json["elsewhere"], &json["empty"]), (&json!(6), &json!(4)));
    assert!(
        output
            .stderr
            .contains("4 records without a contact (public.dossiers 4)"),
        "{}",
        output.stderr
    );

    let sheet = sheet(&incident);
    assert_eq!(
        sheet[0],
        [
            "kind",
            "contact",
            "records",
            "owner_table",
            "owner_key",
            "unit",
            "name",
            "locale"
        ]
    );
    let people = of_kind(&sheet, "person");
    let names: Vec<(&str, &str, &str)> = people
        .iter()
        .map(|p| (p[1].as_str(), p[2].as_str(), p[6].as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("+33 6 12 34 56 78", "2", "User 3"),
            ("u1@example.net", "2", "=HYPERLINK(\"http://x\",\"click\")"),
            ("u2@example.net", "2", "two\nlines, \"quoted\""),
            ("u6@example.net", "2", "x;=cmd|/c calc"),
        ]
    );
    let records = of_kind(&sheet, "record");
    assert_eq!(1 + people.len() + records.len(), sheet.len());
    let keys: BTreeSet<i64> = records.iter().map(|r| r[4].parse().unwrap()).collect();
    assert_eq!(keys, (1..=12).collect());
    for record in &records {
        let key: i64 = record[4].parse().unwrap();
        let contact = match 1 + key % 6 {
            3 => "+33 6 12 34 56 78".to_owned(),
            4 | 5 => String::new(),
            user => format!("u{user}@example.net"),
        };
        assert_eq!(
            (record[1].as_str(), record[3].as_str()),
            (contact.as_str(), "public.dossiers")
        );
    }
    // Units are those of the bundle.
    let units: BTreeSet<&str> = records.iter().map(|r| r[5].as_str()).collect();
    assert_eq!(units.len(), 12);
}

#[test]
fn a_backup_restored_again_is_taken_with_a_warning() {
    let mut incident = incident(OWNERS);
    let warning = "the bundle was made from database";
    let same = incident.run(&["contacts"]).ok();
    assert!(!same.stderr.contains(warning), "{}", same.stderr);
    let sheet_then = sheet(&incident);

    incident.snapshot = dump_restore(&incident.snapshot);
    let again = incident.run(&["contacts"]).ok();
    assert!(again.stderr.contains(warning), "{}", again.stderr);
    assert_eq!(sheet(&incident), sheet_then);
}

#[test]
fn the_file_is_safe_private_and_always_the_same() {
    let incident = incident(OWNERS);
    let mut command = incident.command(&["contacts"]);
    command.env_remove("REINSTATE_LIVE");
    Output::from(command.output().unwrap()).ok();
    let text = incident.case.read("contacts.csv");
    let mode = std::fs::metadata(incident.case.file("contacts.csv")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(
        text.contains("\"'=HYPERLINK(\"\"http://x\"\",\"\"click\"\")\""),
        "{text}"
    );
    assert!(text.contains("'+33 6"), "{text}");
    // Where the spreadsheet splits at semicolons.
    assert!(text.contains("\"x;'=cmd|/c calc\""), "{text}");
    assert!(
        text.starts_with("\"kind\",\"contact\",\"records\",\"owner_table\",\"owner_key\",\"unit\",\"name\",\"locale\"\r\n"),
        "{text}"
    );
    let read = csv::Reader::from_reader(text.as_bytes()).into_records();
    for cell in read.flat_map(|r| r.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()) {
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{cell}"
        );
    }
    incident.run(&["contacts"]).ok();
    assert_eq!(incident.case.read("contacts.csv"), text);
    // Nothing lies about.
    let left: BTreeSet<_> = std::fs::read_dir(incident.case.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        left,
        ["bundle", "contacts.csv", "reinstate.toml"]
            .map(String::from)
            .into()
    );
}

/// Two sources: an owner and an official, one of whom is both; columns of either.
#[test]
fn several_people_for_one_record() {
    let official = r#"
[[contacts]]
sql = "select 'public.dossiers' as owner_table, id as owner_key, 'u1@example.net' as contact, 'official' as role from public.dossiers where id in (1, 6, 6)"
[[contacts]]
sql = "select 'dossiers', id, 'u1@example.net' as contact, 'official' as role from dossiers, generate_series(1, 3) where id = 1"
"#;
    // The last one names its columns wrongly, and is mended.
    let official = official.replace(
        "'dossiers', id, 'u1",
        "'dossiers' as owner_table, id as owner_key, 'u1",
    );
    let incident = incident(&format!("{OWNERS}{official}"));
    let totals = incident.run(&["contacts"]).ok().json()["totals"].clone();
    assert_eq!(
        totals,
        json!({"persons": 4, "records": 12, "records_without_contact": 4})
    );
    let sheet = sheet(&incident);
    assert_eq!(sheet[0].last().unwrap(), "role");
    let person = of_kind(&sheet, "person")
        .into_iter()
        .find(|p| p[1] == "u1@example.net")
        .unwrap();
    // Dossiers 6 and 12 are his own; 1 and 6 he handles. Of 6 he is both, which is one record.
    assert_eq!((person[2].as_str(), person[8].as_str()), ("3", "official"));
    let of_six: Vec<String> = of_kind(&sheet, "record")
        .into_iter()
        .filter(|r| r[4] == "6")
        .map(|r| r[8].clone())
        .collect();
    assert_eq!(of_six, ["", "official"]);
    let of_one = of_kind(&sheet, "record")
        .into_iter()
        .filter(|r| r[4] == "1")
        .count();
    assert_eq!(of_one, 2, "twice the same is once");
}

/// Whoever wrote the key: composite keys, and types that COPY writes otherwise than a cast does.
#[test]
fn keys_of_every_spelling() {
    let incident = Incident::new(
        r#"create table "Odd Table" (a int, b text, primary key (a, b));
           create table json_keys (a int, b text, primary key (a, b));
           create table flags (id bool primary key); create table hosts (id inet primary key);
           create table codes (id char(5) primary key); create table uuids (id uuid primary key);
           create table negative (id int primary key);
           create schema app; create table app.things (id timestamptz primary key);
           insert into "Odd Table" values (1, 'x,y'), (2, '{"\}'), (3, ' ');
           insert into json_keys values (1, 'x"y'), (2, 'z');
           insert into flags values (true), (false); insert into hosts values ('10.0.0.1'), ('::1'), ('10.0.0.0/8');
           insert into codes values ('ab'), ('cde'); insert into negative values (-5);
           insert into uuids values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
           insert into app.things values ('2020-01-21 16:40:00+01')"#,
        r#"truncate "Odd Table", json_keys, flags, hosts, codes, uuids, negative, app.things"#,
    );
    let extracted = incident.extract(&[]);
    incident.case.write(
        "reinstate.toml",
        r#"
[[contacts]]
sql = """
select '"Odd Table"' as owner_table, array[a::text, b]::text as owner_key, 'a' as contact from "Odd Table" union all
select 'json_keys', json_build_array(a, b)::text, 'a' from json_keys union all
select 'flags', id::text, 'a' from flags union all
select 'hosts', id::text, 'a' from hosts union all
select 'codes', id::text, 'a' from codes union all
select 'Uuids', upper(id::text), 'a' from uuids union all
select 'negative', ' ' || id, 'a' from negative union all
select 'things', id::text, 'a' from app.things
"""
"#,
    );
    let json = incident.run(&["contacts"]).ok().json();
    let all = extracted.total("rows");
    assert_eq!(all, 15);
    assert_eq!(
        json["totals"],
        json!({"persons": 1, "records": all, "records_without_contact": 0}),
        "{}",
        incident.case.read("contacts.csv")
    );
}

/// Roots of tables that no contact speaks of are records without a contact; rows that hang from them are not.
#[test]
fn nobody_is_dropped_silently() {
    let sql = r#"
[[contacts]]
sql = "select 'Dossier' as owner_table, id as owner_key, 'a@x' as contact from dossiers"
"#;
    let incident = incident(sql);
    let output = incident.run(&["contacts"]).ok();
    let json = output.json();
    assert_eq!(
        json["totals"],
        json!({"persons": 0, "records": 12, "records_without_contact": 12})
    );
    assert_eq!(
        json["unknown_owner_tables"],
        json!([{"owner_table": "Dossier", "rows": 18}])
    );
    assert!(
        output.stderr.contains("`Dossier` in 18 rows"),
        "{}",
        output.stderr
    );
    assert_eq!(of_kind(&sheet(&incident), "record").len(), 12);

    // A bag's rows have no key that anybody could name.
    let bag = Incident::new(
        "create table log (v text); insert into log select 'line ' || n from generate_series(1, 3) n",
        "truncate log",
    );
    bag.extract(&[]);
    bag.case.write("reinstate.toml", OWNERS.replace("dossiers d join users u on u.id = d.user_id", "(select 1 as id, '' as email, '' as name, '' as locale) d, (select 1 as id, '' as email, '' as name, '' as locale) u").as_str());
    let json = bag.run(&["contacts"]).ok().json();
    assert_eq!(json["totals"]["records_without_contact"], 3, "{json:#}");
}
