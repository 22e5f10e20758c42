//! `[[exclude]]`: legitimate erasure is never brought back, whenever it is asked for.

use super::scene::{EXECUTE, Scene, totals};
use crate::support::dump;

const SETUP: &str = "
create table users (id int primary key, email text);
create table dossiers (id int primary key, user_id int not null references users, state text);
create table champs (id int primary key, dossier_id int not null references dossiers, value text);
create table files (id int primary key, record_type text, record_id int, name text);
create table deleted_dossiers (dossier_id int, reason text);
insert into users select n, n || '@x' from generate_series(1, 10) n;
insert into dossiers select n, 1 + n % 10, 'draft' from generate_series(1, 40) n;
insert into champs select n, 1 + n % 40, 'v' from generate_series(1, 120) n;
insert into files select n, 'Dossier', 1 + n % 40, 'f' from generate_series(1, 40) n;
insert into files select 100 + n, 'User', n, 'f' from generate_series(1, 10) n;
";

const LOSS: &str = "
delete from files where record_type = 'Dossier' and record_id <= 12;
delete from champs where dossier_id <= 12; delete from dossiers where id <= 12;
";

const RELATIONS: &str = "
[[relation]]
from = 'files(record_id)'
to = 'dossiers(id)'
when = { record_type = 'Dossier' }
";

const EXCLUDE: &str = "
[[exclude]]
table = 'dossiers'
reason = 'erased at the owner''s request'
live_sql = \"select dossier_id as id from deleted_dossiers where reason = 'user_request'\"
";

fn exclude() -> String {
    format!("{RELATIONS}{}", EXCLUDE.replace("''s", "s"))
}

fn erase(scene: &Scene, ids: &str) {
    scene.live.run(&format!(
        "insert into deleted_dossiers select n, 'user_request' from unnest(array[{ids}]) n"
    ));
}

#[test]
fn what_is_excluded_at_extract_is_not_in_the_bundle_nor_is_its_content() {
    let scene = Scene::new(SETUP);
    scene.live.run(LOSS);
    erase(&scene, "3, 4");
    scene.case.write("reinstate.toml", &exclude());
    let output = scene.run(&["extract", "--format", "json"]).ok();
    let document = output.json();
    // Two dossiers with three champs and a file each.
    totals(&document, &[("excluded", 10), ("units", 10)]);
    let bundled = scene.bundled();
    assert!(!bundled.contains("public.dossiers: 3") && bundled.contains("public.dossiers: 5"));
    let left = document["left_out"].to_string();
    assert!(left.contains("erased at the owners request"), "{left}");
    assert!(
        left.contains("hangs from an excluded row of public.dossiers"),
        "{left}"
    );
    assert_eq!(bundled.len(), 10 + 30 + 10);
}

#[test]
fn what_is_excluded_on_day_two_stays_deleted_with_what_hangs_from_it() {
    let scene = Scene::new(SETUP);
    let before = dump(&scene.live);
    scene.live.run(LOSS);
    scene.case.write("reinstate.toml", RELATIONS);
    scene.run(&["extract"]).ok();
    erase(&scene, "3, 4, 33");
    scene.case.write("reinstate.toml", &exclude());
    let plan = scene.run(&["restore", "--format", "json"]).ok().json();
    totals(&plan, &[("excluded", 10), ("inserted", 50)]);
    let id = plan["plan_id"].as_str().unwrap().to_owned();
    let run = scene
        .run(&[
            "restore",
            "--execute",
            "--plan",
            &id,
            "--unrehearsed",
            "test",
            "--format",
            "json",
        ])
        .ok()
        .json();
    totals(&run, &[("excluded", 10), ("inserted", 50)]);
    // All but the rows of 3 and 4 are as before.
    scene.snapshot.run(
        "delete from files where record_type = 'Dossier' and record_id in (3, 4);
         delete from champs where dossier_id in (3, 4); delete from dossiers where id in (3, 4);
         insert into deleted_dossiers select n, 'user_request' from unnest(array[3, 4, 33]) n",
    );
    assert_ne!(dump(&scene.live), before);
    assert_eq!(dump(&scene.live), dump(&scene.snapshot));
    let verified = scene.run(&["verify", "--format", "json"]).ok().json();
    totals(&verified, &[("excluded", 10), ("identical", 50)]);
    totals(&verified, &[("missing", 0), ("gone_since", 0)]);
    // Again: nothing to do, and the sums still add up.
    let again = scene.run(&EXECUTE).ok().json();
    totals(&again, &[("excluded", 10), ("already_present", 50)]);
}

#[test]
fn an_excluded_dependent_leaves_the_rest_of_its_unit() {
    let scene = Scene::new(SETUP);
    scene.live.run(LOSS);
    scene.case.write("reinstate.toml", RELATIONS);
    scene.run(&["extract"]).ok();
    let list = scene.case.file("erased.csv");
    scene.case.write("erased.csv", "id\n 002 \n3\n");
    scene.case.write(
        "reinstate.toml",
        &format!(
            "{RELATIONS}[[exclude]]\ntable = 'champs'\nreason = 'personal'\nfile = '{}'\n",
            list.display()
        ),
    );
    let run = scene.run(&EXECUTE).ok().json();
    totals(&run, &[("excluded", 2), ("inserted", 58)]);
    assert_eq!(
        scene
            .live
            .count("select count(*) from champs where id in (2, 3)"),
        0
    );
    assert_eq!(scene.live.count("select count(*) from dossiers"), 40);
    let verified = scene.run(&["verify", "--format", "json"]).ok().json();
    assert_eq!(verified["totals"]["excluded"], 2);
}

#[test]
fn a_list_of_erased_rows_that_cannot_be_read_is_told_by_its_line() {
    let scene = Scene::new(SETUP);
    scene.live.run(LOSS);
    scene.case.write("reinstate.toml", RELATIONS);
    scene.run(&["extract"]).ok();
    let list = scene.case.file("erased.csv");
    let file = format!(
        "table = 'champs'\nreason = 'personal'\nfile = '{}'",
        list.display()
    );
    let config = format!("{RELATIONS}[[exclude]]\n{file}\n");
    scene.case.write("reinstate.toml", &config);
    scene.case.write("erased.csv", "id\n2\n3\ntwelve\n");
    let extract: &[&str] = &["extract", "-o", "second"];
    for command in [extract, &["restore"]] {
        let refused = scene.run(command).expect_code(2);
        let words = "erased.csv, line 4: twelve is no key of public.champs";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(!scene.case.file("second").exists());
}

#[test]
fn a_stopped_run_goes_on_with_the_exclusions_of_now() {
    let scene = Scene::new(SETUP);
    scene.live.run(LOSS);
    scene.case.write("reinstate.toml", &exclude());
    scene.run(&["extract"]).ok();
    erase(&scene, "12");
    let first = scene
        .run(&[&EXECUTE[..], &["--max-units", "4"]].concat())
        .expect_code(4)
        .json();
    assert_eq!(first["totals"]["pending"], 40);
    // One that is back already, one that is not.
    erase(&scene, "1, 11");
    let second = scene.run(&EXECUTE).ok().json();
    totals(&second, &[("excluded", 10), ("inserted", 50)]);
    let verified = scene.run(&["verify", "--format", "json"]).ok();
    assert_eq!(verified.json()["excluded_but_back"], 5);
    assert!(
        verified.stderr.contains("deleting them is yours to decide"),
        "{}",
        verified.stderr
    );
}

#[test]
fn exclusions_that_cannot_be_are_refused() {
    let scene = Scene::new(SETUP);
    scene.live.run(LOSS);
    for (entry, words) in [
        (
            "table = 'dossiers'\nlive_sql = 'select 1 as id'",
            "`reason` is missing",
        ),
        ("table = 'dossiers'\nreason = 'x'", "one of `live_sql`"),
        (
            "table = 'nowhere'\nreason = 'x'\nlive_sql = 'select 1 as id'",
            "no such table in common",
        ),
        (
            "table = 'dossiers'\nreason = 'x'\nlive_sql = 'select 1 as nr'",
            "no column `id`",
        ),
        (
            "table = 'dossiers'\nreason = 'x'\nlive_sq = 'select 1 as nr'",
            "did you mean `exclude.live_sql`",
        ),
    ] {
        scene
            .case
            .write("reinstate.toml", &format!("[[exclude]]\n{entry}\n"));
        let refused = scene.run(&["extract"]).expect_code(2);
        assert!(
            refused.stderr.contains(words),
            "{words} in {}",
            refused.stderr
        );
        assert!(!scene.case.file("bundle").exists());
    }
}
