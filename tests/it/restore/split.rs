//! Units larger than `--max-unit-rows`, which come back in parts. Every story is played in parts too (`stories.rs`), killed at every
//! write to the journal (`points.rs`), and random schemas are (`random.rs`); here is what those cannot say.

mod again;

use super::{Incident, Ledger};
use crate::support::dump;

/// One dossier has 300 champs, with notes without a key; the others are small.
const SETUP: &str = "
create table dossiers (id int primary key, title text);
create table champs (id int primary key, dossier_id int not null references dossiers on delete cascade, value text unique);
create table notes (champ_id int not null references champs on delete cascade, body text);
create index on champs (dossier_id);
create index on notes (champ_id);
insert into dossiers select n, 'dossier ' || n from generate_series(1, 6) n;
insert into champs select n, 1, 'value ' || n from generate_series(1, 300) n;
insert into champs select 1000 + n, 2 + n % 5, 'value ' || 1000 + n from generate_series(1, 20) n;
insert into notes select n, 'note' from generate_series(1, 100) n;
insert into notes select n, 'note' from generate_series(1, 100) n";
const LOSS: &str = "delete from dossiers where id <= 3";
/// The large unit, and the two small ones.
const LARGE: u64 = 1 + 300 + 200;
const SMALL: u64 = 2 * (1 + 4);

fn incident() -> Incident {
    let incident = Incident::new(SETUP, LOSS).with(&["--max-unit-rows", "40"]);
    let extracted = incident.extract(&[]);
    assert_eq!(
        (extracted.total("rows"), extracted.total("units")),
        (LARGE + SMALL, 3)
    );
    incident
}

/// How many rows of live have which part of the bundle's large unit.
fn parts(incident: &Incident) -> String {
    incident.live.query_text(
        "select count(*), max(rows), sum(rows), count(*) filter (where last), bool_and(first_row = before) from (
           select *, coalesce(sum(rows) over (partition by run order by first_row rows unbounded preceding exclude current row), 0)
                     as before from reinstate.unit_part) p",
    )
}

#[test]
fn in_parts_no_larger_than_asked_and_said_so() {
    let incident = incident();
    let plan = incident.plan();
    let large = plan.get("large_units").clone();
    assert_eq!(large.as_array().unwrap().len(), 1, "{large}");
    assert_eq!(
        (&large[0]["root"], &large[0]["rows"], &large[0]["in_parts"]),
        (&"public.dossiers 1".into(), &LARGE.into(), &true.into())
    );
    let text = incident
        .for_people(&["restore", "--max-unit-rows", "40"])
        .ok()
        .stdout;
    for words in [
        "(public.dossiers 1) has 501 rows",
        "comes back in parts",
        "--max-unit-rows",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LARGE + SMALL)]);
    assert_eq!(dump(&incident.live), incident.before);
    let first = parts(&incident);
    let (number, rest) = first.split_once('|').unwrap();
    // More of them where a busy machine took its time.
    assert!(
        number.parse::<u64>().unwrap() >= LARGE.div_ceil(40),
        "{first}"
    );
    assert_eq!(rest, "40|501|1|t");
    // Parents first: no part has a row whose parent is in a later one.
    let csv = incident.case.read("restored.csv");
    assert_eq!(csv.lines().count() as u64, 1 + LARGE + SMALL);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", LARGE + SMALL)]);
    // A new limit, and a whole that fits.
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LARGE + SMALL)]);
    let whole = incident.restore_with(&["--max-unit-rows", "501"]);
    assert_eq!(whole.code, 2, "given twice: {whole:#?}");
    let incident = incident.with(&["--max-unit-rows", "501"]);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LARGE + SMALL)]);
    assert_eq!(parts(&incident), first, "those of the first run");
}

#[test]
fn what_is_in_the_way_beforehand_leaves_the_whole_unit_out() {
    let incident = incident();
    incident.live.run(
        "insert into dossiers values (9, 'new'); insert into champs values (9000, 9, 'value 290')",
    );
    let plan = incident.plan();
    plan.expect(&[("inserted", SMALL), ("quarantined", LARGE)]);
    let done = Ledger::of(&incident.restore().expect_code(4));
    done.expect(&[("inserted", SMALL), ("quarantined", LARGE)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from champs where dossier_id = 1"),
        0
    );
    assert_eq!(incident.quarantine().len(), 1);
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("identical", SMALL), ("quarantined", LARGE)]);
    incident
        .live
        .run("delete from dossiers where id = 9; delete from champs where id = 9000");
    let run = done.get("run").as_str().unwrap().to_owned();
    let again = incident.restore_with(&["--only-quarantined", &run]).ok();
    Ledger::of(&again).expect(&[("inserted", LARGE), ("already_present", SMALL)]);
    assert_eq!(dump(&incident.live), incident.before);
}

/// A check that nobody can foresee, for a row in the middle.
#[test]
fn what_is_in_the_way_later_leaves_it_in_parts_and_says_so() {
    let incident = incident();
    incident.live.run(
        "create function fits(id int) returns bool language plpgsql as
           $$ begin if id = 150 then raise 'not this one'; end if; return true; end $$;
         alter table champs add constraint fits check (fits(id)) not valid",
    );
    let done = Ledger::of(&incident.restore().expect_code(4));
    // The first part has the dossier and 39 champs, then 40 each: champ 150 is in the fourth.
    done.expect(&[("inserted", SMALL + 120), ("quarantined", LARGE - 120)]);
    let left = incident.quarantine();
    let reason = left[0]["reason"].as_str().unwrap();
    for words in ["not this one", "120 rows of it have come back", "undo"] {
        assert!(reason.contains(words), "{words} in {reason}");
    }
    let verified = Ledger::of(&incident.verify(&[]).expect_code(1));
    verified.expect(&[("identical", SMALL + 120), ("quarantined", LARGE - 120)]);
    let plan = incident.plan();
    plan.expect(&[("already_present", SMALL + 120), ("inserted", LARGE - 120)]);

    // Somebody deletes a row and edits another before it goes on.
    incident
        .live
        .run("delete from champs where id = 117; update champs set value = 'edited' where id = 8");
    incident.live.run("alter table champs drop constraint fits");
    let run = done.get("run").as_str().unwrap().to_owned();
    let again = Ledger::of(&incident.restore_with(&["--only-quarantined", &run]).ok());
    again.expect(&[
        ("inserted", LARGE - 120),
        ("already_present", SMALL + 119),
        ("gone_since", 1),
    ]);
    assert_eq!(
        incident.live.query_text(
            "select count(*) from champs where id = 117; select value from champs where id = 8"
        ),
        "0\nedited"
    );
    let verified = Ledger::of(&incident.verify(&[]).ok());
    verified.expect(&[
        ("identical", LARGE + SMALL - 2),
        ("gone_since", 1),
        ("changed_since", 1),
    ]);
    Ledger::of(&incident.restore().ok())
        .expect(&[("already_present", LARGE + SMALL - 1), ("gone_since", 1)]);

    // Both runs are taken back, the last one first.
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LARGE - 120)]);
    let undone = Ledger::of(&incident.undo_with(&[&run]).expect_code(4));
    undone.expect(&[
        ("removed", SMALL + 120 - 3),
        ("kept_changed", 1),
        ("kept_referenced", 1),
        ("already_gone", 1),
    ]);
}

/// References in a circle are filled when all is there, and only where the row is still ours.
#[test]
fn a_circle_is_filled_at_the_end() {
    let incident = Incident::new(
        "create table folders (id int primary key, parent_id int references folders, name text, cover_id int);
         create table files (id int primary key, folder_id int not null references folders);
         alter table folders add foreign key (cover_id) references files;
         create index on folders (parent_id); create index on files (folder_id); create index on folders (cover_id);
         insert into folders select n, null, 'folder ' || n, null from generate_series(1, 90) n;
         update folders set parent_id = case when id < 90 then id + 1 end;
         insert into files select n, n from generate_series(1, 90) n;
         update folders set cover_id = 91 - id",
        "truncate folders, files",
    )
    .with(&["--max-unit-rows", "10"]);
    incident.extract(&[]);
    let output = incident.restore().ok();
    Ledger::of(&output).expect(&[("inserted", 180)]);
    assert_eq!(dump(&incident.live), incident.before);
    let postponed = "select count(*) > 0, bool_and(filled) from reinstate.postponed";
    assert_eq!(incident.live.query_text(postponed), "t|t");
    Ledger::of(&incident.verify(&["--strict"]).ok()).expect(&[("identical", 180)]);
    // One row was edited since: it keeps what it refers to, and so the whole circle; nothing in it is emptied.
    incident
        .live
        .run("update folders set name = 'edited' where id = 89");
    let planned = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    let undone = Ledger::of(&incident.undo().expect_code(4));
    for state in ["removed", "kept_changed", "kept_referenced"] {
        assert_eq!(planned.total(state), undone.total(state), "{state}");
    }
    undone.expect(&[("kept_changed", 1), ("kept_referenced", 179)]);
    incident
        .live
        .run("update folders set name = 'folder 89' where id = 89");
    assert_eq!(dump(&incident.live), incident.before);
    // Undisturbed, it goes.
    incident
        .live
        .run("truncate folders, files; drop schema reinstate cascade");
    incident.restore().ok();
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 180)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 180)]);
    assert_eq!(dump(&incident.live), incident.before);
}

/// What refers to a circle from elsewhere, another unit or a reference that was filled, goes before it: nothing is kept.
#[test]
fn a_circle_goes_after_what_refers_to_it() {
    let incident = Incident::new(
        "create table shelves (id int primary key);
         create table folders (id int primary key, shelf_id int not null references shelves on delete cascade, cover_id int);
         create table files (id int primary key, folder_id int not null references folders on delete cascade);
         alter table folders add foreign key (cover_id) references files;
         create table readers (id int primary key, shelf_id int references shelves on delete cascade);
         create table loans (id int primary key, folder_id int not null references folders on delete cascade,
                             reader_id int not null references readers on delete cascade);
         create table desks (id int primary key, folder_id int references folders on delete set null);
         create index on folders (shelf_id); create index on folders (cover_id); create index on files (folder_id);
         create index on loans (folder_id); create index on loans (reader_id); create index on readers (shelf_id);
         create index on desks (folder_id);
         insert into shelves values (1), (2);
         insert into folders select n, 1 from generate_series(1, 30) n;
         insert into files select n, n from generate_series(1, 30) n;
         update folders set cover_id = 31 - id;
         insert into readers select n, 2 from generate_series(1, 20) n;
         insert into loans select n, 1 + n % 30, 1 + n % 20 from generate_series(1, 40) n;
         insert into desks select n, n from generate_series(1, 5) n",
        "update folders set cover_id = null; delete from shelves",
    )
    .with(&["--max-unit-rows", "20", "--relinks", "all"]);
    assert_eq!(incident.extract(&[]).total("units"), 2);
    for _ in 0..2 {
        Ledger::of(&incident.restore().ok()).expect(&[("inserted", 122)]);
        assert_eq!(dump(&incident.live), incident.before);
        let circle = "select count(*) > 0 from reinstate.postponed where filled";
        assert_eq!(incident.live.query_text(circle), "t");
        Ledger::of(&incident.undo_plan(&["--last"]).ok()).expect(&[("removed", 122)]);
        Ledger::of(&incident.undo().ok()).expect(&[("removed", 122)]);
        assert_eq!(dump(&incident.live), incident.after_loss);
    }
}

/// Where no column of a circle may be NULL its rows come in one part.
#[test]
fn a_circle_that_nothing_breaks_comes_in_one_part() {
    let incident = Incident::new(
        "create table nodes (id int primary key, next_id int not null references nodes deferrable initially deferred);
         create table leaves (id int primary key, node_id int not null references nodes);
         create index on nodes (next_id); create index on leaves (node_id);
         insert into nodes select n, 1 + n % 60 from generate_series(1, 60) n;
         insert into leaves select n, 1 + n % 60 from generate_series(1, 60) n",
        "truncate nodes, leaves",
    )
    .with(&["--max-unit-rows", "20"]);
    incident.extract(&[]);
    let text = incident
        .for_people(&["restore", "--max-unit-rows", "20"])
        .ok()
        .stdout;
    for words in [
        "60 of them in one part",
        "public.nodes",
        "next_id may not be NULL",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 120)]);
    assert_eq!(dump(&incident.live), incident.before);
    let rows = "select string_agg(rows::text, ' ' order by first_row) from reinstate.unit_part";
    assert_eq!(incident.live.query_text(rows), "60 20 20 20");
    Ledger::of(&incident.undo().ok()).expect(&[("removed", 120)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

/// A rule would rewrite what fills a column, or do nothing in its place.
#[test]
fn a_circle_under_a_rule_comes_in_one_part() {
    for rule in ["do instead nothing", "do also select 1"] {
        let incident = Incident::new(
            &format!(
                "create table folders (id int primary key, parent_id int references folders, cover_id int);
                 create table files (id int primary key, folder_id int not null references folders);
                 alter table folders add foreign key (cover_id) references files;
                 create index on folders (parent_id); create index on files (folder_id); create index on folders (cover_id);
                 insert into folders select n, null, null from generate_series(1, 30) n;
                 insert into files select n, n from generate_series(1, 30) n;
                 update folders set cover_id = 1 + id % 30, parent_id = id;
                 create rule kept as on update to folders {rule}"
            ),
            "truncate folders, files",
        )
        .with(&["--max-unit-rows", "10"]);
        incident.extract(&[]);
        let text = incident.for_people(&["restore", "--max-unit-rows", "10"]);
        let text = text.ok().stdout;
        for words in [
            "60 of them in one part",
            "public.folders",
            "rules would rewrite",
            "(kept)",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        Ledger::of(&incident.restore().ok()).expect(&[("inserted", 60)]);
        assert_eq!(dump(&incident.live), incident.before);
        Ledger::of(&incident.undo().ok()).expect(&[("removed", 60)]);
        assert_eq!(dump(&incident.live), incident.after_loss);
    }
}

/// Rows that must not come back, in a unit that is read slice by slice: what hangs from them may stand before them.
#[test]
fn exclusions_reach_through_all_parts() {
    let incident = Incident::new(
        "create table folders (id int primary key, parent_id int references folders, name text);
         create table pages (id int primary key, folder_id int not null references folders);
         create index on folders (parent_id); create index on pages (folder_id);
         insert into folders select n, null, 'folder ' || n from generate_series(1, 100) n;
         update folders set parent_id = case when id < 100 then id + 1 end;
         insert into pages select n, n from generate_series(1, 100) n",
        "truncate folders, pages",
    )
    .with(&["--max-unit-rows", "15"]);
    incident.extract(&[]);
    // Folder 50 is excluded, and all within it: folders 1 to 49, and their pages.
    incident
        .live
        .run("create table gone (id int); insert into gone values (50)");
    incident.case.write(
        "reinstate.toml",
        "[[exclude]]\ntable = \"folders\"\nreason = \"asked\"\nlive_sql = \"select id from gone\"\n",
    );
    incident
        .plan()
        .expect(&[("inserted", 100), ("excluded", 100)]);
    let done = incident.restore().ok();
    Ledger::of(&done).expect(&[("inserted", 100), ("excluded", 100)]);
    assert_eq!(
        incident.live.query_text(
            "select min(id), count(*) from folders; select min(id), count(*) from pages"
        ),
        "51|50\n51|50"
    );
    Ledger::of(&incident.verify(&[]).ok()).expect(&[("identical", 100), ("excluded", 100)]);
}
