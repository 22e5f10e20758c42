//! An enum of live that has lost a label: whatever holds it stays out, with its unit, wherever in a value it stands; when the label is
//! there again, exactly those come back.

use super::{Incident, Ledger, difference};
use crate::support::dump;

const SETUP: &str = "
    create type mood as enum ('high', 'low', 'odd');
    create domain feeling as mood check (value <> 'high');
    create type pair as (a mood, b int);
    create table people (id int primary key, m mood not null, list mood[], f feeling, p pair);
    create table notes (id int primary key, person_id int not null references people on delete cascade, m mood);
    create table moods (m mood primary key, name text);
    create table days (m mood, day date);
    insert into people select n, 'high', '{low}', null, row('low', n)::pair from generate_series(1, 12) n;
    update people set m = 'odd' where id = 2;
    update people set list = '{low,NULL,odd}' where id = 3;
    update people set f = 'odd' where id = 4;
    update people set p = row('odd', 4)::pair where id = 5;
    insert into notes select n, 1 + n % 12, case when n = 6 then 'odd' else 'low' end::mood from generate_series(1, 24) n;
    insert into moods values ('high', 'h'), ('low', 'l'), ('odd', 'o');
    insert into days select case when n > 4 then 'odd' else 'low' end::mood, '2020-01-01' from generate_series(1, 6) n";

/// As a migration takes a label away.
const WITHOUT: &str = "
    alter table people alter m type text, alter list type text[], alter f type text, alter p type text;
    alter table notes alter m type text; alter table moods alter m type text; alter table days alter m type text;
    drop type mood cascade; drop type pair;
    create type mood as enum ('low', 'high');
    create domain feeling as mood check (value <> 'high');
    create type pair as (a mood, b int);
    alter table people alter m type mood using m::mood, alter list type mood[] using list::mood[], alter f type feeling using f::feeling,
                       alter p type pair using p::pair;
    alter table notes alter m type mood using m::mood; alter table moods alter m type mood using m::mood;
    alter table days alter m type mood using m::mood";

#[test]
fn a_label_that_live_has_no_more() {
    let loss = "delete from people where id between 2 and 8; delete from moods where m <> 'high'; delete from days where m = 'odd'";
    let incident = Incident::new(SETUP, &format!("{loss}; {WITHOUT}"));
    let extracted = incident.extract(&[]);
    assert_eq!(
        (extracted.total("rows"), extracted.total("units")),
        (25, 11)
    );
    // People 2 to 5, and 7, whose note has it, with two notes each; a mood, and two days.
    let (in_units, alone) = (5 * 3, 3);
    let back = 25 - in_units - alone;
    let done = Ledger::of(&incident.restore().expect_code(4));
    done.expect(&[("inserted", back), ("quarantined", in_units + alone)]);
    for left in incident.quarantine() {
        let reason = left["reason"].as_str().unwrap();
        assert_eq!(left["sqlstate"], "22P02", "{left}");
        assert!(reason.contains("invalid input value for enum"), "{reason}");
    }
    let (gone, new) = difference(&incident.before, &dump(&incident.live));
    assert_eq!(gone.len() as u64, in_units + alone, "{gone:#?}");
    assert_eq!(new, Vec::<String>::new());
    incident.verify(&[]).expect_code(1);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", back)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    let done = Ledger::of(&incident.restore().expect_code(4));
    done.expect(&[("inserted", back), ("quarantined", in_units + alone)]);

    incident.live.run("alter type mood add value 'odd'");
    let run = done.get("run").as_str().unwrap();
    let again = Ledger::of(&incident.restore_with(&["--only-quarantined", run]).ok());
    again.expect(&[("inserted", in_units + alone), ("already_present", back)]);
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 25)]);
}
