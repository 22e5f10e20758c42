//! Who may read a large object, and whose it is.

use super::super::{Incident, Ledger};
use super::{LOSS, SETUP, extracted, incident};
use crate::support::dump;

/// What restores them; megabytes take a while on a busy machine.
const DEED: &[&str] = &[
    "restore",
    "--execute",
    "--unrehearsed",
    "test",
    "--max-unit-time",
    "60s",
];

/// Roles of a test, dropped with this value; what they own goes before.
struct Roles<'a> {
    incident: &'a Incident,
    names: Vec<String>,
}

impl<'a> Roles<'a> {
    fn new(incident: &'a Incident, names: &[&str]) -> Self {
        let names = names.iter().map(|n| format!("{n}_{}", std::process::id()));
        let names: Vec<String> = names.collect();
        for name in &names {
            incident.live.run(&format!("create role {name} login"));
        }
        Self { incident, names }
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for name in &self.names {
                for db in [&self.incident.snapshot, &self.incident.live] {
                    db.run(&format!("drop owned by {name}"));
                }
            }
            for name in &self.names {
                self.incident.live.run(&format!("drop role {name}"));
            }
        }
    }
}

#[test]
fn extract_names_objects_that_it_may_not_read() {
    let incident = incident();
    let roles = Roles::new(&incident, &["lo_reader"]);
    let reader = &roles.names[0];
    for db in [&incident.snapshot, &incident.live] {
        db.run(&format!("grant select on files to {reader}"));
    }
    incident
        .snapshot
        .run(&format!("grant select on large object 81001 to {reader}"));
    let (snapshot, live) = (
        incident.snapshot.conninfo_as(reader),
        incident.live.conninfo_as(reader),
    );
    let extract = || {
        incident
            .case
            .run(["extract", "--snapshot", &snapshot, "--live", &live])
    };
    let output = extract().expect_code(3);
    for words in [
        "81002 (owner postgres), 81003 (owner postgres)",
        "GRANT SELECT ON LARGE OBJECT",
        "lo_compat_privileges",
    ] {
        assert!(
            output.stderr.contains(words),
            "{words} in {}",
            output.stderr
        );
    }
    assert!(!incident.case.file("bundle").exists());
    // What it names is enough.
    incident.snapshot.run(&format!(
        "grant select on large object 81002, 81003 to {reader}"
    ));
    extract().ok();
    incident.restore().ok();
    assert_eq!(owners(&incident), "81001 postgres {postgres=rw/postgres,R=r/postgres}".replace('R', reader)
        + &"\n81002 postgres {postgres=rw/postgres,R=r/postgres}\n81003 postgres {postgres=rw/postgres,R=r/postgres}".replace('R', reader));
}

fn owners(incident: &Incident) -> String {
    incident
        .live
        .query_text("select oid || ' ' || lomowner::regrole || coalesce(' ' || lomacl::text, '') from pg_largeobject_metadata order by oid")
}

#[test]
fn objects_belong_again_to_whom_they_belonged() {
    let mut incident = Incident::new(SETUP, LOSS).with(&["--max-unit-time", "60s"]);
    let name = |role: &str| format!("{role}_{}", std::process::id());
    let (app, tool, guest) = (name("lo_app"), name("lo_tool"), name("lo_guest"));
    let made = Roles::new(&incident, &["lo_app", "lo_tool", "lo_guest"]);
    incident.snapshot.run(&format!(
        "alter large object 81001 owner to {app}; alter large object 81002 owner to {app}; alter large object 81003 owner to {app};
         grant select, update on large object 81001 to {guest}; grant select on large object 81002 to public"
    ));
    incident.live.run(&format!(
        "grant select, insert, update, delete on files to {tool}; grant create on database {} to {tool}",
        incident.live.name
    ));
    incident.extract(&[]);
    let live = incident.live.conninfo_as(&tool);
    let run = |args: &[&str]| incident.case.run([args, &["--live", &live]].concat());
    let plan = run(&["restore"]).ok();
    let way_out = format!(
        "belonged to role {app}, to which role {tool} may not give it: GRANT {app} TO {tool}"
    );
    assert!(plan.stdout.contains(&way_out), "{}", plan.stdout);
    run(DEED).expect_code(4);
    assert_eq!(owners(&incident), "");
    incident.live.run(&format!("grant {app} to {tool}"));
    run(DEED).ok();
    let expected = format!(
        "81001 {app} {{{app}=rw/{app},{guest}=rw/{app}}}\n81002 {app} {{{app}=rw/{app},=r/{app}}}\n81003 {app}"
    );
    assert_eq!(owners(&incident), expected);
    run(&["undo", "--last", "--execute"]).ok();
    assert_eq!(dump(&incident.live), incident.after_loss);
    drop(made);
    incident.restore_args.clear();
}

#[test]
fn an_owner_that_live_has_not() {
    let incident = incident();
    let roles = Roles::new(&incident, &["lo_former"]);
    let former = &roles.names[0];
    incident
        .snapshot
        .run(&format!("alter large object 81002 owner to {former}"));
    incident.extract(&[]);
    let rename = |from: &str, to: &str| {
        incident
            .live
            .run(&format!("alter role {from} rename to {to}"))
    };
    rename(former, "lo_renamed");
    let done = incident.restore().expect_code(4);
    let reason = incident.quarantine()[0]["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    rename("lo_renamed", former);
    Ledger::of(&done).expect(&[("inserted", 2), ("quarantined", 1)]);
    assert!(
        reason.contains(&format!(
            "belonged to role {former}, which live has not: create that role"
        )),
        "{reason}"
    );
    incident.restore().ok();
}

#[test]
fn one_that_may_not_be_read_in_live() {
    let incident = extracted();
    let roles = Roles::new(&incident, &["lo_blind"]);
    let blind = &roles.names[0];
    incident.live.run(&format!(
        "select lo_from_bytea(81001, 'small'), lo_create(81002);
         select lo_from_bytea(81003, string_agg(decode(md5(n::text), 'hex'), '' order by n)) from generate_series(1, 400000) n;
         grant select on large object 81001, 81003 to {blind};
         grant select, insert on files to {blind}; grant create on database {} to {blind}",
        incident.live.name
    ));
    let live = incident.live.conninfo_as(blind);
    let run = |args: &[&str]| incident.case.run([args, &["--live", &live]].concat());
    run(DEED).expect_code(4);
    let reason = incident.quarantine()[0]["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    let way_out = format!(
        "role {blind} may not read it, so nobody knows whether it is the one of the backup: GRANT SELECT ON LARGE OBJECT 81002 TO {blind}"
    );
    assert!(reason.contains(&way_out), "{reason}");
    incident
        .live
        .run(&format!("grant select on large object 81002 to {blind}"));
    run(DEED).ok();
    incident
        .live
        .run(&format!("revoke select on large object 81002 from {blind}"));
    let verified = run(&["verify", "--format", "json"]).expect_code(1).json();
    assert_eq!(verified["large_objects"]["unreadable"], 1);
    incident
        .live
        .run(&format!("grant select on large object 81002 to {blind}"));
    run(&["verify"]).ok();
}
