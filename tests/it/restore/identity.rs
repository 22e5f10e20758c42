//! Parents outside the bundle: one created again under the same key is another row, an edited one is the same.

use super::{Incident, Ledger};
use crate::support::dump;

const SETUP: &str = "
create table users (id int primary key, email text unique, nick text unique, created_at timestamptz not null, note text);
create table posts (id int primary key, user_id int not null references users, body text);
create table notes (id int primary key, about_type text, about_id text, body text);
insert into users select n, 'mail' || n, 'nick' || n, '2020-01-01', 'n' from generate_series(1, 9) n;
insert into posts select n, 1 + n % 9, 'post ' || n from generate_series(1, 27) n;
insert into notes select n, 'User', (1 + n % 9)::text, 'note ' || n from generate_series(1, 18) n;
";

/// Posts and notes of users 1 to 4 go: three posts and two notes each.
const LOSS: &str =
    "delete from posts where user_id < 5; delete from notes where about_id::int < 5;";

const RELATION: &str = "[[relation]]\nfrom = \"notes(about_id)\"\nto = \"users(id)\"\nwhen = { about_type = \"User\" }\n";

/// With the users' rows something else happens, before the loss and after it.
fn incident(before: &str, then: &str, config: &str) -> Incident {
    let incident = Incident::new(&format!("{SETUP}{before};"), &format!("{LOSS}{then};"));
    incident.case.write("reinstate.toml", config);
    incident.extract(&[]);
    incident
}

/// What the restore makes of 12 posts, and 8 notes, where `left` of them stay out.
#[track_caller]
fn restores_but(incident: &Incident, left: u64) {
    let all = 20;
    let wanted = [("inserted", all - left), ("quarantined", left)];
    incident.plan().expect(&wanted);
    let code = if left > 0 { 4 } else { 0 };
    Ledger::of(&incident.restore().expect_code(code)).expect(&wanted);
}

const AGAIN: &str = "alter table posts disable trigger all; delete from users where id in (2, 3);
     insert into users values (2, 'mail2', 'nick2', '2021-05-05', 'n'), (3, 'x', 'y', '2021-05-05', 'n');
     alter table posts enable trigger all";

#[test]
fn one_that_was_created_again_keeps_its_units_out() {
    let incident = incident("", AGAIN, RELATION);
    let strangers = dump(&incident.live);
    // Three posts and two notes of each of the two.
    restores_but(&incident, 10);
    for line in incident.quarantine() {
        let reason = line["reason"].as_str().unwrap();
        assert!(
            reason.contains("is another row in live than in the backup, by created_at"),
            "{reason}"
        );
    }
    let met = incident.case.read("conflicts.jsonl");
    let met: serde_json::Value = serde_json::from_str(met.lines().next().unwrap()).unwrap();
    assert_eq!(met["columns"], serde_json::json!(["created_at"]));
    assert_eq!(met["bundle"], serde_json::json!(["2020-01-01 00:00:00+00"]));
    assert_eq!(met["live"], serde_json::json!(["2021-05-05 00:00:00+00"]));
    for how in ["remap", "skip"] {
        let output = incident.restore_with(&["--on-conflict", how]);
        Ledger::of(&output.expect_code(4)).expect(&[("already_present", 10), ("quarantined", 10)]);
    }
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 10)]);
    assert_eq!(dump(&incident.live), strangers);

    // The owners are put right by hand, and exactly what was left out is tried again.
    incident.restore().expect_code(4);
    let run = incident.quarantine()[0]["run"].as_str().unwrap().to_owned();
    incident.live.run(
        "update users set created_at = '2020-01-01', email = 'mail' || id, nick = 'nick' || id where id in (2, 3)",
    );
    incident.restore_with(&["--only-quarantined", &run]).ok();
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn one_that_was_edited_is_the_same() {
    let edits =
        "update users set email = 'new' || id, nick = 'new' || id, note = 'edited' where id < 5";
    restores_but(&incident("", edits, RELATION), 0);
}

#[test]
fn without_a_time_of_creation_the_other_keys_tell() {
    let gone = "alter table users drop column created_at";
    let one = "update users set email = 'new' || id where id < 5";
    restores_but(&incident(gone, one, RELATION), 0);
    let both = "update users set email = 'new' || id, nick = 'new' || id where id in (2, 3)";
    restores_but(&incident(gone, both, RELATION), 10);
    // What was NULL tells nothing.
    let empty =
        "alter table users drop column created_at; update users set email = null, nick = null";
    let filled = "update users set email = 'new' || id where id in (2, 3)";
    restores_but(&incident(empty, filled, RELATION), 0);
}

#[test]
fn the_configuration_has_the_last_word() {
    let named = format!("{RELATION}[[identity]]\ntable = \"users\"\ncolumns = [\"note\"]\n");
    let edited = "update users set note = 'edited' where id = 2";
    restores_but(&incident("", edited, &named), 5);
    let plan = incident("", "", RELATION).plan();
    assert_eq!(plan.get("identity_unknown"), &serde_json::json!([]));
    let off = format!("{RELATION}[[identity]]\ntable = \"users\"\ncolumns = []\n");
    restores_but(&incident("", AGAIN, &off), 0);
    let untold = incident("", AGAIN, &off);
    let unknown = serde_json::json!(["public.users"]);
    assert_eq!(untold.plan().get("identity_unknown"), &unknown);
    let said = untold.for_people(&["restore"]).ok().stdout;
    let words = "cannot be told: whether parents in public.users are still the rows of the backup";
    assert!(said.contains(words), "{said}");
    // Said after the bundle was made.
    let later = incident("", AGAIN, RELATION);
    later.case.write("reinstate.toml", &off);
    restores_but(&later, 0);
}

#[test]
fn columns_that_live_has_no_more_tell_nothing() {
    let dropped = format!("{AGAIN}; alter table users drop column created_at");
    restores_but(&incident("", &dropped, RELATION), 0);
    let retyped = format!("{AGAIN}; alter table users alter created_at type timestamp");
    restores_but(&incident("", &retyped, RELATION), 0);
}

#[test]
fn one_created_again_after_the_plan_is_met_under_its_lock() {
    let incident = incident("", "", RELATION);
    incident.plan().expect(&[("inserted", 20)]);
    incident.live.run(AGAIN);
    Ledger::of(&incident.restore().expect_code(4)).expect(&[("inserted", 10), ("quarantined", 10)]);
}

#[test]
fn what_the_configuration_names_must_be_there() {
    let incident = Incident::new(SETUP, LOSS);
    for (entry, words) in [
        (
            "table = \"user\"\ncolumns = [\"note\"]",
            "no table public.user",
        ),
        (
            "table = \"users\"\ncolumns = [\"nte\"]",
            "public.users has no column nte",
        ),
        ("table = \"users\"", "`columns` is a list of names"),
        (
            "table = \"users\"\ncolumns = [1]",
            "`columns` is a list of names",
        ),
        (
            "table = \"users\"\ncolumn = []",
            "did you mean `identity.columns`?",
        ),
    ] {
        incident
            .case
            .write("reinstate.toml", &format!("[[identity]]\n{entry}\n"));
        let output = incident.run(&["extract"]).expect_code(2);
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn what_is_said_after_the_bundle_was_made_must_be_in_it() {
    let incident = incident("", AGAIN, RELATION);
    for (entry, words) in [
        (
            "table = \"users\"\ncolumns = [\"email\"]",
            "the bundle does not say what email held in the backup; extract again",
        ),
        (
            "table = \"user\"\ncolumns = []",
            "[[identity]] of public.user: live has no such table",
        ),
    ] {
        let config = format!("{RELATION}[[identity]]\n{entry}\n");
        incident.case.write("reinstate.toml", &config);
        let output = incident.run(&["restore"]).expect_code(2);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        incident.restore().expect_code(2);
    }
    assert_eq!(dump(&incident.live), incident.after_loss);
    let same = format!("{RELATION}[[identity]]\ntable = \"users\"\ncolumns = [\"created_at\"]\n");
    incident.case.write("reinstate.toml", &same);
    restores_but(&incident, 10);
}

/// The same rule where the bundle's own row is met under its key.
#[test]
fn a_row_of_the_bundle_is_told_from_another_by_the_same_rule() {
    let remapped = |entry: &str| {
        let with_their_owner =
            "delete from posts where user_id = 5; delete from users where id = 5";
        let incident = Incident::new(SETUP, &format!("{LOSS}{with_their_owner}"));
        incident
            .case
            .write("reinstate.toml", &format!("{RELATION}{entry}"));
        incident.extract(&[]);
        incident
            .live
            .run("insert into users values (5, 'mail5', 'nick5', '2020-01-01', 'edited')");
        let output = incident.restore_with(&["--on-conflict", "remap"]);
        Ledger::of(&output).total("remapped")
    };
    assert_eq!(remapped(""), 1);
    let by_note = "[[identity]]\ntable = \"users\"\ncolumns = [\"note\"]\n";
    assert_eq!(remapped(by_note), 0);
}
