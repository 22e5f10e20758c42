//! A session of the application at work: it plays its script.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::causes::Refusal;
use super::memory::Memory;
use super::script::{CLAIM, Deed, LATER, Step};
use super::stage::{Span, Stage};
use super::statements::{sleeps, statements};

/// Statements that take no longer than this have not waited for anybody.
const SHORT: Duration = Duration::from_millis(100);

/// Plays a script to its end.
pub(super) fn play(stage: &Stage, session: u64, steps: Vec<Step>) -> Memory {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config: Config = stage.conninfo.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let wire = tokio::spawn(connection);
        // The sessions hold nothing for longer than about a second: whoever waits longer than this waits for a restore or an undo.
        client
            .batch_execute("set lock_timeout = '6s'; set application_name = 'application'")
            .await
            .unwrap();
        let memory = Memory::default();
        let mut player = Player {
            client,
            session,
            stage,
            memory,
        };
        for (n, step) in (0..).zip(steps) {
            let early = |n| (n >= LATER && !stage.begun()) || (n >= CLAIM && !stage.arrived());
            while early(n) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(step.pause)).await;
            player.act(&step.deed, 1 + n.cast_signed()).await;
        }
        drop(player.client);
        wire.await.unwrap().unwrap();
        player.memory
    })
}

pub(super) struct Player<'s> {
    client: Client,
    session: u64,
    pub(super) stage: &'s Stage,
    pub(super) memory: Memory,
}

impl Player<'_> {
    async fn act(&mut self, deed: &Deed, n: i64) {
        let from = Instant::now();
        let mut answers = Vec::new();
        for sql in statements(deed, self.session, n) {
            match self.timed(&sql).await {
                Ok(more) => answers.extend(more),
                Err(error) => {
                    self.client.simple_query("rollback").await.unwrap();
                    let refusal = Refusal::new(&sql, answers, &error, from);
                    self.refused(deed, refusal).await;
                    return;
                }
            }
        }
        if let Deed::Delete { dossier } = deed {
            self.memory.deletions.push((*dossier, Span::since(from)));
        }
        self.memory.commit(deed, n, &answers, self.stage);
    }

    /// One statement; how long it took is remembered where somebody could have had to do with it.
    async fn timed(&mut self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let from = Instant::now();
        let answer = self.ask(sql).await;
        let span = Span::since(from);
        if sleeps(sql) {
            self.memory.holds.push(span);
        } else if from.elapsed() > SHORT {
            self.memory.long.push((span, sql.to_owned()));
        }
        answer
    }

    /// The first column of what a statement returns.
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let value = |m: &SimpleQueryMessage| match m {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        let messages = self.client.simple_query(sql).await?;
        Ok(messages.iter().filter_map(value).collect())
    }
}
