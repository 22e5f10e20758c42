//! Databases that are the wrong ones.

use reinstate::cluster::{Settings, StopMode};
use reinstate::pg::{Access, Conninfo, Environment, Session};

use crate::cli::story::{EXECUTE, SETUP, Story, one_message};
use crate::support::{database, start};

#[test]
fn two_strings_for_one_database() {
    let story = Story::begin();
    for args in [&["diff"][..], &["extract"]] {
        let mut command = story.command(args);
        command.env("REINSTATE_SNAPSHOT", story.live.tcp_conninfo());
        story.refuses_command(
            command,
            3,
            &["reach the same database", &story.live.name, "check both"],
        );
    }
}

#[test]
fn databases_with_nothing_in_common() {
    let story = Story::begin();
    let (empty, other) = (database(), database());
    other.run("create table elsewhere (id int primary key)");
    for verb in ["diff", "extract"] {
        let mut command = story.command([verb]);
        command.env("REINSTATE_SNAPSHOT", other.conninfo());
        let names: [&str; 4] = [
            "no table in common",
            &other.name,
            &story.live.name,
            "wrong database",
        ];
        story.refuses_command(command, 2, &names);
        let mut command = story.command([verb]);
        command.env("REINSTATE_SNAPSHOT", empty.conninfo());
        story.refuses_command(command, 2, &["no table in common"]);
        let mut command = story.command([verb]);
        command.env("REINSTATE_SNAPSHOT", empty.conninfo());
        command.env("REINSTATE_LIVE", other.conninfo());
        other.run("drop table if exists elsewhere");
        story.refuses_command(command, 2, &["nor live (", "has any table"]);
        other.run("create table elsewhere (id int primary key)");
    }
}

/// The server itself runs such a function whenever it plans a statement on the table.
#[test]
fn an_index_over_a_function_that_names_things_without_their_schema() {
    let story = Story::begin();
    // Version 17 and later refuse to make such an index; one from before, or from a dump, they keep.
    let setup = "create table ix (id int primary key, v text);
        create function trimmed(text) returns text immutable language sql as 'select btrim($1)';
        create function outer_trimmed(text) returns text immutable language sql set search_path = public
          as 'select trimmed($1)';
        create index on ix (outer_trimmed(v));
        alter function outer_trimmed(text) reset search_path;
        insert into ix values (1, 'a')";
    story.live.run(setup);
    story.snapshot.run(setup);
    let parts = [
        "public.ix",
        "trimmed(text) does not exist",
        "ALTER FUNCTION",
    ];
    story.refuses(["diff"], 2, &parts);
    let cure = "alter function outer_trimmed(text) set search_path = public";
    story.live.run(cure);
    story.snapshot.run(cure);
    story
        .command(["diff"])
        .output()
        .map(crate::support::Output::from)
        .unwrap()
        .expect_code(1);
}

#[test]
fn tables_that_are_not_there() {
    let story = Story::begin();
    for verb in ["diff", "extract"] {
        for option in ["--table", "--exclude-table", "--schema"] {
            let parts = [option, "nope", "neither the snapshot nor live"];
            story.refuses([verb, option, "nope"], 2, &parts);
        }
        // One that matches does not excuse one that does not.
        let args = [verb, "--table", "users", "--table", "dosiers"];
        story.refuses(
            args,
            2,
            &["--table dosiers", "did you mean public.dossiers?"],
        );
    }
    let args = ["diff", "--table", "users", "--exclude-table", "users"];
    story.refuses(args, 2, &["no table is left"]);
    story.refuses(
        ["extract", "--root", "nope"],
        2,
        &["--root public.nope", "neither"],
    );
    let args = ["extract", "--root", "dosiers"];
    story.refuses(args, 2, &["did you mean public.dossiers?"]);
    story.refuses(
        ["extract", "--root", "a.b.c.d"],
        2,
        &["--root", "a.b.c.d", "schema.table"],
    );
    let new = "create table only_here (id int primary key)";
    story.live.run(new);
    story.refuses(
        ["extract", "--root", "only_here"],
        2,
        &["the snapshot does not have this table"],
    );
    story
        .snapshot
        .run(&format!("{new}; create table gone (id int primary key)"));
    story.refuses(
        ["extract", "--root", "gone"],
        2,
        &["live does not have this table"],
    );
}

#[test]
fn a_bundle_whose_table_live_does_not_have() {
    let story = Story::extracted();
    story.live.run("alter table champs rename to elsewhere");
    for args in [
        &["restore"][..],
        &["restore", "--execute", "--unrehearsed", "x"],
        &["verify"],
    ] {
        story.refuses(
            args,
            3,
            &[
                "public.champs",
                "live does not have this table",
                "create it",
            ],
        );
    }
}

#[tokio::test]
async fn restoring_into_a_standby() {
    let story = Story::extracted();
    let mut server = start(&Settings::default());
    let conninfo = Conninfo::parse(&server.conninfo("postgres"), &Environment::default()).unwrap();
    let session = Session::open(&conninfo, Access::Writing, "test")
        .await
        .unwrap();
    // That a table is missing there does not matter: what is wrong is the server.
    let tables = format!("set search_path = public; {SETUP}; drop table champs");
    session.batch("making tables", &tables).await.unwrap();
    // A server that recovers for ever: what a standby is, without the primary.
    server.stop(StopMode::Fast).unwrap();
    std::fs::write(server.data_directory().join("standby.signal"), "").unwrap();
    server.restart().unwrap();
    for args in [
        &["restore"][..],
        &["restore", "--execute", "--unrehearsed", "x"],
    ] {
        let mut command = story.command(args);
        command.env("REINSTATE_LIVE", server.conninfo("postgres"));
        let output = story.refuses_command(command, 3, &["standby"]);
        assert!(output.stderr.contains("primary"), "{}", output.stderr);
    }
    // A standby can be looked at.
    let mut command = story.command(["doctor"]);
    command.env("REINSTATE_LIVE", server.conninfo("postgres"));
    let said = crate::support::Output::from(command.output().unwrap());
    assert!(said.stdout.contains("is a standby"), "{}", said.stdout);
}

#[test]
fn restoring_where_somebody_wants_nothing_written() {
    let story = Story::extracted();
    let name = format!("\"{}\"", story.live.name);
    let set = |on: &str| {
        let sql = format!("alter database {name} set default_transaction_read_only = {on}");
        story.live.run(&sql);
    };
    set("on");
    for args in [&["restore"][..], &EXECUTE] {
        let parts = ["default_transaction_read_only", "ALTER ROLE"];
        story.refuses(args, 3, &parts);
    }
    // The way out that the message names.
    let writing = "set default_transaction_read_only = off";
    let role = format!("alter role current_user in database {name}");
    story.live.run(&format!("{writing}; {role} {writing}"));
    story.run(EXECUTE).expect_code(4);
    story.live.run(&format!("{role} reset all"));
}

#[test]
fn a_window_without_evidence() {
    let story = Story::begin();
    for option in ["--from", "--to"] {
        let args = ["extract", option, "2020-01-21T16:40:00+01:00"];
        story.refuses(
            args,
            2,
            &["nothing tells when", "--after-time", "[[audit]]"],
        );
    }
}

#[test]
fn nothing_to_do_is_said() {
    let story = Story::begin();
    let args = ["extract", "--root", "users", "--where", "id = 9"];
    let output = story.refuses(args, 2, &["nothing to extract", "public.users"]);
    one_message(&output, 2, &["reinstate diff"]);
}
