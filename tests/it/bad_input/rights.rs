//! Roles that may not do what is asked of them: the message holds the GRANT, and the GRANT helps.

use std::process::Command;

use crate::cli::story::Story;
use crate::support::Output;

/// A role that may read everything in live but champs.
fn role(story: &Story, name: &str) -> String {
    let role = format!("{}_{name}", story.live.name);
    story.live.run(&format!(
        "create role {role} login; grant usage on schema public to {role};
         grant select on users, dossiers, log to {role}"
    ));
    role
}

fn as_role(story: &Story, args: &[&str], role: &str) -> Command {
    let mut command = story.command(args);
    command.env("REINSTATE_LIVE", story.live.conninfo_as(role));
    command
}

/// The statements after `hint: `, up to where prose begins.
fn grants(output: &Output) -> String {
    let hint = output.stderr.split("hint: ").nth(1).unwrap();
    let statements: Vec<&str> = hint
        .split("; ")
        .filter_map(|s| s.find("GRANT").map(|at| &s[at..]))
        .collect();
    let plain = |s: &&str| s.split([':', '(']).next().unwrap().trim().to_owned();
    statements.iter().map(plain).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_table_that_may_not_be_read() {
    let story = Story::begin();
    let role = role(&story, "reader");
    for verb in ["diff", "extract"] {
        let parts = [
            "live: role",
            &role,
            "may not read public.champs",
            "--exclude-table",
            "docs/RIGHTS.md",
        ];
        story.refuses_command(as_role(&story, &[verb], &role), 2, &parts);
    }
    // What is not asked for need not be readable.
    let output: Output = as_role(&story, &["diff", "--table", "users"], &role)
        .output()
        .unwrap()
        .into();
    let output = output.expect_code(1);
    assert!(!output.stdout.contains("champs"), "{}", output.stdout);
    let output: Output = as_role(&story, &["diff"], &role).output().unwrap().into();
    story.live.run(&grants(&output));
    Output::from(as_role(&story, &["diff"], &role).output().unwrap()).expect_code(1);
}

#[test]
fn a_schema_that_may_not_be_used() {
    let story = Story::begin();
    let setup = "create schema app; create table app.t (id int primary key)";
    story.live.run(setup);
    story.snapshot.run(setup);
    let role = role(&story, "outsider");
    story
        .live
        .run(&format!("grant select on champs, app.t to {role}"));
    let output = story.refuses_command(
        as_role(&story, &["diff"], &role),
        2,
        &["may not read app.t", "SCHEMA \"app\""],
    );
    story.live.run(&grants(&output));
    Output::from(as_role(&story, &["diff"], &role).output().unwrap()).expect_code(1);
}

#[test]
fn a_role_that_may_not_insert_and_one_that_may_not_make_the_journal() {
    let story = Story::extracted();
    let role = role(&story, "writer");
    story.live.run(&format!("grant select on champs to {role}"));
    let execute = ["restore", "--execute", "--unrehearsed", "a test"];
    for args in [&["restore"][..], &execute] {
        let parts = [
            role.as_str(),
            "lacks INSERT",
            "GRANT SELECT, INSERT ON \"public\".",
            "docs/RIGHTS.md",
        ];
        story.refuses_command(as_role(&story, args, &role), 3, &parts);
    }
    story.live.run(&format!(
        "grant insert on users, dossiers, champs to {role}"
    ));
    // Locking a parent takes a right that looking does not.
    let parts = [
        "GRANT SELECT, UPDATE (\"id\") ON \"public\".\"users\"",
        &role,
    ];
    story.refuses_command(as_role(&story, &["restore"], &role), 3, &parts);
    story
        .live
        .run(&format!("grant update on users, dossiers to {role}"));
    Output::from(as_role(&story, &["restore"], &role).output().unwrap()).ok();
    let database = format!(
        "GRANT CREATE ON DATABASE \"{}\" TO \"{role}\"",
        story.live.name
    );
    let parts = [
        "permission denied for database",
        "creating the journal",
        &database,
    ];
    std::fs::remove_file(story.case.file("plan.json")).unwrap();
    let output = story.refuses_command(as_role(&story, &execute, &role), 2, &parts);
    story.live.run(&grants(&output));
    Output::from(as_role(&story, &execute, &role).output().unwrap()).expect_code(4);
}

#[test]
fn a_journal_that_another_role_made() {
    let story = Story::extracted();
    let role = role(&story, "second");
    story.live.run(&format!(
        "grant select, insert, update on all tables in schema public to {role}"
    ));
    let execute = ["restore", "--execute", "--unrehearsed", "a test"];
    story
        .run([&execute[..], &["--max-units", "1"]].concat())
        .expect_code(4);
    let mut output = None;
    for args in [&["restore"][..], &execute, &["verify"]] {
        let parts = [
            "permission denied for schema reinstate",
            "another role made the journal",
            "GRANT USAGE ON SCHEMA reinstate",
        ];
        let refused: Output = story.refuses_command(as_role(&story, args, &role), 2, &parts);
        output = Some(refused);
    }
    story.live.run(&grants(&output.unwrap()));
    Output::from(as_role(&story, &execute, &role).output().unwrap()).expect_code(4);
}

#[test]
fn row_level_security_is_an_error_and_never_a_difference() {
    let story = Story::extracted();
    let role = role(&story, "tenant");
    story.live.run(&format!(
        "grant select, insert, update on all tables in schema public to {role};
         alter table users enable row level security; create policy p on users using (id > 6)"
    ));
    story.refuses_command(
        as_role(&story, &["diff"], &role),
        2,
        &["row-level security", "users"],
    );
    let parts = ["row-level security", &role, "BYPASSRLS"];
    story.refuses_command(as_role(&story, &["restore"], &role), 3, &parts);
}
