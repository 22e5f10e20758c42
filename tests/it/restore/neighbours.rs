//! The application is at work while a restore runs: it never fails, and never waits for long.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::dependents::wait_for;
use super::library::{LOST, incident};
use super::{Incident, Ledger};
use crate::support::{Output, dump};

const ASLEEP: &str = "select count(*) from pg_stat_activity where query like '%select pg_sleep%'
    and datname = current_database() and state = 'active' and pid <> pg_backend_pid()";

#[test]
fn a_parent_that_the_application_holds_is_waited_for() {
    for (hold, seconds) in [
        ("for update", "1"),
        ("for no key update", "0.1"),
        ("for update", "3"),
    ] {
        let incident = incident();
        let application = incident.live.spawn(&format!(
            "begin; select from owners where id = 3 {hold};
             select pg_sleep({seconds});
             update owners set name = 'renamed' where id = 3; commit;"
        ));
        wait_for(&incident, ASLEEP);
        let started = Instant::now();
        let output = incident.restore().ok();
        Ledger::of(&output).expect(&[("inserted", LOST)]);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(application.wait_with_output().unwrap().status.success());
        assert_eq!(
            incident
                .live
                .query_text("select name from owners where id = 3"),
            "renamed"
        );
        incident
            .live
            .run("update owners set name = 'owner 3' where id = 3");
        assert_eq!(dump(&incident.live), incident.before);
    }
}

#[test]
fn a_parent_that_is_deleted_while_we_wait_for_it() {
    let incident = incident();
    let application = incident.live.spawn(
        "begin; delete from books where owner_id = 3; delete from owners where id = 3;
         select pg_sleep(1); commit;",
    );
    wait_for(&incident, ASLEEP);
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", LOST - 6), ("quarantined", 6)]);
    assert!(application.wait_with_output().unwrap().status.success());
    assert!(
        incident
            .quarantine()
            .iter()
            .all(|l| l["sqlstate"] == "23503")
    );
}

#[test]
fn a_parent_without_a_foreign_key_is_guarded_too() {
    let incident = Incident::new(
        "create table owners (id int primary key);
         create table books (id int primary key, owner_id int not null);
         insert into owners select n from generate_series(1, 5) n;
         insert into books select n, 1 + n % 5 from generate_series(1, 20) n",
        "delete from books where id <= 10",
    );
    let relation = "[[relation]]\nfrom = \"books(owner_id)\"\nto = \"owners(id)\"\n";
    incident.case.write("reinstate.toml", relation);
    incident.extract(&[]);
    // The owner's last books went before; the owner goes while we look.
    let application = incident.live.spawn(
        "begin; delete from books where owner_id = 3; delete from owners where id = 3;
         select pg_sleep(1.5); commit;",
    );
    wait_for(&incident, ASLEEP);
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("inserted", 8), ("quarantined", 2)]);
    assert!(application.wait_with_output().unwrap().status.success());
    let orphans = "select count(*) from books where owner_id not in (select id from owners)";
    assert_eq!(incident.live.count(orphans), 0);
}

/// Updates parents and their other children, moves children between parents, adds and removes some, for a while.
const WORK: &str = "
do $$
declare i int; a int; b int;
begin
  for i in 1..400 loop
    a := 1 + (i * 7) % 5; b := 1 + (i * 3) % 5;
    perform from owners where id in (a, b) order by id for update;
    update owners set name = name where id = a;
    update books set owner_id = a, pages = pages where id = 11 + i % 10;
    insert into books values (1000 + i, b, 'new ' || i, 1);
    insert into chapters values (1000 + i, 1000 + i, 'new');
    delete from books where id = 1000 + i - 5;
    commit;
  end loop;
end $$;";

#[test]
fn a_busy_application_never_fails() {
    let incident = Incident::new(
        &format!(
            "{} insert into books select n, 1 + n % 5, 'isbn ' || n, n, 'note', null from generate_series(10000, 12000) n;
             insert into chapters select n, n, 'chapter' from generate_series(10000, 12000) n",
            super::library::SETUP
        ),
        "delete from books where id <= 10 or id between 10000 and 11999",
    );
    incident.extract(&[]);
    let workers: Vec<_> = (0..2)
        .map(|n| {
            let mut psql = incident.live.client("psql");
            let work = WORK.replace("1000 +", &format!("{} +", 100_000 * (n + 1)));
            let work = work.replace("new ' || i", &format!("new {n}/' || i"));
            psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &work]);
            psql.stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", LOST + 4_000)]);
    for worker in workers {
        let worked: Output = worker.wait_with_output().unwrap().into();
        worked.ok();
    }
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", LOST + 4_000)]);
}
