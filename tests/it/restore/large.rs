//! Units that no batch has room for: a plan says what a run does with them.

use super::{Incident, Ledger};

const SETUP: &str = "
create table roots (id int primary key);
create table leaves (id int primary key, root_id int not null references roots on delete cascade);
create index on leaves (root_id);
insert into roots select n from generate_series(1, 13) n;
insert into leaves select n, case when n <= 60000 then 1 when n <= 63000 then 2 else 3 + n % 11 end
  from generate_series(1, 64000) n";

#[test]
fn a_plan_names_the_units_that_are_a_transaction_each() {
    let whole = ["--max-unit-rows", "100000"];
    let incident = Incident::new(SETUP, "delete from roots").with(&whole);
    incident.extract(&[]);
    let plan = incident.plan();
    let large = plan.get("large_units").clone();
    assert_eq!(large.as_array().unwrap().len(), 2, "{large}");
    assert_eq!(
        (&large[0]["root"], &large[0]["rows"]),
        (&"public.roots 1".into(), &60_001.into())
    );
    assert!(
        large[0]["milliseconds"].as_u64().unwrap() > 2_000,
        "{large}"
    );
    // One each, and one for the eleven small ones.
    assert_eq!(plan.get("batches"), 4 - 1, "{large}");

    let text = incident
        .for_people(&[&["restore"], &whole[..]].concat())
        .ok()
        .stdout;
    let line = |root: &str| text.lines().find(|l| l.contains(root)).unwrap_or_default();
    for words in [
        "one transaction of 60,001 rows",
        "--max-unit-time",
        "left out",
    ] {
        assert!(
            line("(public.roots 1)").contains(words),
            "{words} in {text}"
        );
    }
    assert!(line("(public.roots 2)").contains("3,001 rows"), "{text}");
    assert!(
        !line("(public.roots 2)").contains("--max-unit-time"),
        "{text}"
    );
    let text = incident
        .for_people(&[&["restore", "--max-unit-time", "60s"], &whole[..]].concat())
        .ok()
        .stdout;
    assert!(!text.contains("left out"), "{text}");

    let done = incident.restore_with(&["--max-unit-time", "60s"]).ok();
    Ledger::of(&done).expect(&[("inserted", 64_013)]);
    assert_eq!(incident.plan().get("large_units"), &serde_json::json!([]));
}
