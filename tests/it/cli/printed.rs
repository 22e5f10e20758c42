//! What is printed, word by word: help, plans, outcomes. `tests/it/snapshots` holds it; `cargo insta review`, or
//! `INSTA_UPDATE=always`, accepts a change.

use super::normal::normal;
use super::story::Story;
use crate::support::reinstate;

/// Compares with `tests/it/snapshots/<name>.snap`; never accepts anything by itself.
macro_rules! printed {
    ($name:expr, $text:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true
        }, { insta::assert_snapshot!($name, $text) })
    };
}

#[test]
fn help() {
    for verb in [
        "",
        "doctor",
        "hold",
        "unhold",
        "init",
        "diff",
        "timeline",
        "extract",
        "contacts",
        "restore",
        "verify",
        "blobs check",
        "blobs copy",
        "flag",
        "unflag",
    ] {
        let output = match verb {
            "" => reinstate(["--help"]),
            verb => reinstate(verb.split(' ').chain(["--help"])),
        }
        .ok();
        assert_eq!(output.stderr, "");
        let wide = output
            .stdout
            .lines()
            .find(|line| line.chars().count() > 100);
        assert_eq!(wide, None);
        let name = format!("help {verb}");
        printed!(name.trim().replace(' ', "_"), output.stdout);
    }
}

/// Findings without those about a server that other tests keep busy, and without numbers.
fn steady(page: &str) -> String {
    let busy = ["pg_wal holds", "deleted", "dead rows", "standbys", "slots"];
    let mut kept = Vec::new();
    let mut skipping = false;
    for line in page.lines() {
        let begins = !line.starts_with("    ");
        if begins {
            skipping = busy.iter().any(|b| line.contains(b)) && !line.contains("foreign keys");
        }
        if !skipping {
            kept.push(line.to_owned());
        }
    }
    let mut out = String::new();
    for c in kept.join("\n").replace("‹version› MB", "9 MB").chars() {
        match c {
            c if c.is_ascii_digit() && out.ends_with('9') => {}
            c if c.is_ascii_digit() => out.push('9'),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn one_case_from_diff_to_verify() {
    let story = Story::begin();
    let text = |args: &[&str], code: i32| {
        let output = story.run(args).expect_code(code);
        let both = format!("{}---- stderr ----\n{}", output.stdout, output.stderr);
        normal(&both, &story)
    };
    let json = |args: &[&str], code: i32| {
        let output = story.run(args).expect_code(code);
        output.json();
        normal(&output.stdout, &story)
    };
    printed!("doctor", steady(&text(&["doctor"], 0)));
    printed!("diff", text(&["diff"], 1));
    printed!("diff_json", json(&["diff", "--format", "json"], 1));
    printed!("extract", text(&["extract"], 0));
    let owners = "select 'dossiers' as owner_table, d.id as owner_key, u.email as contact
                    from dossiers d join users u on u.id = d.user_id where d.id <> 7";
    let config = format!("[[contacts]]\nsql = \"\"\"{owners}\"\"\"\n");
    story.case.write("reinstate.toml", &config);
    printed!("contacts", text(&["contacts"], 0));
    // A parent that the bundle needs and does not have.
    story
        .live
        .run("update dossiers set user_id = 6 where user_id = 5; delete from users where id = 5");
    let plan = text(&["restore"], 0);
    let wide = plan
        .lines()
        .find(|line| line.starts_with("public.") && line.chars().count() > 100);
    assert_eq!(wide, None, "too wide for a terminal");
    printed!("plan", plan);
    printed!("plan_json", json(&["restore", "--format", "json"], 0));
    let execute = ["restore", "--execute", "--unrehearsed", "a test"];
    printed!("restore", text(&execute, 4));
    printed!("plan_again", text(&["restore"], 0));
    printed!("verify", text(&["verify"], 1));
    let certificate = json(&["verify", "--format", "json"], 1);
    printed!("verify_json", certificate);
    let quarantine = normal(&story.case.read("quarantine.jsonl"), &story);
    printed!("quarantine_jsonl", quarantine);
}
