//! What PostgreSQL really does in the corners that a restore stands on: plain SQL against the server, none of our code,
//! so that a new major version that behaves otherwise is noticed here first.

mod inserting;
mod locks;
mod triggers;
mod xmin;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Output, TestDb, database};

/// A database with these objects.
fn with(setup: &str) -> TestDb {
    let db = database();
    db.run(setup);
    db
}

/// Starts psql with statements, so that what it says can be read at the end.
fn session(db: &TestDb, sql: &str) -> Child {
    let mut psql = db.client("psql");
    // Each statement for itself: several in one -c would be one transaction.
    psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
    for statement in sql.split(";\n") {
        psql.args(["-c", statement]);
    }
    psql.stdout(Stdio::piped()).stderr(Stdio::piped());
    psql.spawn().expect("psql starts")
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("psql ends").into()
}

/// Waits until some session is asleep in `pg_sleep`, holding whatever it took before.
fn until_asleep(db: &TestDb) {
    until(db, "wait_event = 'PgSleep'");
}

/// Waits until some other session is in this state.
fn until(db: &TestDb, state: &str) {
    let sql = format!(
        "select count(*) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and {state}"
    );
    let started = Instant::now();
    while db.count(&sql) == 0 {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "never: {state}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
