//! Fresh databases, and copies of them made the two ways in which backups are made.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use reinstate::cluster::Cluster;
use reinstate::pg::{Access, Conninfo, Environment, Session};

use super::cluster;

/// One database, dropped with this value.
pub(crate) struct TestDb {
    /// Its name, unique in the server.
    pub(crate) name: String,
    server: &'static Cluster,
}

impl TestDb {
    /// A name that is not taken; the database does not exist yet.
    fn unused() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("test_{number}"),
            server: cluster(),
        }
    }

    /// A database that exists already, on a server of the test's own (leaked: its keeper stops it at the end).
    pub(crate) fn of(server: &'static Cluster, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            server,
        }
    }

    /// Connection string over the Unix socket, as a superuser.
    pub(crate) fn conninfo(&self) -> String {
        self.server.conninfo(&self.name)
    }

    /// The same over TCP.
    pub(crate) fn tcp_conninfo(&self) -> String {
        self.server.tcp_conninfo(&self.name)
    }

    /// Connection string as another role (create it first, with a unique name: roles belong to the whole server).
    pub(crate) fn conninfo_as(&self, role: &str) -> String {
        self.conninfo()
            .replace(" user=postgres", &format!(" user={role}"))
    }

    /// Runs statements through psql, not in one transaction; panics at the first error.
    pub(crate) fn run(&self, sql: &str) {
        finish(psql(self.server, &self.name), sql);
    }

    /// Runs statements that are expected to fail, and gives psql's complaint.
    pub(crate) fn run_failing(&self, sql: &str) -> String {
        let (success, _, complaint) = feed(psql(self.server, &self.name), sql);
        assert!(!success, "expected to fail, but succeeded: {sql}");
        complaint
    }

    /// Runs statements and gives what they return: a line for each row, `|` between columns, NULL as nothing.
    pub(crate) fn query_text(&self, sql: &str) -> String {
        finish(psql(self.server, &self.name), sql)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Runs a query that gives one number.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        let text = self.query_text(sql);
        text.parse()
            .unwrap_or_else(|_| panic!("{text:?} is no number: {sql}"))
    }

    /// Starts psql with statements and does not wait: an application that works while the test does something else.
    pub(crate) fn spawn(&self, sql: &str) -> Child {
        let mut command = psql(self.server, &self.name);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("psql starts");
        let mut input = child.stdin.take().expect("psql has a stdin");
        input.write_all(sql.as_bytes()).expect("psql reads");
        child
    }

    /// A session of the program's own.
    pub(crate) async fn session(&self, access: Access) -> Session {
        let conninfo = Conninfo::parse(&self.conninfo(), &Environment::default())
            .unwrap_or_else(|e| panic!("{e}"));
        Session::open(&conninfo, access, "test")
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// A client program of the server's version, with the arguments that lead it to this database.
    pub(crate) fn client(&self, program: &str) -> Command {
        client(self.server, program, &self.name)
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // Left for inspection while the test fails; the server goes at the end anyway.
        if !std::thread::panicking() {
            let sql = format!("drop database if exists {} with (force)", self.name);
            feed(psql(self.server, "postgres"), &sql);
        }
    }
}

/// A new, empty database.
pub(crate) fn database() -> TestDb {
    let db = TestDb::unused();
    admin(&format!("create database {}", db.name));
    db
}

/// A new, empty database made with these options of CREATE DATABASE.
pub(crate) fn database_with(options: &str) -> TestDb {
    let db = TestDb::unused();
    admin(&format!("create database {} {options}", db.name));
    db
}

/// `(snapshot, live)`: two databases with the same content, the snapshot as a physical backup would be (same OIDs).
pub(crate) fn pair(setup: &str) -> (TestDb, TestDb) {
    let live = database();
    live.run(setup);
    (copy_database(&live), live)
}

/// `(snapshot, live)`, the snapshot restored from a dump (other OIDs, physical order and transaction ids).
pub(crate) fn pair_dumped(setup: &str) -> (TestDb, TestDb) {
    let live = database();
    live.run(setup);
    (dump_restore(&live), live)
}

/// Copies a database file by file; nobody may be connected to it.
pub(crate) fn copy_database(from: &TestDb) -> TestDb {
    let copy = TestDb::unused();
    admin(&format!(
        "create database {} template {}",
        copy.name, from.name
    ));
    copy
}

/// Copies a database by `pg_dump` and `psql`.
pub(crate) fn dump_restore(from: &TestDb) -> TestDb {
    let copy = database();
    // Shifts every OID, or the first object of both databases could get the same one.
    copy.run("create table oid_shift (); drop table oid_shift");
    let dumped = from.client("pg_dump").output().expect("pg_dump starts");
    let complaint = String::from_utf8_lossy(&dumped.stderr);
    assert!(dumped.status.success(), "pg_dump: {complaint}");
    let dump = String::from_utf8(dumped.stdout).expect("a dump is UTF-8");
    // A newer pg_dump sets what an older server does not know; people would see an error there and go on.
    let understood = |line: &&str| *line != "SET transaction_timeout = 0;";
    let dump: Vec<&str> = dump.split('\n').filter(understood).collect();
    copy.run(&dump.join("\n"));
    copy
}

fn admin(sql: &str) {
    finish(psql(cluster(), "postgres"), sql);
}

/// A client program that ignores the developer's own settings.
pub(super) fn client(server: &Cluster, program: &str, database: &str) -> Command {
    let path = server
        .programs()
        .require(program)
        .unwrap_or_else(|e| panic!("{e}"));
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
        .arg("-d")
        .arg(server.conninfo(database))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

fn psql(server: &Cluster, database: &str) -> Command {
    let mut command = client(server, "psql", database);
    command
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn finish(command: Command, sql: &str) -> String {
    let (success, printed, complaint) = feed(command, sql);
    assert!(success, "{complaint}\nwhile running:\n{sql}");
    printed
}

/// Whether it succeeded, its stdout and its stderr.
fn feed(mut command: Command, sql: &str) -> (bool, String, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("psql starts");
    let mut input = child.stdin.take().expect("psql has a stdin");
    let text = sql.to_owned();
    // In a thread of its own: psql may print more than a pipe holds before it has read everything.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("psql ends");
    // A psql that stopped at an error did not read the rest.
    let _ = writer.join();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn both_ways_of_copying_give_the_same_content() {
    let (physical, live) = pair(
        "create table t (a int primary key, b text);
         insert into t values (2, E'x\\ny'), (1, null);
         create schema reinstate; create table reinstate.j (a int); insert into reinstate.j values (9)",
    );
    let logical = dump_restore(&live);
    let before = super::dump(&live);
    assert_eq!(before, "public.t (a, b): 1\t\\N\npublic.t (a, b): 2\tx\\ny");
    assert_eq!(super::dump(&physical), before);
    assert_eq!(super::dump(&logical), before);
    let oid = "select 't'::regclass::oid";
    assert_eq!(physical.query_text(oid), live.query_text(oid));
    assert_ne!(logical.query_text(oid), live.query_text(oid));
    live.run("delete from t where a = 1");
    assert_ne!(super::dump(&live), before);
    assert_eq!(physical.count("select count(*) from t"), 2);
    let complaint = live.run_failing("select 1/0; create table never ()");
    assert!(complaint.contains("division by zero"), "{complaint}");
    assert_eq!(live.query_text("select to_regclass('never') is null"), "t");
}

#[tokio::test]
async fn a_database_can_be_reached_by_our_own_sessions_and_goes_at_the_end() {
    let db = database();
    let session = db.session(Access::Writing).await;
    let sql = "select current_database()::text";
    let row = session.query_one("asking", sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), db.name);
    let name = db.name.clone();
    drop(db);
    let other = database();
    let left = format!("select count(*) from pg_database where datname = '{name}'");
    assert_eq!(other.count(&left), 0);
}

#[test]
fn the_program_runs_in_its_case() {
    let case = super::Case::new();
    case.write("keys", "1\n");
    assert_eq!(case.read("keys"), "1\n");
    case.run(["--version"]).ok();
}
