//! What goes wrong between us and a store, and what is said of it.

use std::time::Duration;

use super::scene::{Scene, content, key, one_each};
use crate::cli::story::one_message;
use crate::s3::{Rule, Server, What};
use crate::support::Output;

fn refused(output: &Output, code: i32, parts: &[&str]) {
    one_message(output, code, parts);
}

#[test]
fn what_passes_is_tried_again() {
    let scene = Scene::new(&one_each(1..=6));
    scene.put("files", 1..=6);
    scene.server.no_etags();
    let server = &scene.server;
    for (status, code) in [
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ] {
        server.fault(Rule::first(1, "head", What::Refuse(status, code)));
        server.fault(Rule::first(1, "list", What::Refuse(status, code)));
        server.fault(Rule::first(1, "get", What::Refuse(status, code)));
    }
    server.fault(Rule::first(1, "get", What::Cut).of(&key(2)));
    scene.finds(&["--level", "checksum"], 0, &[("present", 6)]);
    assert_eq!(scene.row(&key(2))["proof"], "bytes");
    assert!(server.count("get") >= 10, "{}", server.count("get"));
    server.heal();
    // Slow bodies: the limit is on each piece.
    scene.store("primary = \"s3://files\"\ntimeout = \"2s\"");
    server.fault(Rule::first(2, "get", What::Stall));
    server.fault(Rule::first(2, "head", What::Late(Duration::from_secs(4))));
    scene.finds(&["--level", "checksum"], 0, &[("present", 6)]);
}

#[test]
fn bytes_that_change_on_the_way_are_not_believed() {
    let scene = Scene::new(&one_each(1..=1));
    scene.put("files", 1..=1);
    scene.server.no_etags();
    scene.server.fault(Rule::always("get", What::Corrupt));
    scene.finds(&["--level", "checksum"], 1, &[("corrupt", 1)]);
}

#[test]
fn credentials() {
    let scene = Scene::new(&one_each(1..=3));
    scene.put("files", 1..=3);
    let with = |key: &str, secret: &str| -> Output {
        let mut command = scene.command(&[""; 0]);
        command
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        command.output().unwrap().into()
    };
    let wrong = [
        "store files: s3://files",
        "the credentials are not accepted",
        "hint: check the access key",
    ];
    refused(&with("AKIAOTHER", "x"), 2, &wrong);
    refused(&with(crate::s3::ACCESS_KEY, "x"), 2, &wrong);
    let mut command = scene.command(&[""; 0]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("HOME", scene.incident.case.path());
    let none: Output = command.output().unwrap().into();
    refused(
        &none,
        2,
        &["s3://files", "no credentials", "AWS_ACCESS_KEY_ID"],
    );
}

#[test]
fn credentials_that_expire_on_the_way_and_a_check_that_goes_on() {
    let scene = Scene::new(&one_each(1..=40));
    scene.put("files", 1..=40);
    scene.store("primary = \"s3://files\"");
    // HEAD has no body: what is wrong is learned from a listing, which is refused from the second on.
    scene
        .server
        .fault(Rule::always("head", What::Refuse(400, "ExpiredToken")).after(20));
    scene
        .server
        .fault(Rule::always("list", What::Refuse(400, "ExpiredToken")).after(1));
    let output = scene.check(&["--strategy", "head"]);
    refused(
        &output,
        2,
        &[
            "s3://files",
            "the credentials have expired",
            "it goes on where it stopped",
        ],
    );
    scene.server.heal();
    scene.finds(&["--strategy", "head"], 0, &[("present", 40)]);
}

#[test]
fn an_interrupted_check_goes_on_and_begins_anew_when_told() {
    // Two stretches of 1,000 at most.
    let rows = "select has(1 + n % 40, 'n' || lpad(n::text, 5, '0'), 'x') from generate_series(1, 1050) n;";
    let scene = Scene::new(rows);
    scene.store("primary = \"s3://files\"");
    for n in 1..=1_050 {
        scene.server.put("files", &format!("n{n:05}"), b"x");
    }
    // The credentials expire within the second one.
    let refuse = |op, code| Rule::always(op, What::Refuse(403, code));
    scene.server.fault(refuse("head", "").of("n01040"));
    scene.server.fault(refuse("list", "ExpiredToken").after(1));
    let output = scene.check(&["--strategy", "head"]);
    let said = ["have expired", "1,000 were checked before, and are kept"];
    refused(&output, 4, &said);
    let partial = scene.incident.case.file("blobs.partial.jsonl");
    let whole = std::fs::read(&partial).unwrap();
    assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), 1_001);
    // As a killed process leaves it: a line cut off.
    std::fs::write(&partial, &whole[..whole.len() - 20]).unwrap();
    scene.server.heal();
    let looks_for = |args: &[&str], expected: u64| {
        let args = [&["--strategy", "list"], args].concat();
        let document = scene.finds(&args, 0, &[("present", 1_050)]);
        assert_eq!(document["stores"][0]["by_listing"], expected);
        assert_eq!(document["tables"][0]["present"], 1_050);
        assert!(!partial.exists());
        assert_eq!(scene.rows().len(), 1_050);
        std::fs::write(&partial, &whole).unwrap();
    };
    looks_for(&[], 51);
    looks_for(&["--fresh"], 1_050);
    // Another check is not gone on with.
    looks_for(&["--level", "exists"], 1_050);
}

#[test]
fn a_bucket_that_is_not_there_and_a_clock_that_is_wrong() {
    let scene = Scene::new(&one_each(1..=1));
    scene.store("primary = \"s3://nowhere\"");
    refused(
        &scene.check(&[""; 0]),
        2,
        &[
            "store files: s3://nowhere",
            "does not exist",
            "check the name",
        ],
    );
    scene.store("primary = \"s3://files\"\nbackup = \"dir:/nowhere/at/all\"");
    refused(
        &scene.check(&[""; 0]),
        2,
        &["dir:/nowhere/at/all", "does not exist"],
    );
    scene.store("primary = \"s3://files\"");
    scene.server.fault(Rule::always("list", What::Skewed));
    let output = scene.check(&[""; 0]);
    refused(
        &output,
        2,
        &[
            "this machine's clock is 3",
            "seconds away from the store's",
            "set the clock",
        ],
    );
}

#[test]
fn a_store_that_stays_away() {
    let scene = Scene::new(&one_each(1..=1));
    scene
        .server
        .fault(Rule::always("list", What::Refuse(503, "SlowDown")));
    let output = scene.check(&[""; 0]);
    refused(
        &output,
        2,
        &["no usable answer, tried 8 times: 503 SlowDown", "--rps"],
    );
}

#[test]
fn without_the_right_to_list_nothing_is_called_lost() {
    let scene = Scene::new(&one_each(1..=3));
    scene.put("files", 1..=1);
    scene.put("copy", 1..=2);
    // As AWS answers: without that right, what is missing is forbidden.
    scene
        .server
        .fault(Rule::always("list", What::Refuse(403, "AccessDenied")));
    for n in 2..=3 {
        scene
            .server
            .fault(Rule::always("head", What::Refuse(403, "")).of(&format!("files/{}", key(n))));
    }
    scene
        .server
        .fault(Rule::always("head", What::Refuse(403, "")).of(&format!("copy/{}", key(3))));
    let document = scene.finds(&[], 1, &[("present", 1), ("unverifiable", 2)]);
    assert_eq!(document["stores"][0]["pages"], 0);
    let reason = scene.row(&key(3))["reason"].to_string();
    assert!(
        reason.contains("a missing object looks like this too; grant s3:ListBucket"),
        "{reason}"
    );
    let said = scene.check(&[""; 0]).stderr;
    assert!(
        said.contains("warning: files: s3://files may not be listed"),
        "{said}"
    );
}

#[test]
fn old_versions_that_may_not_be_listed_leave_it_open() {
    let scene = Scene::new(&one_each(1..=2));
    scene.store("primary = \"s3://files-versioned\"\nbackup = \"s3://copy\"");
    scene.put("copy", 1..=1);
    scene
        .server
        .fault(Rule::always("versions", What::Refuse(403, "AccessDenied")));
    scene.finds(&[], 1, &[("recoverable", 1), ("unverifiable", 1)]);
    let reason = scene.row(&key(2))["reason"].to_string();
    assert!(reason.contains("s3:ListBucketVersions"), "{reason}");
}

#[test]
fn a_server_of_the_tests_checks_signatures() {
    let server = Server::start(&["bucket"]);
    server.put("bucket", "k", content(1).as_bytes());
    let host = server.endpoint.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    std::io::Write::write_all(
        &mut stream,
        format!("GET /bucket/k HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
    )
    .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
