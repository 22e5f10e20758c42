//! The bundle's own `RESTORE.txt`, with psql and zstd alone.

use std::process::{Command, Output};

use super::{Incident, Ledger};
use crate::support::{cluster, dump};

/// Runs its second step.
pub(super) fn by_hand(incident: &Incident) -> Output {
    pasted(
        incident,
        "sed -n '/^psql .*END_OF_BUNDLE/,/^END_OF_BUNDLE/p' RESTORE.txt | sh",
    )
}

/// Runs a script in the bundle's directory, where the environment leads to live.
fn pasted(incident: &Incident, script: &str) -> Output {
    let psql = cluster().programs().require("psql").unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", psql.parent().unwrap().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("PATH", path);
    shell
        .current_dir(incident.case.file("bundle"))
        .env("PGHOST", cluster().socket_directory())
        .env("PGPORT", cluster().port().to_string())
        .env("PGDATABASE", &incident.live.name)
        .env("PGUSER", "postgres");
    shell.output().unwrap()
}

/// It names the columns that live had beside the bundle's when it was written, and how they get a value.
#[test]
fn columns_that_must_be_filled() {
    let incident = Incident::new(
        "create table posts (id int primary key, title text);
         create table notes (id int primary key, post_id int not null references posts on delete cascade);
         insert into posts select n, 'title ' || n from generate_series(1, 10) n;
         insert into notes select n, 1 + n % 10 from generate_series(1, 20) n",
        "alter table posts add kind varchar(9) not null default 'standard', add flagged boolean not null default false,
                           add extra text, add n int generated always as identity;
         alter table posts alter kind drop default; delete from posts where id <= 3",
    );
    incident.extract(&[]);
    let text = incident.case.read("bundle/RESTORE.txt");
    let named: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("alter table"))
        .collect();
    let column = "alter table \"public\".\"posts\" alter column \"kind\"";
    let set = format!("{column} set default 'VALUE';  -- character varying(9)");
    let dropped = format!("{column} drop default;");
    assert_eq!(named, [set, dropped], "{text}");

    let output = by_hand(&incident);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("null value in column \"kind\""),
        "{complaint}"
    );
    assert_eq!(dump(&incident.live), incident.after_loss);
    let psql = "psql -X -v ON_ERROR_STOP=1";
    let given =
        format!("grep '^alter .* set default' RESTORE.txt | sed s/VALUE/standard/ | {psql}");
    assert!(pasted(&incident, &given).status.success());
    assert!(by_hand(&incident).status.success());
    assert!(
        pasted(
            &incident,
            &format!("grep '^alter .* drop default' RESTORE.txt | {psql}")
        )
        .status
        .success()
    );
    let back = "select count(*), count(distinct kind), count(distinct n) from posts";
    assert_eq!(incident.live.query_text(back), "10|1|10");
    assert_eq!(incident.live.count("select count(*) from notes"), 20);
    let fill = "[[fill]]\ntable = 'posts'\ncolumn = 'kind'\nvalue = 'standard'\n";
    incident.case.write("reinstate.toml", fill);
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", 9)]);
}

/// Columns that live dropped or computes by now stay in their file; everything else comes back as the tool brings it.
#[test]
fn columns_that_are_left_out() {
    let incident = Incident::new(
        "create table posts (id int primary key, old text, title text, slug text, size int);
         create table notes (id int primary key, post_id int not null references posts on delete cascade);
         insert into posts select n, 'old ' || n, 'Title ' || n, 'slug', n from generate_series(1, 10) n;
         insert into notes select n, 1 + n % 10 from generate_series(1, 20) n",
        "alter table posts drop old, drop slug;
         alter table posts add slug text generated always as (lower(title)) stored; delete from posts where id <= 3",
    );
    incident.extract(&[]);
    let text = incident.case.read("bundle/RESTORE.txt");
    for column in ["old", "slug"] {
        let line = format!("\n\"public\".\"posts\", column \"{column}\"\n");
        assert!(text.contains(&line), "{text}");
    }
    let output = by_hand(&incident);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let back = "select string_agg(concat_ws('/', title, slug, size), ' ' order by id) from posts where id <= 2";
    assert_eq!(
        incident.live.query_text(back),
        "Title 1/title 1/1 Title 2/title 2/2"
    );
    Ledger::of(&incident.restore().ok()).expect(&[("already_present", 9)]);
}
