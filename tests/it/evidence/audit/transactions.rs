//! Transactions: asked for by number, and told by an audit's own rows.

use super::{AUDIT, SETUP, Scene, destroy};

#[test]
fn transactions_can_be_asked_for_instead_of_times() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", AUDIT);
    destroy(&scene, 1..=4);
    let xid = |id: u32| {
        scene.live.query_text(&format!(
            "select xmin from deleted_dossiers where dossier_id = {id}"
        ))
    };
    let base = ["extract", "--root", "dossiers", "--undetermined", "exclude"];
    scene.run(&[&base[..], &["--xid", &xid(2)]].concat()).ok();
    assert_eq!(scene.bundled(), ["public.dossiers: 2".to_owned()].into());
    std::fs::remove_dir_all(scene.case.file("bundle")).unwrap();
    scene
        .case
        .write("xids", &format!("{}\n\n{}\n", xid(3), xid(4)));
    let file = scene.case.file("xids");
    scene
        .run(&[&base[..], &["--only-transactions", file.to_str().unwrap()]].concat())
        .ok();
    assert_eq!(scene.bundled().len(), 2);
    let manifest = scene.case.read("bundle/manifest.json");
    assert!(manifest.contains("\"transactions\""), "{manifest}");
    scene.case.write("xids", "all of them\n");
    let refused = scene
        .run(&["extract", "--only-transactions", file.to_str().unwrap()])
        .expect_code(2);
    assert!(
        refused.stderr.contains("is no transaction"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_record_that_was_changed_later_does_not_name_the_deleting_transaction() {
    let scene = Scene::new(SETUP);
    scene.case.write("reinstate.toml", AUDIT);
    destroy(&scene, 1..=4);
    let to = scene.now();
    scene
        .live
        .run("update deleted_dossiers set deleted_at = null");
    let xid = scene
        .live
        .query_text("select distinct xmin from deleted_dossiers");
    let end = scene.now();
    let drawn = scene.dated(&["timeline", "--format", "json"]).ok();
    let document = drawn.json();
    assert_eq!(document["totals"]["transactions"], 0, "{document:#}");
    assert!(
        drawn.stderr.contains("changed records of"),
        "{}",
        drawn.stderr
    );
    // Not by the transaction that changed them, and not for sure in a window around the change.
    let by_xid = scene
        .dated(&["extract", "--root", "dossiers", "--xid", &xid])
        .expect_code(3);
    assert!(
        by_xid.stderr.contains("4 of public.dossiers"),
        "{}",
        by_xid.stderr
    );
    let window = ["extract", "--root", "dossiers", "--from", &to, "--to", &end];
    let refused = scene.dated(&window).expect_code(3);
    assert!(
        refused.stderr.contains("4 of public.dossiers"),
        "{}",
        refused.stderr
    );
}
