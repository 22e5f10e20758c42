//! A unit that came back in parts, and whose tables were renamed before its last references could be filled.

use crate::restore::{Incident, Ledger};
use crate::support::dump;

const MIGRATION: &str =
    "alter table folders rename to binders; alter table binders rename parent_id to within;
                         alter table binders rename cover_id to cover";
const RENAMES: &str = r#"
[[rename]]
table = "folders"
to = "binders"
[[rename]]
table = "folders"
column = "parent_id"
to = "within"
[[rename]]
table = "folders"
column = "cover_id"
to = "cover"
"#;

#[test]
fn what_was_postponed_is_filled_under_the_new_names() {
    let incident = Incident::new(
        "create table folders (id int primary key, parent_id int references folders, name text, cover_id int);
         create table files (id int primary key, folder_id int not null references folders);
         alter table folders add foreign key (cover_id) references files;
         create index on folders (parent_id); create index on files (folder_id); create index on folders (cover_id);
         insert into folders select n, null, 'folder ' || n, null from generate_series(1, 30) n;
         update folders set parent_id = case when id < 30 then id + 1 end;
         insert into files select n, n from generate_series(1, 30) n;
         update folders set cover_id = 31 - id",
        "truncate folders, files;
         alter table folders add constraint bare check (cover_id is null)",
    )
    .with(&["--max-unit-rows", "10"]);
    incident.extract(&[]);
    incident.restore().expect_code(4);
    let open = "select count(*) > 0 from reinstate.postponed where not filled";
    assert_eq!(
        incident.live.query_text(open),
        "t",
        "nothing was left to do"
    );
    let rename = format!("alter table folders drop constraint bare; {MIGRATION}");
    incident.live.run(&rename);
    incident.case.write("reinstate.toml", RENAMES);

    let said = incident.restore().expect_code(3).stderr;
    let (_, sql) = said.split_once("run again: ").expect("statements");
    for part in [
        "update reinstate.postponed set table_name = 'public.binders'",
        "update reinstate.postponed set columns = array_replace(columns, 'cover_id', 'cover')",
    ] {
        assert!(sql.contains(part), "{part} in {said}");
    }
    incident.live.run(sql.trim());
    incident.snapshot.run(MIGRATION);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", 60)]);
    assert_eq!(dump(&incident.live), dump(&incident.snapshot));
    assert_eq!(incident.live.query_text(open), "f");
}
