//! What live's tables would refuse is in the plan, row by row, and nothing else is: the run then leaves out exactly those units.

use serde_json::Value;

use super::{Incident, Ledger};

/// Plans, restores, and compares: the units left out are those with these roots, for these reasons.
#[track_caller]
fn foretold(incident: &Incident, rows: u64, out: &[(&str, &str)]) {
    incident.extract(&[]);
    let left = out.len() as u64;
    let plan = incident.plan_over(&incident.after_loss);
    plan.expect(&[("inserted", rows - left), ("quarantined", left)]);
    let each = plan.get("left_out").as_array().unwrap().iter();
    let told: Vec<(&str, &str)> = each
        .map(|l| (l["root"].as_str().unwrap(), l["reason"].as_str().unwrap()))
        .collect();
    let prefixed: Vec<(&str, String)> = out
        .iter()
        .map(|(root, why)| (*root, format!("{root}: {why}")))
        .collect();
    let wanted: Vec<(&str, &str)> = prefixed.iter().map(|(r, w)| (*r, w.as_str())).collect();
    assert_eq!(told, wanted);
    let codes =
        |list: &[Value]| -> Vec<Value> { list.iter().map(|l| l["sqlstate"].clone()).collect() };
    let planned = codes(plan.get("left_out").as_array().unwrap());

    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    let done = Ledger::of(
        &incident
            .restore_with(&["--plan", &id])
            .expect_code(if left > 0 { 4 } else { 0 }),
    );
    done.expect(&[("inserted", rows - left), ("quarantined", left)]);
    assert_eq!(
        done.get("prediction")["held"],
        true,
        "{}",
        done.get("prediction")
    );
    assert_eq!(codes(&incident.quarantine()), planned);
    let verified = Ledger::of(&incident.verify(&[]).expect_code(i32::from(left > 0)));
    verified.expect(&[("identical", rows - left), ("quarantined", left)]);
}

#[test]
fn a_partition_that_live_has_no_more() {
    let setup = "create table logs (at date, region text, note text, primary key (at, region)) partition by range (at);
         create table logs_18 partition of logs for values from ('2018-01-01') to ('2019-01-01');
         create table logs_19 partition of logs for values from ('2019-01-01') to ('2020-01-01') partition by list (region);
         create table logs_19_n partition of logs_19 for values in ('north'); create table logs_19_s partition of logs_19 for values in ('south');
         insert into logs select '2018-06-01'::date + 100 * n, case when n % 2 = 0 then 'north' else 'south' end, n::text
           from generate_series(0, 5) n";
    let loss = "delete from logs; drop table logs_18; drop table logs_19_s";
    foretold(
        &Incident::new(setup, loss),
        6,
        &[
            (
                "public.logs (2018-06-01, north)",
                "live has no partition for at = 2018-06-01, region = north",
            ),
            (
                "public.logs (2018-09-09, south)",
                "live has no partition for at = 2018-09-09, region = south",
            ),
            (
                "public.logs (2018-12-18, north)",
                "live has no partition for at = 2018-12-18, region = north",
            ),
            (
                "public.logs (2019-03-28, south)",
                "live has no partition for at = 2019-03-28, region = south",
            ),
            (
                "public.logs (2019-10-14, south)",
                "live has no partition for at = 2019-10-14, region = south",
            ),
        ],
    );
}

#[test]
fn a_default_partition_takes_the_rest() {
    let setup = "create table logs (id int primary key, note text) partition by hash (id);
         create table logs_0 partition of logs for values with (modulus 2, remainder 0);
         create table logs_1 partition of logs for values with (modulus 2, remainder 1);
         create table kinds (kind text primary key) partition by list (kind);
         create table kinds_a partition of kinds for values in ('a'); create table kinds_b partition of kinds for values in ('b');
         insert into logs select n, 'note' from generate_series(1, 20) n; insert into kinds values ('a'), ('b')";
    let loss = "delete from logs; delete from kinds; drop table kinds_b; create table kinds_other partition of kinds default";
    foretold(&Incident::new(setup, loss), 22, &[]);
}

#[test]
fn conditions_over_what_the_bundle_has() {
    let setup = "create domain code as text; create domain size as int check (value < 1000);
         create table things (id int primary key, code code, size size, low int, high int, note text);
         insert into things select n, 'c' || n, n, n, n + 1, case when n % 3 = 0 then null else 'note' end from generate_series(1, 20) n;
         update things set size = null where id = 7";
    let loss = "delete from things where id <= 12;
         alter domain code add check (value <> 'c2') not valid;
         alter table things add check (low < high), add constraint small check (low < 11) not valid,
           add column added int check (added > 0), add column made int generated always as (low * 2) stored check (made <> 6),
           add constraint noted check (note is not null or low <> 9) not valid, add constraint unknown check (size <> 8) not valid";
    let out = [
        (
            "public.things 2",
            "its value in code is none that public.code has in live",
        ),
        (
            "public.things 8",
            "CHECK constraint unknown of live does not take it",
        ),
        (
            "public.things 9",
            "CHECK constraint noted of live does not take it",
        ),
        (
            "public.things 11",
            "CHECK constraint small of live does not take it",
        ),
        (
            "public.things 12",
            "CHECK constraint small of live does not take it",
        ),
    ];
    // What `made` asks is of a column that the server computes: left to the run, which is why the row is not in this incident.
    let incident = Incident::new(&format!("{setup}; delete from things where id = 3"), loss);
    foretold(&incident, 11, &out);
}

#[test]
fn many_values_of_a_domain() {
    let setup = "create domain code as text;
         create table things (id int primary key, codes code[]);
         insert into things select n, array['c' || n, 'x'] from generate_series(1, 300) n";
    let loss = "delete from things; alter table things alter codes type text[]; alter domain code add check (value !~ '7');
         alter table things alter codes type code[]";
    let incident = Incident::new(setup, loss);
    let out: Vec<(String, &str)> = (1..=300)
        .filter(|n: &u32| n.to_string().contains('7'))
        .map(|n| {
            (
                format!("public.things {n}"),
                "its value in codes is none that public.code[] has in live",
            )
        })
        .collect();
    let out: Vec<(&str, &str)> = out.iter().map(|(r, w)| (r.as_str(), *w)).collect();
    foretold(&incident, 300, &out);
}
