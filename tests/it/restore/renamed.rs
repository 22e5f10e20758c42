//! Tables and columns that a migration renamed: before the bundle was made, which a story tells (`fixtures/renamed`), after it was,
//! and after it was restored.

mod parts;
mod refused;
mod sides;

use super::{Incident, Ledger, journal_of};
use crate::support::dump;

pub(super) const SETUP: &str = "
    create table users (id int primary key, email text);
    create table dossiers (id bigint primary key, user_id int not null references users, title text not null);
    create table champs (dossier_id bigint not null references dossiers on delete cascade, n int, value text, primary key (n, dossier_id));
    create table visits (dossier_id bigint references dossiers on delete cascade, what text);
    create table files (id int primary key, kind text, owner bigint);
    create table notes (id int primary key, dossier_id bigint references dossiers on delete set null);
    insert into users select n, 'u' || n from generate_series(1, 5) n;
    insert into dossiers select n, 1 + n % 5, 'title ' || n from generate_series(1, 20) n;
    insert into champs select 1 + n % 20, n, 'v' || n from generate_series(1, 40) n;
    insert into visits select 1 + n % 20, 'what ' || n / 40 from generate_series(1, 60) n;
    insert into files select n, 'Dossier', 1 + n % 20 from generate_series(1, 20) n;
    insert into notes select n, n from generate_series(1, 20) n";
/// Two dossiers, four champs, six visits and two files go; two notes point at nothing.
pub(super) const LOSS: &str =
    "delete from files where owner in (4, 7); delete from dossiers where id in (4, 7)";
pub(super) const LOST: u64 = 14;

/// What the application did to its names.
pub(super) const MIGRATION: &str = "
    create schema app;
    alter table dossiers rename to cases; alter table cases set schema app;
    alter table app.cases rename id to number; alter table app.cases rename title to \"Heading\";
    alter table users rename email to address;
    alter table champs rename to fields; alter table fields rename dossier_id to case_id;
    alter table visits rename to \"Visits\";
    alter table files rename owner to owner_id; alter table files rename kind to owner_type;
    alter table notes rename dossier_id to case_id";

pub(super) const RENAMES: &str = r#"
[[rename]]
table = "dossiers"
to = "app.cases"
[[rename]]
table = "dossiers"
column = "id"
to = "number"
[[rename]]
table = "app.cases"
column = "title"
to = "Heading"
[[rename]]
table = "users"
column = "email"
to = "address"
[[rename]]
table = "champs"
to = "fields"
[[rename]]
table = "champs"
column = "dossier_id"
to = "case_id"
[[rename]]
table = "visits"
to = '"Visits"'
[[rename]]
table = "files"
column = "owner"
to = "owner_id"
[[rename]]
table = "files"
column = "kind"
to = "owner_type"
[[rename]]
table = "notes"
column = "dossier_id"
to = "case_id"
"#;

pub(super) const RELATION: &str = "
[[relation]]
from = 'files(owner_id)'
to = 'app.cases(number)'
when = { owner_type = 'Dossier' }
[[identity]]
table = 'users'
columns = ['address']
[[exclude]]
table = 'app.cases'
reason = 'nobody asked'
live_sql = 'select 0 as number where false'
";

/// The same in the names of before.
pub(super) const OLD_RELATION: &str = "
[[relation]]
from = 'files(owner)'
to = 'dossiers(id)'
when = { kind = 'Dossier' }
[[identity]]
table = 'users'
columns = ['email']
[[exclude]]
table = 'dossiers'
reason = 'nobody asked'
live_sql = 'select 0 as id where false'
";

/// A bundle in the old names, of a live that has the new ones by now.
fn migrated_after_extract() -> Incident {
    let incident = Incident::new(SETUP, LOSS).with(&["--relinks", "all"]);
    incident.case.write("reinstate.toml", OLD_RELATION);
    incident.extract(&["--root", "dossiers"]);
    incident.live.run(MIGRATION);
    incident
        .case
        .write("reinstate.toml", &format!("{RENAMES}{RELATION}"));
    // The oracle goes through the same migration.
    incident.snapshot.run(MIGRATION);
    Incident {
        before: dump(&incident.snapshot),
        after_loss: dump(&incident.live),
        ..incident
    }
}

#[test]
fn after_the_bundle_was_made() {
    let incident = migrated_after_extract();
    let plan = incident.plan_over(&incident.after_loss);
    plan.expect(&[("inserted", LOST)]);
    assert_eq!(plan.get("relinked"), 2);
    let checks = &plan.get("checks")["app.cases"];
    assert_eq!(checks["renamed_from"], "public.dossiers");
    let columns = serde_json::json!([["id", "number"], ["title", "Heading"]]);
    assert_eq!(checks["renamed_columns"], columns);

    let done = Ledger::of(&incident.restore().ok());
    done.expect(&[("inserted", LOST)]);
    assert_eq!(done.get("relinked"), 2);
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST)]);
    let settings = "select settings->'renames'->0->'table'->>'to' from reinstate.run";
    assert_eq!(incident.live.query_text(settings), "app.cases");

    let undone = Ledger::of(&incident.undo().ok());
    undone.expect(&[("removed", LOST)]);
    assert_eq!(undone.get("unlinked"), 2);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST)]);
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LOST)]);
}

/// A parent that was created again is told by a column that has another name since.
#[test]
fn a_parent_is_told_by_its_new_names() {
    let incident = migrated_after_extract();
    incident
        .live
        .run("update users set address = 'somebody else' where id = 5");
    let out = Ledger::of(&incident.restore().expect_code(4));
    assert_eq!(out.by_table("quarantined")["app.cases"], 1);
    let reason = incident.quarantine()[0]["reason"].to_string();
    assert!(
        reason.contains("public.users 5") && reason.contains("by address"),
        "{reason}"
    );
}

/// The journal has the old names: nothing is guessed of it, and it can be told.
#[test]
fn after_rows_came_back() {
    let incident = Incident::new(SETUP, LOSS).with(&["--relinks", "all"]);
    incident.case.write("reinstate.toml", OLD_RELATION);
    incident.extract(&["--root", "dossiers"]);
    Ledger::of(&incident.restore_with(&["--max-units", "1"]).expect_code(4));
    let done = incident.restore().ok().json();
    incident.live.run(MIGRATION);
    incident
        .case
        .write("reinstate.toml", &format!("{RENAMES}{RELATION}"));
    let (rows, journal) = (dump(&incident.live), journal_of(&incident.live));
    let mut hints = Vec::new();
    for output in [
        incident.run(&["restore"]),
        incident.restore(),
        incident.verify(&[]),
        incident.undo_plan(&["--last"]),
        incident.undo(),
    ] {
        let said = output.expect_code(3).stderr;
        for word in [
            "public.dossiers",
            "public.champs",
            "public.notes, dossier_id",
        ] {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(said.contains(done["run"].as_str().unwrap()), "{said}");
        let (_, sql) = said.split_once("run again: ").expect("statements");
        hints.push(sql.trim().to_owned());
    }
    assert_eq!(dump(&incident.live), rows);
    assert_eq!(journal_of(&incident.live), journal);

    incident.live.run(&hints[0]);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST)]);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LOST)]);
    let run = done["run"].as_str().unwrap();
    let undone = Ledger::of(&incident.undo_with(&[run]).ok());
    undone.expect(&[("removed", LOST)]);
    assert_eq!(undone.get("unlinked"), 2);
    incident.snapshot.run(&format!("{LOSS}; {MIGRATION}"));
    assert_eq!(dump(&incident.live), dump(&incident.snapshot));
}
