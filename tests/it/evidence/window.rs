//! Windows: what cannot be answered is said, with what is missing.

use super::scene::Scene;

const SETUP: &str = "
create table t (id int primary key, v text);
insert into t select n, 'v' from generate_series(1, 50) n;
";

#[track_caller]
fn refused(scene: &Scene, args: &[&str], code: i32, words: &[&str]) {
    let output = scene.run(&[&["extract"], args].concat()).expect_code(code);
    for word in words {
        assert!(output.stderr.contains(word), "{word} in {}", output.stderr);
    }
    assert!(!scene.case.file("bundle").exists());
}

#[test]
fn windows_that_cannot_be_answered_are_refused_with_the_reason() {
    let scene = Scene::new(SETUP);
    scene.live.run("delete from t where id <= 3");
    let taken = scene.taken.as_str();
    refused(
        &scene,
        &["--from", "yesterday"],
        2,
        &["--from `yesterday` is not an RFC 3339 time"],
    );
    // A time without an offset could mean anything.
    refused(
        &scene,
        &["--from", "2020-01-21T16:40:00"],
        2,
        &["with an offset"],
    );
    refused(
        &scene,
        &[
            "--from",
            "2020-01-21T16:40:00Z",
            "--to",
            "2020-01-21T17:00:00+01:00",
        ],
        2,
        &["the window is empty", "mind the offsets"],
    );
    refused(
        &scene,
        &[
            "--from",
            "2020-01-21T16:40:00Z",
            "--to",
            "2020-01-21T17:40:00Z",
            "--snapshot-time",
            taken,
        ],
        2,
        &["the backup was taken at", "an older backup may have it"],
    );
    refused(
        &scene,
        &["--from", "2999-01-01T00:00:00Z"],
        2,
        &["live's clock shows"],
    );
    refused(
        &scene,
        &["--snapshot-time", "2999-01-01T00:00:00Z"],
        2,
        &["the snapshot time 2999-01-01T00:00:00Z is in the future"],
    );
    // Nothing tells when.
    refused(
        &scene,
        &["--from", taken],
        2,
        &[
            "nothing tells when",
            "--after-time",
            "[[audit]]",
            "pageinspect",
        ],
    );
}

#[test]
fn a_window_around_everything_needs_no_evidence() {
    let scene = Scene::new(SETUP);
    scene.live.run("delete from t where id <= 3");
    let taken = scene.taken.clone();
    scene
        .run(&["extract", "--from", &taken, "--snapshot-time", &taken])
        .ok();
    assert_eq!(scene.bundled().len(), 3);
    let unit = &scene.units()[0];
    assert_eq!(unit["evidence"]["source"], "none");
    assert_eq!(unit["evidence"]["from"].as_str(), Some(taken.as_str()));
}

#[test]
fn a_row_deleted_while_tables_are_compared_is_inside_the_period() {
    let scene = Scene::new(SETUP);
    scene.live.run("delete from t where id <= 3");
    let before = scene.now();
    scene.run(&["extract"]).ok();
    let manifest: serde_json::Value =
        serde_json::from_str(&scene.case.read("bundle/manifest.json")).unwrap();
    assert!(manifest["window"]["to"].as_str().unwrap() > before.as_str());
    assert_eq!(manifest["window"]["from"], serde_json::Value::Null);
}
