//! `--on-conflict`: what becomes of a row whose key or value live has given to another row, and of all that refers to it.

use super::{Incident, Ledger};
use crate::support::{Output, database, dump};

/// Users with posts, messages between them, seats (whose key refers to a user), badges (no key) and notes (polymorphic).
pub(super) const SETUP: &str = "
create table users (id int primary key, email text, site text default 'a', during int4range);
create table posts (id int primary key, user_id int not null references users on delete cascade, title text);
create table messages (id int primary key, from_id int not null references users on delete cascade, to_id int references users);
create table seats (user_id int references users on delete cascade, room int, primary key (user_id, room));
create table badges (user_id int references users on delete cascade, badge text);
create table notes (id int primary key, about_type text, about_id text, body text);
insert into users select n, 'mail ' || n, 'a', int4range(n * 10, n * 10 + 5) from generate_series(1, 9) n;
insert into posts select n, 1 + n % 9, 'post ' || n from generate_series(1, 18) n;
insert into messages select n, n, 1 + n % 9 from generate_series(1, 9) n;
insert into seats select n, r from generate_series(1, 9) n, generate_series(1, 2) r;
insert into badges select n, 'badge' from generate_series(1, 9) n;
insert into notes select n, 'User', n::text, 'note' from generate_series(1, 9) n;
insert into notes select 100 + n, 'Post', n::text, 'note' from generate_series(1, 18) n;
";

const CONFIG: &str = "
[[relation]]
from = \"notes(about_id)\"
to = \"users(id)\"
when = { about_type = \"User\" }

[[relation]]
from = \"notes(about_id)\"
to = \"posts(id)\"
when = { about_type = \"Post\" }
";

/// Users 1 to 4 are deleted with what they have: 4 users, 8 posts, 5 messages (one from user 9), 8 seats, 4 badges, 12 notes.
const LOSS: &str = "
delete from notes where about_type = 'User' and about_id::int <= 4;
delete from notes where about_type = 'Post' and about_id::int in (select id from posts where user_id <= 4);
delete from messages where to_id <= 4;
delete from users where id <= 4";

/// Rows lost.
pub(super) const LOST: u64 = 4 + 8 + 5 + 8 + 4 + 12;
/// Rows of user 2, and those that refer to one of them: itself, 2 posts, 2 messages, 2 seats, a badge, 3 notes.
pub(super) const OF_TWO: u64 = 11;

/// How user 2 comes to be in conflict.
pub(super) struct Kind {
    name: &'static str,
    /// On live before the loss.
    schema: &'static str,
    /// On live after `extract`.
    taken: &'static str,
    /// The live row in the way.
    holder: &'static str,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "primary",
        schema: "",
        taken: "insert into users values (2, 'new mail')",
        holder: "2",
    },
    Kind {
        name: "unique",
        schema: "alter table users add constraint one unique (email)",
        taken: "insert into users values (102, 'mail 2')",
        holder: "102",
    },
    Kind {
        name: "composite",
        schema: "create unique index one on users (site, email)",
        taken: "insert into users values (102, 'mail 2', 'a'), (103, 'mail 2', 'b')",
        holder: "102",
    },
    Kind {
        name: "deferrable",
        schema: "alter table users add constraint one unique (email) deferrable initially deferred",
        taken: "insert into users values (102, 'mail 2')",
        holder: "102",
    },
    Kind {
        name: "partial",
        schema: "create unique index one on users (email) where site = 'a'",
        taken: "insert into users values (102, 'mail 2', 'a'), (103, 'mail 2', 'b')",
        holder: "102",
    },
    Kind {
        name: "expression",
        schema: "create unique index one on users (lower(email), (coalesce(site, '-')))",
        taken: "insert into users values (102, 'MAIL 2', 'a'), (103, 'mail 2', 'b')",
        holder: "102",
    },
    Kind {
        name: "exclusion",
        schema: "alter table users add constraint one exclude using gist (during with &&) where (id < 500)",
        taken: "insert into users values (102, 'new', 'a', '[22, 23)'), (501, 'new', 'a', '[22, 23)')",
        holder: "102",
    },
    Kind {
        name: "deferrable exclusion",
        schema: "alter table users add constraint one exclude using gist (during with &&) deferrable initially deferred",
        taken: "insert into users values (102, 'new', 'a', '[22, 23)')",
        holder: "102",
    },
];

/// Needs PostgreSQL 15.
const NULLS_NOT_DISTINCT: Kind = Kind {
    name: "nulls not distinct",
    schema: "update users set site = null where id = 2;
             create unique index one on users (email, site) nulls not distinct",
    taken: "insert into users values (102, 'mail 2', null), (103, 'mail 2', 'b')",
    holder: "102",
};

/// Every kind that the server knows.
fn kinds() -> Vec<&'static Kind> {
    let all = KINDS.iter();
    let version = database().count("select current_setting('server_version_num')::int");
    all.chain((version >= 150_000).then_some(&NULLS_NOT_DISTINCT))
        .collect()
}

pub(super) fn incident(kind: &Kind) -> Incident {
    let incident = Incident::new(&format!("{SETUP}; {}", kind.schema), LOSS);
    incident.case.write("reinstate.toml", CONFIG);
    let extracted = incident.extract(&[]);
    assert_eq!(extracted.total("rows"), LOST, "{}", kind.name);
    incident.live.run(kind.taken);
    incident
}

/// Restores, verifies, restores again, undoes, restores: the same counts and rows each time.
#[track_caller]
fn plays(incident: &Incident, policy: &str, inserted: u64, others: &[(&str, u64)]) {
    let start = dump(&incident.live);
    let args = &["--on-conflict", policy];
    let code = if policy == "quarantine" { 4 } else { 0 };
    let with = |state: &'static str, n: u64| [&[(state, n)], others].concat();
    let plan = Ledger::of(&incident.run(&[&["restore"], &args[..]].concat()).ok());
    plan.expect(&with("inserted", inserted));
    let id = plan.get("plan_id").as_str().unwrap().to_owned();
    let done = incident.restore_with(&[&["--plan", &id], &args[..]].concat());
    let done = Ledger::of(&done.expect_code(code));
    done.expect(&with("inserted", inserted));
    assert_eq!(
        done.get("prediction")["held"],
        true,
        "{:#}",
        done.get("prediction")
    );
    let restored = dump(&incident.live);

    let code_of_verify = if policy == "quarantine" { 1 } else { 0 };
    let verified = Ledger::of(&incident.verify(&["--strict"]).expect_code(code_of_verify));
    verified.expect(&with("identical", inserted));

    // The plan is the same for who wants it again, whatever came back.
    let plan = Ledger::of(&incident.run(&[&["restore"], &args[..]].concat()).ok());
    plan.expect(&with("already_present", inserted));
    assert_eq!(plan.get("plan_id"), &serde_json::json!(id));
    let again = Ledger::of(&incident.restore_with(args).expect_code(code));
    again.expect(&with("already_present", inserted));
    assert_eq!(dump(&incident.live), restored, "restored twice");

    let undone = Ledger::of(&incident.undo().ok());
    undone.expect(&[("removed", inserted)]);
    assert_eq!(dump(&incident.live), start, "undone");
    assert_eq!(incident.case.read("resolved.jsonl"), "");
    let back = Ledger::of(&incident.restore_with(args).expect_code(code));
    back.expect(&with("inserted", inserted));
    assert_eq!(dump(&incident.live), restored, "restored after an undo");
}

/// Plans, restores and undoes: what [`plays`] does, for kinds of which another policy has shown the rest.
#[track_caller]
fn plays_briefly(incident: &Incident, policy: &str, inserted: u64, others: &[(&str, u64)]) {
    let start = dump(&incident.live);
    let args = &["--on-conflict", policy];
    let code = if policy == "quarantine" { 4 } else { 0 };
    let expected = [&[("inserted", inserted)], others].concat();
    let plan = Ledger::of(&incident.run(&[&["restore"], &args[..]].concat()).ok());
    plan.expect(&expected);
    Ledger::of(&incident.restore_with(args).expect_code(code)).expect(&expected);
    incident.undo().ok();
    assert_eq!(dump(&incident.live), start, "undone");
    Ledger::of(&incident.restore_with(args).expect_code(code)).expect(&expected);
}

/// What refers to a user, by table.
pub(super) fn refer_to(incident: &Incident, user: &str) -> String {
    incident.live.query_text(&format!(
        "select (select count(*) from posts where user_id = {user}),
                (select count(*) from messages where from_id = {user}) + (select count(*) from messages where to_id = {user}),
                (select count(*) from seats where user_id = {user}), (select count(*) from badges where user_id = {user}),
                (select count(*) from notes where about_type = 'User' and about_id = '{user}')"
    ))
}

pub(super) fn lines(incident: &Incident, file: &str) -> Vec<serde_json::Value> {
    let text = incident.case.read(file);
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn quarantine_leaves_the_unit_out_and_who_depends_on_it() {
    for kind in kinds() {
        let incident = incident(kind);
        // Messages 1 and 2 join users 1, 2 and 3: what is in the units of users 1 or 3 and refers to user 2 follows.
        let left: u64 = {
            let plan = Ledger::of(&incident.run(&["restore"]).ok());
            plan.total("quarantined")
        };
        assert!(left >= OF_TWO, "{}: {left}", kind.name);
        (if kind.name == "unique" {
            plays
        } else {
            plays_briefly
        })(
            &incident,
            "quarantine",
            LOST - left,
            &[("quarantined", left)],
        );
    }
}

#[test]
fn skip_leaves_out_the_row_and_what_hangs_from_it() {
    for kind in kinds() {
        let incident = incident(kind);
        let play = if kind.name == "unique" {
            plays
        } else {
            plays_briefly
        };
        play(&incident, "skip", LOST - OF_TWO, &[("skipped", OF_TWO)]);
        assert_eq!(refer_to(&incident, "2"), "0|0|0|0|0", "{}", kind.name);
        assert_eq!(refer_to(&incident, kind.holder), "0|0|0|0|0");
        let skipped = lines(&incident, "resolved.jsonl");
        assert_eq!(skipped.len() as u64, OF_TWO);
        assert!(skipped.iter().all(|l| l["state"] == "skipped"));
    }
}

#[test]
fn remap_uses_the_live_row_in_its_place() {
    for kind in kinds() {
        let incident = incident(kind);
        let holder = incident
            .live
            .query_text(&format!("select * from users where id = {}", kind.holder));
        plays(&incident, "remap", LOST - 1, &[("remapped", 1)]);
        assert_eq!(
            refer_to(&incident, kind.holder),
            "2|2|2|1|1",
            "{}",
            kind.name
        );
        let now = incident
            .live
            .query_text(&format!("select * from users where id = {}", kind.holder));
        assert_eq!(now, holder, "the live row is as it was");
        let resolved = lines(&incident, "resolved.jsonl");
        let remapped: Vec<_> = resolved
            .iter()
            .filter(|l| l["state"] == "remapped")
            .collect();
        assert_eq!(remapped.len(), 1);
        assert_eq!(remapped[0]["key"], serde_json::json!(["2"]));
        assert_eq!(remapped[0]["live_key"], serde_json::json!([kind.holder]));
        let rewritten = resolved
            .iter()
            .filter(|l| l["state"] == "rewritten")
            .count();
        assert_eq!(rewritten, if kind.holder == "2" { 0 } else { 8 });
    }
}

#[test]
fn both_rows_stand_side_by_side_in_a_file_and_nowhere_else() {
    let incident = incident(&KINDS[1]);
    let plan = incident.run(&["restore", "--on-conflict", "remap"]).ok();
    assert!(!plan.stdout.contains("mail 2"), "{}", plan.stdout);
    assert!(!incident.case.read("plan.json").contains("mail 2"));
    let conflict = &lines(&incident, "conflicts.jsonl")[0];
    for (member, value) in [
        ("outcome", serde_json::json!("remapped")),
        ("constraint", serde_json::json!("one")),
        ("key", serde_json::json!(["2"])),
        ("live_key", serde_json::json!(["102"])),
        ("columns", serde_json::json!(["email"])),
        ("bundle", serde_json::json!(["mail 2"])),
        ("live", serde_json::json!(["mail 2"])),
    ] {
        assert_eq!(conflict[member], value, "{member}: {conflict}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(incident.case.path().join("conflicts.jsonl"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let people = incident
        .for_people(&["restore", "--on-conflict", "remap"])
        .ok();
    assert!(
        people.stdout.contains(
            "public.users 2: one is taken by row 102 of live, which would be used in its place"
        ),
        "{}",
        people.stdout
    );
}

pub(super) fn quarantined_reason(output: &Output, incident: &Incident) -> String {
    assert!(output.stderr.contains("left out"), "{}", output.stderr);
    let left = incident.quarantine();
    left[0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn two_live_rows_in_the_way_are_nobodys_place() {
    let incident = incident(&KINDS[1]);
    incident.live.run("insert into users values (2, 'other')");
    let output = incident
        .restore_with(&["--on-conflict", "remap"])
        .expect_code(4);
    let reason = quarantined_reason(&output, &incident);
    assert!(
        reason.contains("not remapped: rows 102 and 2 of live are both in its way"),
        "{reason}"
    );
}

#[test]
fn a_row_that_conflicts_once_its_reference_is_pointed_elsewhere_is_quarantined() {
    let incident = incident(&KINDS[1]);
    incident.live.run(
        "alter table posts add constraint first_post unique (user_id, title);
         insert into posts values (500, 102, 'post 1')",
    );
    let output = incident
        .restore_with(&["--on-conflict", "remap"])
        .expect_code(4);
    let reason = quarantined_reason(&output, &incident);
    assert!(reason.contains("public.posts 1"), "{reason}");
    assert!(
        reason.contains("not remapped: its own reference"),
        "{reason}"
    );
}

#[test]
fn the_same_row_at_its_new_place_is_there_already() {
    let incident = incident(&KINDS[1]);
    incident.live.run("insert into seats values (102, 1)");
    let done = incident.restore_with(&["--on-conflict", "remap"]).ok();
    Ledger::of(&done).expect(&[
        ("inserted", LOST - 2),
        ("already_present", 1),
        ("remapped", 1),
    ]);
    let verified = Ledger::of(&incident.verify(&["--strict"]).ok());
    verified.expect(&[("identical", LOST - 1), ("remapped", 1)]);
    // The undo leaves what was there.
    incident.undo().ok();
    assert_eq!(refer_to(&incident, "102"), "0|0|1|0|0");
}

/// The server refuses what no look foresaw: the run says wherein it differs from the plan that was agreed upon.
/// A row of live that is to stand in for another is locked, which takes a right.
#[test]
fn rights_to_stand_in_are_asked_beforehand() {
    let incident = incident(&KINDS[1]);
    incident.live.run(
        "create role r_remap login; grant select, insert on all tables in schema public to r_remap;
         grant create on schema public to r_remap",
    );
    let mut command = incident.command(&["restore", "--on-conflict", "remap"]);
    command.env("REINSTATE_LIVE", incident.live.conninfo_as("r_remap"));
    let refused = Output::from(command.output().unwrap()).expect_code(3);
    assert!(
        refused.stderr.contains("GRANT SELECT, UPDATE"),
        "{}",
        refused.stderr
    );
    incident
        .live
        .run("drop owned by r_remap; drop role r_remap");
}
