//! What the writing role must be granted: what is missing is named before anything is written, and the grant named is
//! enough.

use super::Incident;
use super::library::{LOST, incident};
use crate::support::{Output, dump};

/// A role with all rights but those that a test takes away.
struct Role<'a> {
    incident: &'a Incident,
    name: String,
}

impl<'a> Role<'a> {
    fn new(incident: &'a Incident, name: &str) -> Self {
        let database = &incident.live.name;
        let name = format!("{name}_{}", std::process::id());
        incident.live.run(&format!(
            "create role {name} login;
             grant select, insert on all tables in schema public to {name};
             grant update (name) on owners to {name};
             revoke temporary on database {database} from public;
             grant create on database {database} to {name}"
        ));
        Self { incident, name }
    }

    fn restore(&self, execute: bool) -> Output {
        let live = self.incident.live.conninfo_as(&self.name);
        let mut args = vec!["restore", "--live", &live];
        if execute {
            args.extend(["--execute", "--unrehearsed", "test"]);
        }
        self.incident.case.run(args)
    }

    /// Plan and deed are refused with these words, before a journal exists.
    fn refused(&self, words: &str) {
        for execute in [false, true] {
            let output = self.restore(execute).expect_code(3);
            assert!(output.stderr.contains(words), "{}", output.stderr);
        }
        let journal = "select count(*) from pg_namespace where nspname = 'reinstate'";
        assert_eq!(self.incident.live.count(journal), 0);
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let name = &self.name;
            self.incident.live.run(&format!(
                "reassign owned by {name} to current_user; drop owned by {name}; drop role {name}"
            ));
        }
    }
}

#[test]
fn the_least_rights_are_enough() {
    let incident = incident();
    let role = Role::new(&incident, "least");
    role.restore(true).ok();
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn locking_parents_takes_a_right_to_update() {
    let incident = incident();
    let role = Role::new(&incident, "locker");
    incident.live.run(&format!(
        "revoke update (name) on owners from {}",
        role.name
    ));
    role.refused(&format!(
        "GRANT SELECT, UPDATE (\"id\") ON \"public\".\"owners\" TO {}",
        role.name
    ));
    incident.live.run(&format!(
        "grant select, update (id) on owners to {}",
        role.name
    ));
    role.restore(true).ok();
}

#[test]
fn row_security_on_a_parent() {
    let incident = incident();
    let role = Role::new(&incident, "secured");
    incident
        .live
        .run("alter table owners enable row level security");
    role.refused("BYPASSRLS");
    incident
        .live
        .run(&format!("alter role {} bypassrls", role.name));
    role.restore(true).ok();
}

#[test]
fn staging_takes_a_right_to_temporary_tables() {
    let incident = Incident::new(
        "create table bag (a int); insert into bag select generate_series(1, 9)",
        "delete from bag where a < 4",
    );
    incident.extract(&[]);
    let database = &incident.live.name;
    let name = format!("stager_{}", std::process::id());
    incident.live.run(&format!(
        "create role {name} login; grant select, insert on bag to {name};
         revoke temporary on database {database} from public; grant create on database {database} to {name}"
    ));
    let role = Role {
        incident: &incident,
        name,
    };
    role.refused("GRANT TEMPORARY ON DATABASE");
    incident.live.run(&format!(
        "grant temporary on database {database} to {}",
        role.name
    ));
    role.restore(true).ok();
    assert_eq!(dump(&incident.live), incident.before);
}

#[test]
fn a_schema_made_beforehand_needs_no_right_to_create_one() {
    let incident = incident();
    let role = Role::new(&incident, "guest");
    let name = &role.name;
    incident.live.run(&format!(
        "revoke create on database {} from {name}; create schema reinstate authorization {name}",
        incident.live.name
    ));
    role.restore(true).ok();
    assert_eq!(dump(&incident.live), incident.before);
    let restored = "select sum(inserted) from reinstate.batch_rows";
    assert_eq!(incident.live.count(restored) as u64, LOST);
}

/// What a part of a unit left NULL is filled by an UPDATE of those columns.
#[test]
fn filling_what_was_postponed_takes_update_on_its_columns() {
    let incident = Incident::new(
        "create table folders (id int primary key, name text, cover_id int);
         create table files (id int primary key, folder_id int not null references folders);
         alter table folders add foreign key (cover_id) references files;
         create index on files (folder_id); create index on folders (cover_id);
         insert into folders select n, 'folder ' || n, null from generate_series(1, 30) n;
         insert into files select n, n from generate_series(1, 30) n;
         update folders set cover_id = 1 + id % 30",
        "truncate folders, files",
    );
    incident.extract(&[]);
    let database = &incident.live.name;
    let name = format!("filler_{}", std::process::id());
    incident.live.run(&format!(
        "create role {name} login; grant select, insert on folders, files to {name};
         grant create, temporary on database {database} to {name}"
    ));
    let role = Role {
        incident: &incident,
        name,
    };
    let live = incident.live.conninfo_as(&role.name);
    let restore = || {
        let args = [
            "restore",
            "--live",
            &live,
            "--max-unit-rows",
            "10",
            "--execute",
            "--unrehearsed",
            "test",
        ];
        incident.case.run(args)
    };
    let grant = format!(
        "GRANT UPDATE (\"cover_id\") ON \"public\".\"folders\" TO {}",
        role.name
    );
    let plan = ["restore", "--live", &live, "--max-unit-rows", "10"];
    for output in [incident.case.run(plan), restore()] {
        let said = output.expect_code(3).stderr;
        assert!(said.contains(&grant), "{said}");
    }
    assert_eq!(dump(&incident.live), incident.after_loss);
    // Nobody needs it for a unit that comes whole.
    incident.case.run(&plan[..3]).ok();
    incident.live.run(&grant);
    restore().ok();
    assert_eq!(dump(&incident.live), incident.before);
}

/// Policies hide rows from a role that is not the owner, or would refuse them: nothing is done by halves. Who sees all may.
#[test]
fn row_security_on_what_comes_back() {
    let incident = Incident::new(
        "create table papers (id int primary key, tenant text);
         create table pages (id int primary key, paper_id int not null references papers on delete cascade);
         insert into papers select n, 't' || n % 3 from generate_series(1, 30) n;
         insert into pages select n, n from generate_series(1, 30) n",
        "delete from papers where id <= 6",
    );
    incident.extract(&[]);
    let database = &incident.live.name;
    let name = format!("clerk_{}", std::process::id());
    incident.live.run(&format!(
        "create role {name} login; grant select, insert, delete, update (id) on papers, pages to {name};
         grant create, temporary on database {database} to {name};
         alter table papers enable row level security;
         create policy mine on papers using (tenant = 't1')"
    ));
    let role = Role {
        incident: &incident,
        name,
    };
    let live = incident.live.conninfo_as(&role.name);
    let run = |args: &[&str]| incident.case.run([args, &["--live", &live]].concat());
    let undo: &[&str] = &["undo", "--last", "--execute"];
    role.refused("row-level security limits what role");
    role.refused("BYPASSRLS");
    assert_eq!(dump(&incident.live), incident.after_loss);

    // Whoever owns the table sees all of it, unless that is forced on owners too.
    incident.live.run(&format!(
        "alter table papers owner to {}; alter table papers force row level security",
        role.name
    ));
    role.refused("BYPASSRLS");
    incident
        .live
        .run("alter table papers no force row level security");
    role.restore(true).ok();
    assert_eq!(dump(&incident.live), incident.before);

    // What an undo could not see would be left behind; what `verify` could not, would be missing.
    incident
        .live
        .run("alter table papers force row level security");
    let before = dump(&incident.live);
    for (args, code) in [(undo, 3), (&["verify"][..], 2)] {
        let said = run(args).expect_code(code).stderr;
        assert!(said.contains("row-level security"), "{said}");
    }
    assert_eq!(dump(&incident.live), before);
    let bypass = format!("alter role {} bypassrls", role.name);
    incident.live.run(&bypass);
    run(&["verify", "--strict"]).ok();
    run(undo).ok();
    assert_eq!(dump(&incident.live), incident.after_loss);
    role.restore(true).ok();
    assert_eq!(dump(&incident.live), incident.before);
}
