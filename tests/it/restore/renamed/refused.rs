//! Names that nobody stated, and entries that lead nowhere.

use super::{Incident, LOSS, MIGRATION, SETUP, migrated_after_extract};
use crate::restore::{Ledger, journal_of};
use crate::support::dump;

/// Without an entry the present refusals stay, and say what may have happened.
#[test]
fn a_name_that_nobody_stated() {
    let incident = migrated_after_extract();
    incident.case.write("reinstate.toml", "");
    let said = incident.restore().expect_code(3).stderr;
    assert!(said.contains("[[rename]]"), "{said}");
    // Only visits kept their columns.
    incident.live.run(
        "alter table app.cases set schema public; alter table cases rename number to id;
        alter table cases rename \"Heading\" to title; alter table cases rename to dossiers;
        alter table fields rename case_id to dossier_id; alter table fields rename to champs;
        alter table files rename owner_id to owner; alter table files rename owner_type to kind",
    );
    let said = incident.restore().expect_code(3).stderr;
    assert!(said.contains("public.visits"), "{said}");
    assert!(
        said.contains("live's public.\"Visits\" has the same columns"),
        "{said}"
    );
    assert_eq!(journal_of(&incident.live), "");
}

#[test]
fn a_key_that_nobody_stated() {
    let incident = Incident::new(SETUP, LOSS);
    incident.extract(&["--root", "dossiers"]);
    incident
        .live
        .run("alter table dossiers rename id to number");
    let said = incident.restore().expect_code(3).stderr;
    assert!(
        said.contains("public.dossiers") && said.contains("key column id"),
        "{said}"
    );
    assert!(said.contains("[[rename]]"), "{said}");
}

/// An undo, too, says where its rows may be.
#[test]
fn an_undo_under_names_that_nobody_stated() {
    let incident = Incident::new(SETUP, LOSS);
    incident.extract(&["--root", "dossiers"]);
    incident.restore().ok();
    incident.live.run("alter table dossiers rename to cases");
    let rows = dump(&incident.live);
    let said = incident.undo().expect_code(3).stderr;
    assert!(
        said.contains("public.dossiers") && said.contains("[[rename]]"),
        "{said}"
    );
    assert_eq!(dump(&incident.live), rows);
}

/// Each is refused (2) by every command that reads the snapshot, and says why.
#[test]
fn entries_that_lead_nowhere() {
    let incident = Incident::new(SETUP, LOSS);
    incident.live.run(MIGRATION);
    for (entries, words) in [
        (
            "table = 'dosiers'\nto = 'app.cases'",
            &["public.dosiers", "the snapshot has no table"][..],
        ),
        (
            "table = 'dossiers'\nto = 'cases'",
            &["live has no table public.cases"],
        ),
        (
            "table = 'notes'\ncolumn = 'dossier'\nto = 'case_id'",
            &["public.notes", "no column dossier"],
        ),
        (
            "table = 'notes'\ncolumn = 'dossier_id'\nto = 'caseid'",
            &["public.notes", "no column caseid"],
        ),
        (
            "table = 'app.cases'\ncolumn = 'title'\nto = 'Heading'",
            &["app.cases", "the snapshot has no table"],
        ),
        (
            "table = 'users'\nto = 'notes'",
            &["the snapshot has public.users and public.notes"],
        ),
        (
            "table = 'dossiers'\nto = 'app.cases'\n[[rename]]\ntable = 'champs'\nto = 'app.cases'",
            &["both cannot be"],
        ),
        (
            "table = 'dossiers'\nto = 'dossiers'",
            &["rename 1", "take the entry out"],
        ),
        ("table = 'dossiers'", &["rename 1", "`to` is missing"]),
        ("tabel = 'dossiers'", &["did you mean `rename.table`"]),
        (
            "table = 'a.b.c'\nto = 'x'",
            &["rename 1", "not a table name"],
        ),
    ] {
        incident
            .case
            .write("reinstate.toml", &format!("[[rename]]\n{entries}\n"));
        for command in ["diff", "timeline", "extract"] {
            let said = incident.run(&[command]).expect_code(2).stderr;
            for word in words {
                assert!(said.contains(word), "{command}: {word} in {said}");
            }
        }
    }
    let doctor = incident.run(&["doctor"]);
    let said = doctor.expect_code(2).stderr;
    assert!(said.contains("not a table name"), "{said}");
    // What is a refusal elsewhere is a finding of doctor's.
    incident.case.write(
        "reinstate.toml",
        "[[rename]]\ntable = 'dossiers'\nto = 'cases'\n",
    );
    let found = incident.run(&["doctor"]).expect_code(1).stdout;
    assert!(found.contains("live has no table public.cases"), "{found}");
    assert!(!incident.case.file("bundle").exists());
}

/// Every entry that names a table says what it is called by now, where it has the old name.
#[test]
fn other_entries_under_the_old_name() {
    let incident = Incident::new(SETUP, LOSS);
    incident.extract(&["--root", "dossiers"]);
    incident.live.run(MIGRATION);
    let named = "[[exclude]]\ntable = 'dossiers'\nreason = 'asked'\nlive_sql = 'select 4 as id'\n";
    let audit = "[[audit]]\ntable = 'dossiers'\nlive_sql = 'select 4 as id, now() as deleted_at'\n";
    let identity = "[[identity]]\ntable = 'users'\ncolumns = ['email']\n";
    let relation = "[[relation]]\nfrom = 'files(owner_id)'\nto = 'dossiers(id)'\n";
    let also = "[[rename]]\ntable = 'users'\nto = 'people'\n";
    incident.live.run("alter table users rename to people");
    let extract: &[&str] = &["extract", "-o", "other", "--root", "app.cases"];
    let (restore, verify): (&[&str], &[&str]) = (&["restore"], &["verify"]);
    for (entry, commands) in [
        (named, &[extract, restore, verify][..]),
        (audit, &[extract, &["timeline"]]),
        (identity, &[extract, restore]),
        (relation, &[extract]),
    ] {
        let renames = super::RENAMES;
        let whole = format!("{entry}{also}{renames}");
        incident.case.write("reinstate.toml", &whole);
        let by_now = match entry == identity {
            true => "it is public.people by now",
            false => "it is app.cases by now",
        };
        for command in commands {
            let output = incident.run(command);
            assert!(matches!(output.code, 2 | 3), "{command:?}: {output:#?}");
            let said = output.stderr;
            assert!(said.contains(by_now), "{entry}{command:?}: {said}");
        }
    }
}

/// A bundle made without the entry, and a live that uses the old name for something else: nobody can say which is meant.
#[test]
fn a_name_in_use_again() {
    for (again, entry, words) in [
        (
            "create table dossiers (id bigint primary key, user_id int, title text)",
            "table = 'dossiers'\nto = 'app.cases'",
            ["public.dossiers", "extract again"],
        ),
        (
            "alter table app.cases add title text",
            "table = 'dossiers'\nto = 'app.cases'\n[[rename]]\ntable = 'dossiers'\ncolumn = 'title'\nto = 'Heading'",
            ["title", "extract again"],
        ),
    ] {
        let incident = Incident::new(SETUP, LOSS);
        incident.extract(&["--root", "dossiers"]);
        incident.live.run(&format!("{MIGRATION}; {again}"));
        let rows = dump(&incident.live);
        incident
            .case
            .write("reinstate.toml", &format!("[[rename]]\n{entry}\n"));
        let said = incident.restore().expect_code(2).stderr;
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert_eq!(dump(&incident.live), rows);
        // A bundle that knows of it is not asked.
        let again = incident.run(&["extract", "--root", "app.cases", "-o"]);
        drop(again);
        std::fs::remove_dir_all(incident.case.file("bundle")).unwrap();
        incident.case.write("reinstate.toml", super::RENAMES);
        incident.extract(&["--root", "app.cases"]);
        let done = Ledger::of(&incident.restore().ok());
        assert_eq!(done.by_table("inserted")["app.cases"], 2);
        let back = "select count(*) from app.cases where number in (4, 7) and \"Heading\" = 'title ' || number";
        assert_eq!(incident.live.count(back), 2);
    }
}
