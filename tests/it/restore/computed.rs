//! Columns that live computes and the backup did not, and the other way round.

use super::{Incident, Ledger};
use crate::support::dump;

const SETUP: &str = "
    create table posts (id int primary key, title text, slug text, loud text generated always as (upper(title)) stored);
    insert into posts select n, 'Title ' || n, 'by hand ' || n from generate_series(1, 10) n";

/// `slug` is computed since, `loud` no longer.
const MIGRATION: &str = "
    alter table posts drop slug, alter loud drop expression;
    alter table posts add slug text generated always as (lower(title)) stored";

const LOUD: &str = "[[fill]]\ntable = 'posts'\ncolumn = 'loud'\nvalue = 'UNKNOWN'\n";

fn incident() -> Incident {
    let incident = Incident::new(SETUP, "delete from posts where id <= 3");
    incident.extract(&[]);
    incident.live.run(MIGRATION);
    Incident {
        after_loss: dump(&incident.live),
        ..incident
    }
}

#[test]
fn each_is_named_and_neither_is_compared() {
    let incident = incident();
    let plan = incident.plan();
    let posts = &plan.get("checks")["public.posts"];
    assert_eq!(posts["computed_columns"], serde_json::json!(["slug"]));
    let added = serde_json::json!([{"column": "loud", "from": "null"}]);
    assert_eq!(posts["added_columns"], added);
    let text = incident.for_people(&["restore"]).ok().stdout;
    for line in [
        "live computes slug by now; what the backup held there is not restored",
        "not in the bundle, and what restored rows hold there: loud (NULL)",
    ] {
        assert!(text.contains(line), "{text}");
    }
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 3)]);
    let rows = "select string_agg(concat_ws('/', id, title, slug, coalesce(loud, 'none')), ' ' order by id)
                  from posts where id <= 2";
    assert_eq!(
        incident.live.query_text(rows),
        "1/Title 1/title 1/none 2/Title 2/title 2/none"
    );
    let verified = incident.verify(&["--strict"]).ok();
    Ledger::of(&verified).expect(&[("identical", 3)]);
    let left = verified.json()["not_compared"].to_string();
    assert!(
        left.contains("slug") && left.contains("live computes it by now"),
        "{left}"
    );
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 3)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// The bundle has no values for it, so an entry may give one.
#[test]
fn what_is_no_longer_computed_can_be_filled() {
    let incident = incident();
    incident.case.write("reinstate.toml", LOUD);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 3)]);
    let loud = "select string_agg(loud, ' ' order by id) from posts where id <= 4";
    assert_eq!(
        incident.live.query_text(loud),
        "UNKNOWN UNKNOWN UNKNOWN TITLE 4"
    );
}
