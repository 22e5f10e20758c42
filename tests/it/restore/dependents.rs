//! Units that depend on others: they wait for them, and are left out with them.

use super::{Incident, Ledger};
use crate::support::dump;

/// Agencies have procedures, procedures have dossiers. Only dossiers are asked for, so that each dossier is a unit and
/// each procedure and agency that they need is one too.
fn setup(foreign_keys: bool) -> String {
    let reference = |table: &str| {
        if foreign_keys {
            format!("references {table}")
        } else {
            String::new()
        }
    };
    format!(
        "create table agencies (id int primary key, name text);
         create table procedures (id int primary key, agency_id int not null {}, name text);
         create table dossiers (id int primary key, procedure_id int not null {}, name text);
         insert into agencies select n, 'agency ' || n from generate_series(1, 4) n;
         insert into procedures select n, 1 + n % 4, 'procedure ' || n from generate_series(1, 8) n;
         insert into dossiers select n, 1 + n % 8, 'dossier ' || n from generate_series(1, 80) n;",
        reference("agencies"),
        reference("procedures")
    )
}

const DECLARED: &str = "
[[relation]]
from = \"procedures(agency_id)\"
to = \"agencies(id)\"
[[relation]]
from = \"dossiers(procedure_id)\"
to = \"procedures(id)\"
";

pub(super) fn incident(foreign_keys: bool) -> Incident {
    let incident = Incident::new(
        &setup(foreign_keys),
        "delete from dossiers; delete from procedures; delete from agencies",
    );
    if !foreign_keys {
        incident.case.write("reinstate.toml", DECLARED);
    }
    let extracted = incident.extract(&["--root", "dossiers"]);
    assert_eq!(extracted.total("units"), 92);
    incident
}

/// Agency 3 is in the way of itself; procedures 2 and 6 need it, and the twenty dossiers of those.
fn follow(incident: &Incident) {
    incident
        .live
        .run("insert into agencies values (3, 'another agency')");
    let before = dump(&incident.live);
    incident
        .plan_over(&before)
        .expect(&[("inserted", 69), ("quarantined", 23)]);
    let output = incident.restore().expect_code(4);
    let ledger = Ledger::of(&output);
    ledger.expect(&[("inserted", 69), ("quarantined", 23)]);
    let live = &incident.live;
    assert_eq!(
        live.count("select count(*) from procedures where agency_id = 3"),
        0
    );
    assert_eq!(
        live.count("select count(*) from dossiers where procedure_id in (2, 6)"),
        0
    );
    let left = incident.quarantine();
    let by_reason = |words: &str| {
        left.iter()
            .filter(|l| l["reason"].as_str().unwrap().contains(words))
            .count()
    };
    assert_eq!(
        by_reason("exists in live with other content"),
        1,
        "{left:#?}"
    );
    assert_eq!(by_reason("depends on unit"), 22, "{left:#?}");

    live.run("delete from agencies where name = 'another agency'");
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", 23), ("already_present", 69)]);
    assert_eq!(dump(live), incident.before);
}

#[test]
fn units_follow_the_one_they_depend_on() {
    follow(&incident(true));
}

#[test]
fn without_a_foreign_key_they_follow_all_the_same() {
    follow(&incident(false));
}

#[test]
fn units_wait_for_the_one_they_depend_on() {
    for foreign_keys in [true, false] {
        let incident = incident(foreign_keys);
        // A row under the same key, not yet committed and then given up: the unit is tried again until it is gone.
        let mut application = incident.live.spawn(
            "begin; insert into agencies values (3, 'not to be'); select pg_sleep(4); rollback;",
        );
        wait_for(
            &incident,
            "select count(*) from pg_stat_activity where query like '%pg_sleep(4)%' and datname = current_database() and state = 'active' and pid <> pg_backend_pid()",
        );
        let output = incident.restore().ok();
        Ledger::of(&output).expect(&[("inserted", 92)]);
        assert_eq!(dump(&incident.live), incident.before);
        assert!(application.wait().unwrap().success());
    }
}

/// A parent that came back in an earlier batch can be deleted again before its children's turn: no child may point at
/// nothing, whether a foreign key watches or not.
#[test]
fn a_parent_that_is_gone_again_takes_no_children() {
    for foreign_keys in [true, false] {
        let incident = incident(foreign_keys);
        incident.restore_with(&["--max-units", "12"]).expect_code(4);
        let live = &incident.live;
        let gone = live.count("select max(id) from procedures");
        let back = live.count(&format!(
            "select count(*) from dossiers where procedure_id = {gone}"
        ));
        let orphans = 10 - back as u64;
        assert!(orphans > 0);
        live.run(&format!(
            "delete from dossiers where procedure_id = {gone}; delete from procedures where id = {gone}"
        ));
        let output = incident.restore().expect_code(4);
        Ledger::of(&output).expect(&[("inserted", 92 - orphans), ("quarantined", orphans)]);
        assert_eq!(
            live.count("select count(*) from dossiers d where not exists (select from procedures p where p.id = d.procedure_id)"),
            0
        );
        let left = incident.quarantine();
        assert!(
            left.iter().all(|l| l["reason"]
                .as_str()
                .unwrap()
                .contains(&format!("public.procedures {gone},"))),
            "{left:#?}"
        );
    }
}

/// Waits until a count is not zero.
pub(super) fn wait_for(incident: &Incident, sql: &str) {
    for _ in 0..200 {
        if incident.live.count(sql) > 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("never: {sql}");
}
