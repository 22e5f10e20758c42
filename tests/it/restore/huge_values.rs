//! Values of 100 MB: they go through every command and are compared byte by byte, and no command needs more than a few times their size.
//! `fixtures/wide_rows` plays values of megabytes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Incident, Ledger};
use crate::support::{Output, long};

/// Bytes of a value. A bytea's text is twice as long.
const SIZE: u64 = 100_000_000;
/// What a command may take: the text of one, its line among others, and the message that carries it.
const MOST: u64 = 1_000_000_000;

/// Runs a command, and watches the most memory that it has had.
fn watched(mut command: Command) -> (Output, u64) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(5));
    }
    (child.wait_with_output().unwrap().into(), most)
}

#[test]
fn of_100_megabytes() {
    if !long() {
        return;
    }
    let incident = Incident::new(
        &format!(
            "create table files (id int primary key, name text, content bytea, body text);
             alter table files alter content set storage external, alter body set storage external;
             create table parts (file_id int not null references files on delete cascade, note text);
             insert into files select n, 'small ' || n, 'x', 'y' from generate_series(1, 5) n;
             update files set content = decode(repeat('00ff5c0a0d01', {SIZE} / 6), 'hex') where id = 2;
             update files set body = repeat(E'\\\\\\t\\n\\x01x', {SIZE} / 5) where id = 3;
             insert into parts select n, 'note' from generate_series(1, 5) n"
        ),
        "delete from files where id in (2, 3, 4)",
    )
    .with(&["--max-unit-time", "10min"]);
    let content = "select string_agg(id || ' ' || length(content) || md5(content) || length(body) || md5(body), E'\\n' order by id) from files";
    let before = incident.snapshot.query_text(content);
    let after_loss = incident.live.query_text(content);
    let run = |command: Command, rows: &[(&str, u64)]| {
        let named = format!("{command:?}");
        let (output, most) = watched(command);
        Ledger::of(&output.ok()).expect(rows);
        assert!((1..MOST).contains(&most), "{most} bytes: {named}");
    };
    run(incident.command(&["extract"]), &[("rows", 6), ("units", 3)]);
    run(incident.command(&["restore"]), &[("inserted", 6)]);
    run(incident.restore_command(&[]), &[("inserted", 6)]);
    assert_eq!(incident.live.query_text(content), before);
    run(
        incident.command(&["verify", "--strict"]),
        &[("identical", 6)],
    );
    run(incident.undo_command(&["--last"]), &[("removed", 6)]);
    assert_eq!(incident.live.query_text(content), after_loss);
    run(incident.restore_command(&[]), &[("inserted", 6)]);
    assert_eq!(incident.live.query_text(content), before);
}
