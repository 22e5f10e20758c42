//! The statements of a deed. What they return says what was done, for [`Memory`](super::memory::Memory): a letter, a number, and what
//! else there is to know, with colons between.

use super::script::{Deed, Touch};

/// A dossier that was written to, with its title.
const WRITTEN: &str = "'d:' || id || ':' || title";

/// Of a session, with the number that it writes.
pub(super) fn statements(deed: &Deed, session: u64, n: i64) -> Vec<String> {
    let set = format!("set v{session} = {n}");
    match deed {
        Deed::Edit {
            users,
            dossiers,
            hold,
        } => {
            let users = users.iter().map(|id| {
                format!("update users {set} where id = {id} returning 'u:' || id")
            });
            let dossiers = dossiers.iter().map(|id| {
                format!("update dossiers {set} where id = {id} returning {WRITTEN}")
            });
            whole("", users.chain(dossiers).chain([sleep(*hold)]))
        }
        Deed::AddChamp { dossier, id } => vec![
            format!("select 'b:' || id || ':' || title from dossiers where id = {dossier}"),
            format!(
                "insert into champs (id, dossier_id, no, value) values ({id}, {dossier}, {id}, 'application')
                 returning 'h:' || id || ':' || dossier_id || ':' || coalesce((select title from dossiers d where d.id = champs.dossier_id), 'dossier')"
            ),
        ],
        Deed::Delete { dossier } => vec![format!(
            "delete from dossiers where id = {dossier} returning 'x:' || id || ':' || title"
        )],
        Deed::Recreate { dossier } => {
            vec![format!("{} returning 'c:' || id", create(session, *dossier, 1))]
        }
        Deed::Upsert { dossier, write } => {
            let conflict = otherwise("id", &set, *write);
            vec![format!(
                "{} {conflict} returning case when title like 'recreated%' then 'c:' || id else {WRITTEN} end",
                create(session, *dossier, 1)
            )]
        }
        Deed::TakeEmail { of, id } => vec![format!("{} returning 'p:' || id", person(*of, *id))],
        Deed::UpsertEmail { of, id, write } => {
            let conflict = otherwise("email", &set, *write);
            vec![format!(
                "{} {conflict} returning case id when {id} then 'p:' || id else {WRITTEN} end",
                person(*of, *id)
            )]
        }
        Deed::LockParent {
            user,
            strength,
            hold,
        } => {
            let mut all = vec![lock_user(*user, strength), sleep(*hold)];
            // Of two who share a row, none could write to it without the other's leave.
            if *strength != "share" {
                all.push(format!("update users {set} where id = {user} returning 'u:' || id"));
            }
            whole("", all)
        }
        Deed::LockRows {
            dossiers,
            strength,
            hold,
        } => {
            let lock = |id: &u64| {
                format!("select 'l:' || id || ':' || title from dossiers where id = {id} for {strength}")
            };
            whole("", dossiers.iter().map(lock).chain([sleep(*hold)]))
        }
        Deed::LockAndClaim {
            user,
            dossier,
            hold,
        } => {
            let claim = format!("{} returning 'c:' || id", create(session, *dossier, *user));
            whole("", [lock_user(*user, "update"), sleep(*hold), claim])
        }
        Deed::ClaimAndLock {
            user,
            dossier,
            hold,
        } => {
            let claim = format!("{} returning 'c:' || id", create(session, *dossier, *user));
            whole("", [claim, sleep(*hold), lock_user(*user, "update")])
        }
        Deed::Wild { touches, hold } => {
            let pause = hold / touches.len() as u64;
            let touch = |touch: &Touch| match touch {
                Touch::LockUser(id) => lock_user(*id, "update"),
                Touch::EditUser(id) => {
                    format!("update users {set} where id = {id} returning 'u:' || id")
                }
                Touch::EditChamp(id) => format!(
                    "update champs set value = 'wild {n}' where id = {id} returning 'w:' || id || ':' || dossier_id"
                ),
            };
            whole("", touches.iter().flat_map(|t| [touch(t), sleep(pause)]))
        }
        Deed::Point { note, dossier } => whole(
            "",
            [
                // First the dossier: who deletes it comes from there to the note.
                format!("select 'b:' || id || ':' || title from dossiers where id = {dossier} for key share"),
                format!(
                    "update notes set dossier_id = {dossier}, text = 'application' where id = {note} returning 'n:' || id || ':' || dossier_id"
                ),
            ],
        ),
        Deed::Serial { dossier, hold } => whole(
            " isolation level repeatable read",
            [
                format!("select 's:' || xmin from dossiers where id = {dossier}"),
                sleep(*hold),
                format!("update dossiers {set} where id = {dossier} returning {WRITTEN}"),
            ],
        ),
        Deed::Queue => whole(
            "",
            ["select id from users order by id limit 1 for update skip locked".to_owned()],
        ),
        Deed::LockTable { hold } => whole(
            "",
            ["lock table champs in share mode".to_owned(), sleep(*hold)],
        ),
    }
}

fn whole(how: &str, statements: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all = vec![format!("begin{how}")];
    all.extend(statements);
    all.push("commit".to_owned());
    all
}

/// What the application holds, it holds for so long.
const SLEEP: &str = "select pg_sleep(";

fn sleep(milliseconds: u64) -> String {
    format!("{SLEEP}{milliseconds} / 1000.0)")
}

/// Whether a statement is the application's own hesitation.
pub(super) fn sleeps(sql: &str) -> bool {
    sql.starts_with(SLEEP)
}

fn lock_user(user: u64, strength: &str) -> String {
    format!("select 'k:' || id from users where id = {user} for {strength}")
}

fn create(session: u64, dossier: u64, user: u64) -> String {
    format!(
        "insert into dossiers (id, user_id, title) values ({dossier}, {user}, 'recreated by {session}')"
    )
}

fn person(of: u64, id: u64) -> String {
    format!("insert into dossiers (id, user_id, title, email) values ({id}, 1, 'new', 'mail {of}')")
}

fn otherwise(column: &str, set: &str, write: bool) -> String {
    match write {
        true => format!("on conflict ({column}) do update {set}"),
        false => format!("on conflict ({column}) do nothing"),
    }
}
