//! Rows without a key are taken back by their place, with their unit or not at all.

use super::{Incident, Ledger, dump, last_run, undoes};

fn without_key(kind: &str) -> Incident {
    let incident = Incident::new(
        &format!(
            "create table sensors (id int primary key);
             create table events (sensor_id int not null references sensors on delete cascade, what text) {kind};
             {}
             insert into sensors select n from generate_series(1, 40) n;
             insert into events select 1 + n % 40, 'what ' || n / 80 from generate_series(0, 159) n",
            match kind {
                "" => "alter table events set (autovacuum_enabled = off);",
                _ => "create table events_0 partition of events for values with (modulus 2, remainder 0);
                      create table events_1 partition of events for values with (modulus 2, remainder 1);",
            }
        ),
        "delete from sensors where id <= 20",
    );
    incident.extract(&[]);
    incident.restore().ok();
    incident
}

#[test]
fn rows_without_a_key_stay_or_go_with_their_unit() {
    let incident = without_key("");
    incident.live.run(
        "insert into events values (30, 'what 0'); update events set what = 'mine' where ctid = (
        select min(ctid) from events where sensor_id = 7 and what = 'what 0')",
    );
    // Sensor 7 has four events: one edited, and nobody could tell the other three from it later.
    undoes(
        &incident,
        &[("removed", 95), ("kept_changed", 4), ("kept_referenced", 1)],
    );
    assert_eq!(
        incident
            .live
            .count("select count(*) from events where sensor_id <= 20"),
        4
    );
    assert_eq!(
        incident
            .live
            .count("select count(*) from events where sensor_id > 20"),
        81
    );
    let back = Ledger::of(&incident.restore().ok());
    back.expect(&[("inserted", 95), ("already_present", 5)]);
    incident.live.run(
        "delete from events where ctid = (select min(ctid) from events where sensor_id = 30 and what = 'what 0');
        update events set what = 'what 0' where what = 'mine'",
    );
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 95)]);
}

#[test]
fn a_table_without_a_key_that_was_rewritten_keeps_its_rows() {
    let incident = without_key("");
    incident.live.run("delete from events where sensor_id > 20");
    // It copies dead rows, and so moves nothing, while somebody's snapshot is older than they are.
    let moved = "select count(*) from events where ctid = '(0,1)'";
    while incident.live.count(moved) == 0 {
        incident.live.run("vacuum full events");
    }
    let output = incident.undo().expect_code(4);
    let ledger = Ledger::of(&output);
    assert_eq!(
        incident.live.count("select count(*) from events") as u64,
        80 - ledger
            .by_table("removed")
            .get("public.events")
            .copied()
            .unwrap_or(0)
    );
}

#[test]
fn partitioned_rows_without_a_key() {
    let incident = without_key("partition by hash (sensor_id)");
    undoes(&incident, &[("removed", 100)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    incident.restore().ok();
    assert_eq!(dump(&incident.live), incident.before);
    // To which unit they belong is not known: one that was edited keeps those of its batch, and their sensors.
    incident
        .live
        .run("update events set what = 'mine' where sensor_id = 7 and what = 'what 0'");
    let run = last_run(&incident);
    Ledger::of(&incident.undo_with(&[&run]).expect_code(4))
        .expect(&[("kept_changed", 80), ("kept_referenced", 20)]);
    let back = Ledger::of(&incident.restore().ok());
    back.expect(&[("already_present", 100)]);
}
