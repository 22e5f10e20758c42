//! PgBouncer in each of its modes: what must be refused, and what must pass.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reinstate::pg::{Access, Conninfo, Environment, PgError, Session};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::server::{Server, command, free_port, give, scratch};

/// A running pooler in front of the shared server; ends when dropped.
struct Pooler {
    port: u16,
    process: Child,
    _server: Arc<Server>,
    _directory: TempDir,
}

impl Pooler {
    async fn start(settings: &str) -> Self {
        let (server, directory, port) = (Server::shared(), scratch(), free_port());
        let ini = directory.path().join("pgbouncer.ini");
        let content = format!(
            "[databases]\npostgres = host={} port={} user=postgres\n[pgbouncer]\nauth_type = any\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nlogfile = log\n{settings}\n",
            server.directory(),
            server.port
        );
        fs::write(&ini, content).unwrap();
        give(&ini);
        let mut pgbouncer = command(directory.path(), "pgbouncer");
        let process = pgbouncer
            .arg("-q")
            .arg(&ini)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self {
            port,
            process,
            _server: server,
            _directory: directory,
        };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return pooler;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the pooler does not listen");
    }

    fn text(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user=anna dbname=postgres",
            self.port
        )
    }

    async fn open(&self, access: Access) -> Result<Session, PgError> {
        let conninfo = Conninfo::parse(&self.text(), &Environment::default()).unwrap();
        Session::open(&conninfo, access, "test").await
    }

    /// A connection of the application, which knows nothing of us.
    async fn application(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.text(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn must_refuse(pooler: &Pooler) {
    for access in [Access::Reading, Access::Writing] {
        let error = pooler
            .open(access)
            .await
            .err()
            .expect("a pooler was not noticed");
        assert!(matches!(error, PgError::Pooler { .. }), "{error}");
        let hint = error.hint();
        assert!(
            hint.is_some_and(|hint| hint.contains("directly")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn transaction_mode_is_refused_and_nothing_leaks() {
    for more in ["", "server_round_robin = 1", "default_pool_size = 1"] {
        let pooler = Pooler::start(&format!("pool_mode = transaction\n{more}")).await;
        must_refuse(&pooler).await;
        let application = pooler.application().await;
        let answer = application
            .simple_query("show default_transaction_read_only")
            .await
            .unwrap();
        let shown = answer.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(shown, Some("off"));
    }
}

#[tokio::test]
async fn a_busy_pool_in_transaction_mode_is_refused() {
    let pooler = Pooler::start("pool_mode = transaction\ndefault_pool_size = 4").await;
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let application = pooler.application().await;
        busy.spawn(async move {
            loop {
                let _ = application.simple_query("select pg_sleep(0.005)").await;
            }
        });
    }
    must_refuse(&pooler).await;
}

#[tokio::test]
async fn statement_mode_is_refused() {
    let pooler = Pooler::start("pool_mode = statement").await;
    let error = pooler.open(Access::Reading).await.err().unwrap();
    assert!(
        error.to_string().contains("statement pooling mode"),
        "{error}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("directly")));
}

#[tokio::test]
async fn session_mode_passes() {
    for more in ["", "server_round_robin = 1", "default_pool_size = 1"] {
        let pooler = Pooler::start(&format!("pool_mode = session\n{more}")).await;
        let session = pooler.open(Access::Writing).await.unwrap();
        let row = session
            .query_one("asking", "select $1::int4", &[&7])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
    }
}
