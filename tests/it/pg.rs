//! Connections against real servers: errors and their hints, password files, settings, cancelling, same database.

mod pooler;
pub(crate) mod server;
mod tls;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reinstate::pg::{Access, Conninfo, Environment, PgError, Session, same_database};
use server::{PASSWORD, Server, free_port};

/// Opens a session with nothing from the environment, and checks that no error gives the password away.
async fn open(text: &str) -> Result<Session, PgError> {
    open_in(text, &Environment::default()).await
}

async fn open_in(text: &str, environment: &Environment) -> Result<Session, PgError> {
    let conninfo = Conninfo::parse(text, environment)?;
    let opened = Session::open(&conninfo, Access::Reading, "test").await;
    if let Err(error) = &opened {
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    opened
}

/// The message, the SQLSTATE and the hint of what must fail.
async fn refusal(text: &str) -> String {
    let error = open(text).await.err().expect(text);
    let (sqlstate, hint) = (error.sqlstate().unwrap_or("-"), error.hint());
    format!("{error}\n{sqlstate}\n{}", hint.unwrap_or_default())
}

fn must_say(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let server = Server::shared();
    let tcp = server.tcp();
    let said = refusal(&format!("{tcp} user=anna password=wrong-s3cr3t")).await;
    must_say(
        &said,
        &[
            "anna",
            "127.0.0.1",
            "28P01",
            "the connection string",
            ".pgpass",
        ],
    );
    let said = refusal(&format!("{tcp} user=anna")).await;
    must_say(&said, &["asks for a password", "PGPASSWORD"]);
    let said = refusal(&format!(
        "{tcp} user=anna password={PASSWORD} dbname=nowhere"
    ))
    .await;
    must_say(&said, &["\"nowhere\" does not exist", "3D000", "psql -l"]);
    let said = refusal(&format!("{} user=nobody_here", server.socket())).await;
    must_say(&said, &["28000", "pg_hba.conf"]);
    let said = refusal(&format!("{tcp} user=outcast password={PASSWORD}")).await;
    must_say(&said, &["28000", "outcast", "pg_hba.conf", "reload"]);
    let said = refusal(&format!("host=127.0.0.1 port={} user=anna", free_port())).await;
    must_say(&said, &["refused", "listen_addresses"]);
    let said = refusal("host=host.invalid user=anna").await;
    must_say(&said, &["cannot be resolved", "spelling"]);
    let said = refusal("host=/nonexistent user=anna").await;
    must_say(
        &said,
        &["no socket for port 5432", "unix_socket_directories"],
    );
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_forever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let started = Instant::now();
    let said = refusal(&format!(
        "host=127.0.0.1 port={port} user=anna connect_timeout=1"
    ))
    .await;
    must_say(&said, &["no answer within 1 s", "connect_timeout"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_password_comes_from_where_libpq_finds_it() {
    let server = Server::shared();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    let line = format!("127.0.0.1:{}:postgres:anna:{PASSWORD}\n", server.port);
    fs::write(&path, line).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!("{} user=anna", server.tcp());

    let with_home = Environment::new([], Some(home.path().to_owned()), None);
    open_in(&text, &with_home).await.unwrap();
    let variable = ("PGPASSWORD".to_owned(), PASSWORD.to_owned());
    open_in(&text, &Environment::new([variable], None, None))
        .await
        .unwrap();

    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(open_in(&text, &with_home).await.is_err());
    assert_eq!(Conninfo::parse(&text, &with_home).unwrap().notes().len(), 1);
}

#[tokio::test]
async fn uris_sockets_and_lists_of_hosts_connect() {
    let server = Server::shared();
    let (port, silent) = (server.port, free_port());
    let socket = server.directory().replace('/', "%2F");
    for text in [
        format!("postgres://anna:{PASSWORD}@127.0.0.1:{port}/postgres"),
        format!("postgres://anna:{PASSWORD}@{socket}:{port}/postgres"),
        format!("postgres://anna:{PASSWORD}@127.0.0.1:{silent},localhost:{port}/postgres"),
        format!(
            "postgres://anna:{PASSWORD}@localhost:{port}/postgres?target_session_attrs=read-write"
        ),
        format!(
            "postgres://anna:{PASSWORD}@localhost:{port}/postgres?target_session_attrs=prefer-standby"
        ),
    ] {
        let session = open(&text).await.unwrap();
        assert_eq!(session.target().port, port);
    }
    let said = refusal(&format!(
        "host=127.0.0.1,localhost port={port},{silent} user=anna password={PASSWORD} dbname=postgres \
         target_session_attrs=standby"
    ))
    .await;
    must_say(&said, &["none of 2 servers", "it is no standby", "refused"]);
}

#[tokio::test]
async fn settings_are_pinned_and_timeouts_set() {
    let server = Server::shared();
    let conninfo = Conninfo::parse(&server.owner(), &Environment::default()).unwrap();
    for (access, read_only, lock) in [
        (Access::Reading, "on", "5s"),
        (Access::Writing, "off", "400ms"),
    ] {
        let session = Session::open(&conninfo, access, "settings").await.unwrap();
        let show = async |name: &str| -> String {
            let sql = "select current_setting($1)";
            session
                .query_one("asking", sql, &[&name])
                .await
                .unwrap()
                .get(0)
        };
        assert_eq!(show("default_transaction_read_only").await, read_only);
        assert_eq!(show("lock_timeout").await, lock);
        assert_eq!(show("TimeZone").await, "UTC");
        assert_eq!(show("search_path").await, "pg_catalog, pg_temp");
        assert_eq!(show("application_name").await, "reinstate settings");
        assert!(session.server_version() >= 140_000);
        let pid = session
            .query_one("asking", "select pg_backend_pid()", &[])
            .await;
        assert_eq!(pid.unwrap().get::<_, i32>(0), session.backend_pid());
        let (lock, statement) = (Duration::from_millis(70), Duration::from_secs(2));
        session.set_timeouts(lock, statement).await.unwrap();
        assert_eq!(show("lock_timeout").await, "70ms");
        assert_eq!(show("statement_timeout").await, "2s");
    }
}

#[tokio::test]
async fn a_statement_can_be_cancelled_from_outside() {
    let server = Server::shared();
    for text in [server.owner(), server.anna("sslmode=require")] {
        let session = open(&text).await.unwrap();
        let token = session.cancel_token();
        let sleeping = session.batch("sleeping", "select pg_sleep(60)");
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel().await.unwrap();
        };
        let (slept, ()) = tokio::join!(sleeping, cancelling);
        assert_eq!(slept.unwrap_err().sqlstate(), Some("57014"));
        session.batch("going on", "select 1").await.unwrap();
    }
}

#[tokio::test]
async fn the_same_database_is_recognised() {
    let server = Server::shared();
    let socket = open(&server.owner()).await.unwrap();
    let tcp = open(&server.anna("")).await.unwrap();
    let other = open(&server.anna("dbname=other")).await.unwrap();
    assert!(same_database(&socket, &tcp).await.unwrap());
    assert!(same_database(&tcp, &socket).await.unwrap());
    assert!(same_database(&tcp, &tcp).await.unwrap());
    assert!(!same_database(&tcp, &other).await.unwrap());
    // Within a transaction, and leaving no lock behind.
    socket.batch("starting", "begin").await.unwrap();
    assert!(!same_database(&socket, &other).await.unwrap());
    assert!(same_database(&socket, &tcp).await.unwrap());
    let pids = [socket.backend_pid(), tcp.backend_pid(), other.backend_pid()];
    let sql = "select count(*) from pg_locks where locktype = 'advisory' and pid = any($1)";
    let held = socket
        .query_one("counting", sql, &[&&pids[..]])
        .await
        .unwrap();
    assert_eq!(held.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_standby_answers_and_is_another_database() {
    let server = Server::shared();
    let standby = server.standby();
    let primary = open(&server.owner()).await.unwrap();
    let one = open(&standby.owner()).await.unwrap();
    let two = open(&standby.owner()).await.unwrap();
    assert!(same_database(&one, &two).await.unwrap());
    assert!(!same_database(&one, &primary).await.unwrap());
    let list = format!(
        "host={},{} port={},{} user=postgres dbname=postgres target_session_attrs=",
        server.directory(),
        standby.directory(),
        server.port,
        standby.port
    );
    for (wish, port) in [
        ("any", server.port),
        ("standby", standby.port),
        ("prefer-standby", standby.port),
        ("read-only", standby.port),
        ("primary", server.port),
    ] {
        let session = open(&format!("{list}{wish}")).await.unwrap();
        assert_eq!(session.target().port, port, "{wish}");
    }
}
