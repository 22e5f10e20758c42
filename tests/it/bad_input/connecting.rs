//! Servers that cannot be reached, and passwords that must be seen nowhere.

use std::path::Path;

use crate::cli::story::{Story, files, one_message};
use crate::pg::server::{PASSWORD, Server, free_port};
use crate::support::Output;

/// Every command that needs live, with flags that get it as far as connecting.
const COMMANDS: [&[&str]; 5] = [
    &["diff"],
    &["extract", "-o", "never"],
    &["restore"],
    &["restore", "--execute", "--unrehearsed", "a test"],
    &["verify"],
];

#[test]
fn who_cannot_be_reached_is_named_with_the_way_out() {
    let story = Story::extracted();
    let server = Server::shared();
    let port = server.port;
    let closed = free_port();
    let cases: [(String, &[&str]); 5] = [
        (
            format!("host=127.0.0.1 port={port} dbname=postgres user=anna password=wrong-s3cr3t"),
            &[
                "password authentication failed for user \"anna\"",
                "came from the connection string; it may also come from PGPASSWORD",
            ],
        ),
        (
            format!("postgres://anna@127.0.0.1:{port}/postgres"),
            &[
                "the server asks for a password, and none is known",
                ".pgpass",
            ],
        ),
        (
            format!("postgres://anna:{PASSWORD}@127.0.0.1:{closed}/postgres"),
            &[
                "cannot connect to database postgres on 127.0.0.1:",
                "is PostgreSQL running",
            ],
        ),
        (
            format!("postgres://anna:{PASSWORD}@no-such-host.invalid/postgres"),
            &[
                "no-such-host.invalid",
                "cannot be resolved",
                "check the spelling",
            ],
        ),
        (
            format!("postgres://anna:{PASSWORD}@127.0.0.1:{port}/nowhere"),
            &["database \"nowhere\" does not exist", "psql -l"],
        ),
    ];
    for (text, parts) in cases {
        for args in COMMANDS {
            let mut command = story.command(args);
            command.env("REINSTATE_LIVE", &text);
            let output = story.refuses_command(command, 2, parts);
            assert!(!output.stderr.contains("s3cr3t"), "{}", output.stderr);
        }
    }
    // Which of the two it is, is said.
    let mut command = story.command(["diff"]);
    command.env(
        "REINSTATE_SNAPSHOT",
        format!("host=127.0.0.1 port={closed}"),
    );
    story.refuses_command(command, 2, &["error: snapshot: cannot connect"]);
}

#[test]
fn a_connection_that_is_not_given_or_not_understood() {
    let story = Story::begin();
    let mut command = story.case.command(["diff"]);
    command.env("REINSTATE_SNAPSHOT", story.snapshot.conninfo());
    story.refuses_command(
        command,
        2,
        &["no connection string for live", "REINSTATE_LIVE"],
    );
    for text in [
        "postgres://anna:s3cr3t@h:port/x",
        "host=h pasword=s3cr3t",
        "host=h password='s3cr3t",
    ] {
        let mut command = story.command(["diff"]);
        command.env("REINSTATE_LIVE", text);
        let output = story.refuses_command(command, 2, &["live: connection string not understood"]);
        assert!(!output.stderr.contains("s3cr3t"), "{}", output.stderr);
    }
}

#[test]
fn a_password_in_the_wrong_place_is_not_repeated() {
    let story = Story::extracted();
    let uri = "postgres://anna:s3cr3t@db.example.net/app";
    let keywords = "host=db user=anna password=s3cr3t";
    for text in [uri, keywords] {
        for args in [
            vec!["restore", text],
            vec!["verify", text],
            vec!["diff", text],
            vec!["diff", "--format", text],
            vec!["diff", "--config", text],
            vec!["extract", "--root", text],
            vec!["extract", "--keys", text, "--root", "users"],
            vec!["extract", "--snapshot-time", text],
            vec!["diff", "--table", text],
            vec!["restore", "--max-unit-time", text],
            vec!["restore", "--execute", "--unrehearsed", "x", "--plan", text],
        ] {
            let output = story.run(&args);
            assert!([2, 3].contains(&output.code), "{args:?}: {}", output.stderr);
            assert!(
                !output.stderr.contains("s3cr3t"),
                "{args:?}: {}",
                output.stderr
            );
            assert!(
                !output.stdout.contains("s3cr3t"),
                "{args:?}: {}",
                output.stdout
            );
        }
        let mut command = crate::support::Case::new().command(["diff"]);
        let attached: Output = command.arg(format!("-C{text}")).output().unwrap().into();
        assert!(!attached.stderr.contains("s3cr3t"), "{}", attached.stderr);
    }
    for broken in [
        "live = \"postgres://anna:s3cr3t@h/x",
        "live = postgres://anna:s3cr3t@h/x",
        "live = ['s3cr3t']",
    ] {
        story.case.write("reinstate.toml", broken);
        let output = story.refuses(["diff"], 2, &["reinstate.toml"]);
        assert!(!output.stderr.contains("s3cr3t"), "{}", output.stderr);
    }
}

#[test]
fn a_password_reaches_no_file_and_no_journal() {
    let story = Story::begin();
    // The server asks for none, so that any will do.
    let uri = |conninfo: String| {
        let value = |name: &str| {
            let word = conninfo.split(' ').find_map(|w| w.strip_prefix(name));
            word.unwrap().to_owned()
        };
        let (port, database) = (value("port="), value("dbname="));
        format!("postgres://postgres:s3cr3t@127.0.0.1:{port}/{database}")
    };
    let (live, snapshot) = (
        uri(story.live.tcp_conninfo()),
        uri(story.snapshot.tcp_conninfo()),
    );
    let mut said = String::new();
    let mut run = |args: &[&str], code: i32| {
        let given = ["--live", &live, &format!("--snapshot={snapshot}"), "-v"];
        let output = story
            .case
            .run(args.iter().copied().chain(given))
            .expect_code(code);
        said += &(output.stdout + &output.stderr);
    };
    run(&["doctor"], 0);
    run(&["diff"], 1);
    run(&["extract"], 0);
    run(&["restore"], 0);
    run(&["restore", "--execute", "--unrehearsed", "a test"], 4);
    run(&["verify"], 1);
    assert!(!said.contains("s3cr3t"), "{said}");
    for file in files(story.case.path()) {
        if Path::new(&file).is_file() {
            let content = std::fs::read(&file).unwrap();
            let found = content.windows(6).any(|w| w == b"s3cr3t");
            assert!(!found, "{file}");
        }
    }
    let journal = story.live.query_text("select * from reinstate.run");
    assert!(journal.contains("--live … --snapshot=… -v"), "{journal}");
    assert!(!journal.contains("s3cr3t"), "{journal}");
}

#[test]
fn a_case_directory_that_is_not_there() {
    let output = crate::support::reinstate(["-C", "/no/such/case", "diff"]);
    one_message(&output, 2, &["/no/such/case does not exist", "-C"]);
}
