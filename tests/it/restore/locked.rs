//! A COPY that the server refuses before it takes a row: whoever is at fault is named by the server's own error, and
//! nobody else is left out.

use super::dependents::wait_for;
use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::dump;

/// A locked table is waited for: no batch is taken apart for it.
fn waited_whole(incident: &Incident, units: u64) {
    for entry in std::fs::read_dir(incident.case.file("runs")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let refused = text.lines().filter(|l| l.contains("lock timeout"));
        let sizes: Vec<serde_json::Value> = refused
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["units"].clone())
            .collect();
        assert!(
            !sizes.is_empty() && sizes.iter().all(|s| *s == units),
            "{sizes:?}"
        );
    }
}

/// What a run recorded of itself never speaks of answers that were mixed up.
fn unmixed(incident: &Incident) {
    for entry in std::fs::read_dir(incident.case.file("runs")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("unexpected message"), "{text}");
        assert!(!text.contains(" lost while "), "{text}");
    }
}

const HELD: &str = "select count(*) from pg_locks
    where mode = 'ShareLock' and granted and relation = 'chapters'::regclass";

#[test]
fn a_table_that_is_locked_for_a_while_is_waited_for() {
    let incident = incident();
    let application = incident
        .live
        .spawn("begin; lock table chapters in share mode; select pg_sleep(3); commit;");
    wait_for(&incident, HELD);
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", LOST)]);
    assert!(application.wait_with_output().unwrap().status.success());
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST)]);
    unmixed(&incident);
    waited_whole(&incident, 10);
}

/// The default is looked up when COPY starts, under our own search path.
#[test]
fn a_default_that_cannot_be_computed_is_told_in_the_servers_words() {
    let incident = Incident::new(
        "create table readers (id int primary key);
         create table loans (id int primary key, what text);
         create table fines (id int primary key, what text);
         insert into loans select n, 'loan ' || n from generate_series(1, 6) n;
         insert into fines select n, 'fine ' || n from generate_series(1, 6) n",
        "delete from loans where id <= 4; delete from fines where id <= 4",
    );
    incident.extract(&[]);
    incident.live.run(
        "create function readers_now() returns bigint language sql as 'select count(*) from readers';
         alter table loans add readers bigint default readers_now()",
    );
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", 4), ("quarantined", 4)]);
    for left in incident.quarantine() {
        assert_eq!(left["sqlstate"], "42P01", "{left}");
        assert_eq!(left["root"]["table"], "public.loans");
    }
    unmixed(&incident);
    incident
        .live
        .run("alter table loans alter readers drop default");
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 4), ("already_present", 4)]);
}

/// Rows that reference each other are copied into a staging table first.
#[test]
fn a_staged_table_that_is_locked_is_waited_for() {
    let incident = Incident::new(
        "create table logs (what text);
         insert into logs select 'log ' || n from generate_series(1, 9) n",
        "delete from logs where what <= 'log 4'",
    );
    incident.extract(&[]);
    let application = incident
        .live
        .spawn("begin; lock table logs in share mode; select pg_sleep(2); commit;");
    wait_for(&incident, &HELD.replace("chapters", "logs"));
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 4)]);
    assert!(application.wait_with_output().unwrap().status.success());
    assert_eq!(dump(&incident.live), incident.before);
    unmixed(&incident);
}
