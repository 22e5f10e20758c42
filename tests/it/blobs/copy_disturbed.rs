//! Copies that are cut off, refused or killed: nothing half is to be seen, nothing is lost, and the same command goes on.

use std::process::Stdio;
use std::time::Duration;

use super::scene::{Scene, content, key, one_each};
use crate::cli::story::one_message;
use crate::s3::{Rule, Server, Version, What};

/// One file for each of the means, the last but one large enough for parts.
struct Loss {
    scene: Scene,
    other: Server,
}

const BUCKET: &str = "files-versioned";

impl Loss {
    fn new() -> Self {
        let scene = Scene::new(&one_each(1..=5));
        let other = Server::start(&["copy"]);
        scene.store(&format!(
            "primary = \"s3://{BUCKET}\"\nbackup = {{ url = \"s3://copy\", endpoint_url = \"{}\" }}",
            other.endpoint
        ));
        Self { scene, other }
    }

    /// As after the loss: a marker, an overwritten version under one, and files that only the backup has.
    fn again(&self) {
        let server = &self.scene.server;
        server.heal();
        server.bucket(BUCKET, |b| *b = crate::s3::Bucket::new(true));
        server.bucket(BUCKET, |b| {
            b.put(&key(1), Version::of(content(1).as_bytes()));
            b.delete(&key(1));
            b.put(&key(2), Version::of(content(2).as_bytes()));
            b.put(&key(2), Version::of(b"overwritten"));
            b.delete(&key(2));
        });
        (3..=4).for_each(|n| self.other.put("copy", &key(n), content(n).as_bytes()));
        let _ = std::fs::remove_file(self.scene.incident.case.file("blobs.copy.jsonl"));
        let _ = std::fs::remove_file(self.scene.incident.case.file("blobs.partial.jsonl"));
    }

    /// Two by two, so that some are in flight together; parts of ten bytes.
    const ARGS: [&str; 7] = [
        "--execute",
        "--level",
        "checksum",
        "--parts-above",
        "10",
        "--concurrency",
        "2",
    ];

    #[track_caller]
    fn goes_on_to_the_end(&self, when: &str) {
        let scene = &self.scene;
        let output = scene.copy(&Self::ARGS);
        assert_eq!(output.code, 0, "{when}: {}{}", output.stdout, output.stderr);
        scene.finds(&["--level", "checksum"], 1, &[("restored", 4), ("lost", 1)]);
        scene.server.bucket(BUCKET, |b| {
            for n in 1..=4 {
                let found = b.get(&key(n), None).map(|v| v.bytes.clone());
                assert_eq!(found.as_deref(), Some(content(n).as_bytes()), "{when}: {n}");
            }
            assert!(b.uploads.is_empty(), "{when}: an upload was left");
            assert_eq!(b.versions_deleted, 0, "{when}");
            // What was there under its markers is there still, and nothing was written twice.
            let versions = b.versions().filter(|(_, v, _)| !v.marker).count();
            assert_eq!(versions, 1 + 3 + 1 + 1, "{when}");
        });
    }
}

#[test]
fn killed_at_every_request() {
    let loss = Loss::new();
    loss.again();
    loss.goes_on_to_the_end("undisturbed");
    let mut killed = 0;
    for carried_out in [false, true] {
        for n in 1.. {
            loss.again();
            let server = &loss.scene.server;
            server.kill_at(n, carried_out);
            let mut command = loss.scene.blobs("copy", &Loss::ARGS);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            server.victim(child.id());
            let ended = child.wait().unwrap();
            let left = server.kill_nobody();
            if left > 0 {
                assert!(ended.success());
                break;
            }
            killed += 1;
            // Nothing is to be seen that is not whole.
            for n in 3..=4 {
                let seen = server.bucket(BUCKET, |b| b.get(&key(n), None).map(|v| v.bytes.clone()));
                assert!(seen.is_none_or(|s| s == content(n).as_bytes()));
            }
            loss.goes_on_to_the_end(&format!("killed at {n}, carried out: {carried_out}"));
        }
    }
    assert!(killed > 40, "only {killed} requests");
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_told() {
    let loss = Loss::new();
    loss.again();
    let server = &loss.scene.server;
    for op in ["copy", "delete", "begin", "part", "complete", "versions"] {
        server.fault(Rule::first(2, op, What::Refuse(503, "SlowDown")));
    }
    loss.other.fault(Rule::first(1, "get", What::Cut));
    loss.goes_on_to_the_end("a store in trouble");
    loss.other.heal();
    // Credentials that end in the middle: what is back stays, and the same command goes on.
    loss.again();
    server.fault(Rule::always("part", What::Refuse(400, "ExpiredToken")).after(1));
    let output = loss.scene.copy(&Loss::ARGS);
    one_message(
        &output,
        4,
        &["the credentials have expired", "run the same command again"],
    );
    let back = loss
        .scene
        .rows()
        .iter()
        .filter(|r| r["state"] == "restored")
        .count();
    assert!((1..4).contains(&back), "{back}");
    server.heal();
    loss.goes_on_to_the_end("after new credentials");
    // A right that lacks: named, for each file; the others come back.
    loss.again();
    server.fault(Rule::always("delete", What::Refuse(403, "AccessDenied")));
    let output = loss.scene.copy(&Loss::ARGS).expect_code(4);
    assert!(
        output
            .stdout
            .contains("taking a delete marker off is not permitted"),
        "{}",
        output.stdout
    );
    assert_eq!(loss.scene.row(&key(1))["state"], "recoverable");
    assert_eq!(loss.scene.row(&key(4))["state"], "restored");
    server.heal();
    loss.goes_on_to_the_end("with the right");
}

#[test]
fn an_upload_that_was_begun_and_not_recorded_is_given_up() {
    let loss = Loss::new();
    loss.again();
    let server = &loss.scene.server;
    // Killed once `begin` is carried out: its id is nowhere in the journal.
    let begins = |n: usize| {
        loss.again();
        server.kill_at(n, true);
        let one = [&Loss::ARGS[..6], &["1"]].concat();
        let mut command = loss.scene.blobs("copy", &one);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        server.victim(child.id());
        child.wait().unwrap();
        server.kill_nobody();
        server.bucket(BUCKET, |b| b.uploads.len()) > 0
    };
    let first = (1..60).find(|n| begins(*n)).expect("an upload begins");
    assert!(begins(first));
    assert!(
        !loss
            .scene
            .incident
            .case
            .read("blobs.copy.jsonl")
            .contains("\"upload\"")
    );
    let said = loss.scene.copy(&Loss::ARGS).ok();
    assert!(
        said.stderr
            .contains("that an earlier run had left unfinished"),
        "{}",
        said.stderr
    );
    // What somebody uploads there later is theirs.
    server.bucket(BUCKET, |b| {
        b.begin(crate::s3::Upload {
            key: key(3),
            ..Default::default()
        })
    });
    let said = loss.scene.copy(&Loss::ARGS).ok();
    assert!(!said.stderr.contains("unfinished"), "{}", said.stderr);
    server.bucket(BUCKET, |b| {
        assert_eq!(b.uploads.len(), 1, "another's upload was given up");
        b.uploads.clear();
    });
    loss.goes_on_to_the_end("with an upload of nobody");
}

#[test]
fn a_signal_lets_the_files_at_hand_end() {
    let scene = Scene::new(&one_each(1..=40));
    scene.put("copy", 1..=40);
    scene
        .server
        .fault(Rule::always("copy", What::Late(Duration::from_millis(150))));
    let mut command = scene.blobs("copy", &["--execute", "--concurrency", "2"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while scene.server.count("copy") < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let restored = |scene: &Scene| {
        scene
            .rows()
            .iter()
            .filter(|r| r["state"] == "restored")
            .count()
    };
    let first = restored(&scene);
    assert!((1..40).contains(&first), "{first}");
    let there = scene.server.bucket("files", |b| b.seen().count());
    assert_eq!(there, first, "what was begun was ended, and counted");
    scene.server.heal();
    scene.copies(&["--execute"], 0, &[("restored", 40)]);
}
