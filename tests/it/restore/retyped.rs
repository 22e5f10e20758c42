//! Columns whose values have no one form in the type that they have in live by now.

use super::Incident;
use super::refused::plan_tells;
use crate::support::dump;

/// A value could come back as another: the time of a clock that stood in Paris, a number with digits that it never had.
#[test]
fn a_column_whose_values_would_be_others() {
    for (column, to) in [
        ("at", "timestamptz"),
        ("price", "numeric(10,1)"),
        ("ratio", "float8"),
    ] {
        let incident = Incident::new(
            "create table events (id int primary key, at timestamp, price numeric(10,2), ratio real);
             create table others (id int primary key);
             insert into events select n, '2020-07-01 12:00', n + 0.5, n / 3.0 from generate_series(1, 5) n;
             insert into others select n from generate_series(1, 5) n",
            "delete from events where id <= 2; delete from others where id <= 2",
        );
        incident.extract(&[]);
        incident.live.run(&format!(
            "alter table others add column note text; set timezone = 'Europe/Paris'; alter table events alter {column} type {to}"
        ));
        let incident = Incident {
            after_loss: dump(&incident.live),
            ..incident
        };
        plan_tells(&incident, "public.events", &[column]);
        // Nothing is certified of such a column.
        let verified = incident.verify(&[]).expect_code(1).json();
        let left = verified["not_compared"].to_string();
        assert!(
            left.contains(column) && left.contains("another type"),
            "{left}"
        );
        // What cannot be looked up by its key is refused at once.
        incident.live.run("alter table others alter id type text");
        incident.restore().expect_code(3);
    }
}
