//! `verify`: reads, compares, writes the certificate.

use crate::restore::{Incident, Ledger, journal_of};
use crate::support::dump;

fn incident() -> Incident {
    let incident = Incident::new(
        "create table t (id int primary key, n numeric, f float8, m text, j json, j2 jsonb, e text);
         create table u (id int primary key, t_id int references t on delete cascade, v int);
         insert into t select n, n * 1.0, n, 'm' || n, '{\"a\": 1}', '{\"a\": 1}', '' from generate_series(1, 10) n;
         insert into u select n, 1 + n % 10, n from generate_series(1, 20) n",
        "delete from t where id <= 4",
    );
    assert_eq!(incident.extract(&[]).total("rows"), 12);
    incident
}

#[test]
fn every_way_of_being_another_value_is_seen() {
    let incident = incident();
    incident.restore().ok();
    let edits = [
        // Equal for the server, not the same for people.
        "n = 1.00 where id = 1",
        "f = f + 1e-15 where id = 2",
        "j = '{\"a\":  1}' where id = 3",
        "e = null where id = 4",
    ];
    for (i, edit) in edits.iter().enumerate() {
        incident.live.run(&format!("update t set {edit}"));
        let changed = i as u64 + 1;
        let verified = Ledger::of(&incident.verify(&[]).ok());
        verified.expect(&[("identical", 12 - changed), ("changed_since", changed)]);
    }
    // Back again: identical again, whatever happened in between.
    incident
        .live
        .run("update t set n = id * 1.0, f = id, j = '{\"a\": 1}', e = '' where id <= 4");
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 12)]);
}

#[test]
fn it_only_reads_and_the_certificate_says_what_it_prints() {
    let incident = incident();
    incident.restore().ok();
    let (rows, journal) = (dump(&incident.live), journal_of(&incident.live));
    incident.live.run(&format!(
        "alter database {} set default_transaction_read_only = on",
        incident.live.name
    ));
    let output = incident.verify(&[]).ok();
    assert_eq!(dump(&incident.live), rows);
    assert_eq!(journal_of(&incident.live), journal);
    let certificate: serde_json::Value =
        serde_json::from_str(&incident.case.read("certificate.json")).unwrap();
    assert_eq!(certificate, output.json());
    assert_eq!(certificate["bundle_rows"], 12);
    assert!(
        !certificate["cannot_be_known"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_run_that_stopped_half_way_leaves_rows_missing() {
    let incident = incident();
    incident.restore_with(&["--max-units", "1"]).expect_code(4);
    Ledger::of(&incident.verify(&[]).expect_code(1)).expect(&[("identical", 3), ("missing", 9)]);
}

#[test]
fn a_row_moved_to_another_key_is_gone() {
    let incident = incident();
    incident.restore().ok();
    incident
        .live
        .run("update u set id = id + 1000 where t_id = 2");
    Ledger::of(&incident.verify(&[]).ok()).expect(&[("identical", 10), ("gone_since", 2)]);
}

/// What live has under a row's key is not that row: it is missing, and yet not absent.
#[test]
fn other_content_is_not_called_absent() {
    let incident = incident();
    incident
        .live
        .run("insert into t values (2, 2, 2, 'another', '{}', '{}', 'x')");
    let output = incident.verify(&[]).expect_code(1);
    Ledger::of(&output).expect(&[("missing", 12)]);
    let told = output.json();
    assert_eq!(told["other_content"], serde_json::json!(["public.t 2"]));
    assert_eq!(told["absent"].as_array().unwrap().len(), 11);
    assert!(!told["absent"].to_string().contains("public.t 2"), "{told}");
    let text = incident.for_people(&["verify"]).expect_code(1);
    let said = text.stdout + &text.stderr;
    for line in [
        "in live with other content: public.t 2\n",
        "absent: 1 row more\n",
        "1 row of the bundle cannot come back while live has other content",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    incident.restore().expect_code(4);
    let output = incident.verify(&[]).expect_code(1);
    Ledger::of(&output).expect(&[("quarantined", 3), ("identical", 9)]);
    assert_eq!(
        output.json()["other_content"],
        serde_json::json!(["public.t 2"])
    );
}
