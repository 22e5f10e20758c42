//! Somebody who only looks: when the first batch is committed, and who waits for whom.

use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use super::stage::Stage;
use super::tally::Tally;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(15);
/// How long a statement of ours may be seen waiting for a row or a table: `lock_timeout`, and what a busy machine adds.
const BOUND: f64 = 1.5;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) met: Tally,
    /// What must not be.
    pub(super) surprises: Vec<String>,
}

/// Looks until the act is over.
pub(super) fn watch(stage: &Stage) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config: Config = stage.conninfo.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let wire = tokio::spawn(connection);
        let mut seen = Seen::default();
        let before = batches(&client).await;
        while !stage.over() {
            if !stage.arrived() && arrived(&client).await {
                stage.arrive();
            }
            if !stage.begun() && batches(&client).await > before {
                stage.begin();
            }
            look(&client, &mut seen).await;
            tokio::time::sleep(PAUSE).await;
        }
        drop(client);
        wire.await.unwrap().unwrap();
        seen
    })
}

/// Whether the command is connected.
async fn arrived(client: &Client) -> bool {
    let sql = "select exists (select from pg_stat_activity
                               where datname = current_database() and application_name like 'reinstate %')";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Batches that the journal has, if there is one yet.
async fn batches(client: &Client) -> i64 {
    let journal = "select to_regclass('reinstate.batch') is not null";
    if !client
        .query_one(journal, &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {
        return 0;
    }
    let sql = "select count(*) from reinstate.batch";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn look(client: &Client, seen: &mut Seen) {
    let sql = "select a.application_name, a.wait_event, a.query, extract(epoch from clock_timestamp() - a.query_start)::float8,
                      b.application_name
                 from pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) p join pg_stat_activity b on b.pid = p
                where a.datname = current_database() and a.wait_event_type = 'Lock'";
    for row in client.query(sql, &[]).await.unwrap() {
        let text = |n| row.get::<_, Option<String>>(n).unwrap_or_default();
        let (who, event, query, behind) = (text(0), text(1), text(2), text(4));
        let since: f64 = row.get::<_, Option<f64>>(3).unwrap_or_default();
        let ours = |name: &str| name.starts_with("reinstate ");
        match (ours(&who), ours(&behind)) {
            (true, false) => seen.met.met("we waited for the application"),
            (false, true) => seen.met.met("application waited for us"),
            _ => continue,
        }
        // Who looks for a row, or locks one, passes over those that are held.
        let passes = query.trim_start().starts_with("select");
        let row_held = ["tuple", "transactionid"].contains(&event.as_str());
        if ours(&who) && ((passes && row_held) || since > BOUND) {
            seen.surprises.push(format!(
                "{who} waits for {behind} ({event}) for {since} s: {query}"
            ));
        }
    }
}
