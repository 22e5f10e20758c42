//! A session of the application at work: it plays its script, and remembers what it has committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::script::{Deed, Step};

/// What a session has committed, and what it was refused.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By dossier and by user: the last number written to this session's own column.
    pub(super) dossiers: BTreeMap<u64, i64>,
    pub(super) users: BTreeMap<u64, i64>,
    /// Champs added: id, dossier.
    pub(super) champs: BTreeMap<u64, u64>,
    /// Dossiers that it created under a key of before and has not deleted since.
    pub(super) created: BTreeSet<u64>,
    /// Dossiers that it deleted, though they had come back.
    pub(super) deleted: BTreeSet<u64>,
    /// Dossiers that it touched in either way.
    pub(super) replaced: BTreeSet<u64>,
    /// People that were given an e-mail.
    pub(super) people: BTreeSet<u64>,
    /// Refusals that nobody promised: what was done, and the server's words.
    pub(super) surprises: Vec<String>,
}

/// Plays a script to its end.
pub(super) fn play(conninfo: &str, session: u64, steps: Vec<Step>, undoing: bool) -> Memory {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config: Config = conninfo.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let wire = tokio::spawn(connection);
        // The sessions hold nothing for longer than about a second: whoever waits longer than this waits for a restore or an undo.
        client
            .batch_execute("set lock_timeout = '6s'; set application_name = 'application'")
            .await
            .unwrap();
        let mut player = Player {
            client,
            session,
            undoing,
            memory: Memory::default(),
            next: 0,
        };
        for step in steps {
            tokio::time::sleep(Duration::from_millis(step.pause)).await;
            player.act(&step.deed).await;
        }
        drop(player.client);
        wire.await.unwrap().unwrap();
        player.memory
    })
}

struct Player {
    client: Client,
    session: u64,
    /// An undo may be at work.
    undoing: bool,
    memory: Memory,
    next: i64,
}

impl Player {
    async fn act(&mut self, deed: &Deed) {
        self.next += 1;
        let (n, column) = (self.next, format!("v{}", self.session));
        match deed {
            Deed::Edit {
                users,
                dossiers,
                hold,
            } => {
                let mut statements = vec!["begin".to_owned()];
                let write = |table: &str, id: &u64| {
                    format!("update {table} set {column} = {n} where id = {id} returning id")
                };
                statements.extend(users.iter().map(|id| write("users", id)));
                statements.extend(dossiers.iter().map(|id| write("dossiers", id)));
                statements.push(format!("select pg_sleep({hold} / 1000.0)"));
                statements.push("commit".to_owned());
                if let Some(answers) = self.say(deed, &statements, &[]).await {
                    let users = &answers[1..=users.len()];
                    for id in users.iter().flatten() {
                        self.memory.users.insert(id.parse().unwrap(), n);
                    }
                    for id in answers[1 + users.len()..answers.len() - 2].iter().flatten() {
                        self.memory.dossiers.insert(id.parse().unwrap(), n);
                    }
                }
            }
            Deed::AddChamp { dossier, id } => {
                let sql = format!(
                    "insert into champs (id, dossier_id, no, value) values ({id}, {dossier}, {id}, 'application')"
                );
                // The dossier is not there, or an undo is removing it.
                if self.say(deed, &[sql], &["23503"]).await.is_some() {
                    self.memory.champs.insert(*id, *dossier);
                }
            }
            Deed::Delete { dossier } => {
                let sql = format!("delete from dossiers where id = {dossier} returning title");
                if let Some(answers) = self.say(deed, &[sql], &[]).await {
                    for title in &answers[0] {
                        self.memory.replaced.insert(*dossier);
                        self.memory.created.remove(dossier);
                        if title.starts_with("dossier") {
                            self.memory.deleted.insert(*dossier);
                        }
                    }
                }
            }
            Deed::Recreate { dossier } => {
                let sql = format!(
                    "insert into dossiers (id, user_id, title) values ({dossier}, 1, 'recreated by {}')",
                    self.session
                );
                if self.say(deed, &[sql], &["23505"]).await.is_some() {
                    self.memory.replaced.insert(*dossier);
                    self.memory.created.insert(*dossier);
                    self.memory.deleted.remove(dossier);
                }
            }
            Deed::LockAndClaim {
                user,
                dossier,
                hold,
            } => {
                let statements = [
                    "begin".to_owned(),
                    format!("select id from users where id = {user} for update"),
                    format!("select pg_sleep({hold} / 1000.0)"),
                    format!(
                        "insert into dossiers (id, user_id, title) values ({dossier}, {user}, 'recreated by {}')",
                        self.session
                    ),
                    "commit".to_owned(),
                ];
                if self.say(deed, &statements, &["23505"]).await.is_some() {
                    self.memory.replaced.insert(*dossier);
                    self.memory.created.insert(*dossier);
                    self.memory.deleted.remove(dossier);
                }
            }
            Deed::TakeEmail { of, id } => {
                let sql = format!(
                    "insert into dossiers (id, user_id, title, email) values ({id}, 1, 'new', 'mail {of}')"
                );
                if self.say(deed, &[sql], &["23505"]).await.is_some() {
                    self.memory.people.insert(*id);
                }
            }
            Deed::LockParent { user, hold } => {
                let statements = [
                    "begin".to_owned(),
                    format!("select id from users where id = {user} for update"),
                    format!("select pg_sleep({hold} / 1000.0)"),
                    format!("update users set {column} = {n} where id = {user} returning id"),
                    "commit".to_owned(),
                ];
                if self.say(deed, &statements, &[]).await.is_some() {
                    self.memory.users.insert(*user, n);
                }
            }
            Deed::Serial { dossier, hold } => {
                let statements = [
                    "begin isolation level repeatable read".to_owned(),
                    "select count(*) from dossiers".to_owned(),
                    format!("select pg_sleep({hold} / 1000.0)"),
                    format!("update dossiers set {column} = {n} where id = {dossier} returning id"),
                    "commit".to_owned(),
                ];
                if let Some(answers) = self.say(deed, &statements, &["40001"]).await
                    && !answers[3].is_empty()
                {
                    self.memory.dossiers.insert(*dossier, n);
                }
            }
            Deed::Queue => {
                let statements = [
                    "begin".to_owned(),
                    "select id from users order by id limit 1 for update skip locked".to_owned(),
                    "commit".to_owned(),
                ];
                self.say(deed, &statements, &[]).await;
            }
            Deed::LockTable { hold } => {
                let statements = [
                    "begin".to_owned(),
                    "lock table champs in share mode".to_owned(),
                    format!("select pg_sleep({hold} / 1000.0)"),
                    "commit".to_owned(),
                ];
                self.say(deed, &statements, &[]).await;
            }
        }
    }

    /// Runs statements; the first column of what each returned, or none where one was refused as it may be.
    async fn say(
        &mut self,
        deed: &Deed,
        statements: &[String],
        promised: &[&str],
    ) -> Option<Vec<Vec<String>>> {
        let mut answers = Vec::new();
        for sql in statements {
            match self.client.simple_query(sql).await {
                Ok(messages) => {
                    let value = |m: &SimpleQueryMessage| match m {
                        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                        _ => None,
                    };
                    answers.push(messages.iter().filter_map(value).collect());
                }
                Err(error) => {
                    let code = error.code().map(|c| c.code().to_owned());
                    let code = code.unwrap_or_default();
                    if !promised.contains(&code.as_str()) {
                        let undoing = self.undoing;
                        let surprise = format!("{deed:?} ({sql}; undo: {undoing}): {error:?}");
                        self.memory.surprises.push(surprise);
                    }
                    self.client.simple_query("rollback").await.unwrap();
                    return None;
                }
            }
        }
        Some(answers)
    }
}
