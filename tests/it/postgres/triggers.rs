//! Triggers, roles, sequences, publications.

use super::{end, session, until_asleep, with};

const FAMILY: &str = "
create table p (id int primary key, name text);
create table c (id int primary key, p_id int not null references p on delete cascade, n int check (n > 0),
                place int unique deferrable, code int unique);
insert into p values (1, 'a');
insert into c values (1, 1, 1, 1, 1);
create table fired (name text);
create function fire() returns trigger language plpgsql as $$ begin insert into fired values (tg_name); return null; end $$;
create trigger ordinary after insert on c for each row execute function fire();
create trigger always after insert on c for each row execute function fire();
create trigger replica after insert on c for each row execute function fire();
alter table c enable always trigger always, enable replica trigger replica;
";

#[test]
fn as_a_replica_foreign_keys_and_deferrable_constraints_are_skipped() {
    let db = with(FAMILY);
    db.run("set session_replication_role = replica; insert into c values (2, 99, 1, 1, 2)");
    assert_eq!(
        db.count("select count(*) from c where p_id = 99 and place = 1"),
        1
    );
    // Cascades too.
    db.run("set session_replication_role = replica; delete from p where id = 1");
    assert_eq!(db.count("select count(*) from c where p_id = 1"), 1);
    // The rest holds.
    for (row, complaint) in [
        ("(3, 1, 0, 3, 3)", "check constraint"),
        ("(3, 1, 1, 3, 1)", "unique constraint"),
        ("(2, 1, 1, 3, 3)", "unique constraint"),
        ("(3, null, 1, 3, 3)", "not-null"),
    ] {
        let said = db.run_failing(&format!(
            "set session_replication_role = replica; insert into c values {row}"
        ));
        assert!(said.contains(complaint), "{said}");
    }
}

#[test]
fn as_a_replica_other_triggers_fire() {
    let db = with(FAMILY);
    db.run("insert into c values (2, 1, 1, 2, 2)");
    assert_eq!(
        db.query_text("select name from fired order by 1"),
        "always\nordinary"
    );
    db.run("delete from fired; set session_replication_role = replica; insert into c values (3, 1, 1, 3, 3)");
    assert_eq!(
        db.query_text("select name from fired order by 1"),
        "always\nreplica"
    );
}

#[test]
fn what_is_checked_is_decided_when_the_row_comes() {
    let db = with(FAMILY);
    db.run(
        "begin; set local session_replication_role = replica; insert into c values (2, 99, 1, 2, 2);
         set local session_replication_role = origin; commit",
    );
    assert_eq!(db.count("select count(*) from c where p_id = 99"), 1);
}

/// A row of a deferrable unique constraint is looked at again only if it met another when it came. So one that came first and
/// is not committed yet is neither seen by a query nor looks at ours: it has to be waited for.
#[test]
fn a_deferrable_value_that_came_first_does_not_look_again() {
    let db = with(FAMILY);
    let first = session(
        &db,
        "begin; insert into c values (2, 1, 1, 7, 2); select pg_sleep(1.5); commit",
    );
    until_asleep(&db);
    db.run("set session_replication_role = replica; insert into c values (3, 1, 1, 7, 3)");
    // The lock that writing took is there to its end, and shows who is to be waited for.
    let writers = "select count(*) from pg_locks where relation = 'c'::regclass and mode = 'RowExclusiveLock'";
    assert_eq!(db.count(writers), 1);
    assert_eq!(db.count("select count(*) from c where place = 7"), 1);
    end(first).ok();
    assert_eq!(db.count("select count(*) from c where place = 7"), 2);
    // Whoever comes after ours meets it.
    let complaint = db.run_failing("insert into c values (4, 1, 1, 7, 4)");
    assert!(complaint.contains("unique constraint"), "{complaint}");
}

#[test]
fn a_number_drawn_holds_its_sequence_to_the_end_of_the_transaction() {
    let db = with("create sequence s");
    let drawing = session(
        &db,
        "begin; select nextval('s'); select pg_sleep(1); commit",
    );
    until_asleep(&db);
    let held = "select count(*) from pg_locks where relation = 's'::regclass and mode = 'RowExclusiveLock'";
    assert_eq!(db.count(held), 1);
    // It makes nobody wait.
    assert_eq!(
        db.query_text("set lock_timeout = 10; select nextval('s')"),
        "2"
    );
    end(drawing).ok();
    assert_eq!(db.count(held), 0);
}

#[test]
fn parents_can_be_locked_within_a_lateral_join() {
    let db = with(FAMILY);
    let deleting = session(
        &db,
        "begin; delete from p where id = 1; select pg_sleep(1); rollback",
    );
    until_asleep(&db);
    let lock = "select x.there is null from (values (1), (9)) k (id)
                  left join lateral (select true as there from p where p.id = k.id for key share of p nowait) x on true
                 order by k.id";
    let complaint = db.run_failing(lock);
    assert!(complaint.contains("could not obtain lock"), "{complaint}");
    end(deleting).ok();
    assert_eq!(db.query_text(lock), "f\nt");
}

#[test]
fn to_be_a_replica_takes_a_right() {
    let db = with("select 1");
    let role = format!("ordinary_{}", db.name);
    db.run(&format!("create role {role}"));
    let ask = format!("set role {role}; set session_replication_role = replica");
    let complaint = db.run_failing(&ask);
    assert!(complaint.contains("permission denied"), "{complaint}");
    if db.count("select current_setting('server_version_num')::int") >= 150_000 {
        db.run(&format!(
            "grant set on parameter session_replication_role to {role}"
        ));
        db.run(&ask);
        db.run(&format!(
            "revoke set on parameter session_replication_role from {role}"
        ));
    }
    db.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn locking_a_parent_takes_a_right_that_its_reference_does_not() {
    let db = with(FAMILY);
    let role = format!("writer_{}", db.name);
    db.run(&format!(
        "create role {role}; grant usage on schema public to {role}; grant select, insert on c, fired to {role}; grant select on p to {role}"
    ));
    let lock = format!("set role {role}; select from p for key share");
    db.run(&format!(
        "set role {role}; insert into c values (2, 1, 1, 2, 2)"
    ));
    let complaint = db.run_failing(&lock);
    assert!(complaint.contains("permission denied"), "{complaint}");
    db.run(&format!("grant update (name) on p to {role}"));
    db.run(&lock);
    db.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn row_security_off_turns_hidden_rows_into_an_error() {
    let db = with(
        "create table t (id int primary key, owner text); insert into t values (1, 'a'), (2, 'b');
         alter table t enable row level security; create policy mine on t using (owner = 'a')",
    );
    let role = format!("filtered_{}", db.name);
    db.run(&format!("create role {role}; grant select on t to {role}"));
    assert_eq!(
        db.query_text(&format!("set role {role}; select count(*) from t")),
        "1"
    );
    let complaint = db.run_failing(&format!(
        "set role {role}; set row_security = off; select count(*) from t"
    ));
    assert!(complaint.contains("row-level security"), "{complaint}");
    assert_eq!(
        db.query_text("set row_security = off; select count(*) from t"),
        "2"
    );
    assert_eq!(
        db.query_text(&format!("set role {role}; select row_security_active('t')")),
        "t"
    );
    db.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn a_sequence_can_be_set_backwards_under_others() {
    let db = with("create sequence s");
    db.run("select nextval('s') from generate_series(1, 60)");
    // Meant as "at least 50", decided before the others had come so far.
    db.run("select setval('s', 50)");
    assert_eq!(db.query_text("select nextval('s')"), "51");
    let complaint = db.run_failing("begin; lock table s");
    assert!(
        complaint.contains("cannot lock") || complaint.contains("not a table"),
        "{complaint}"
    );
    // Nor does it come back with a transaction.
    db.run("begin; select setval('s', 200); rollback");
    assert_eq!(db.query_text("select nextval('s')"), "201");
}

#[test]
fn a_publication_of_all_tables_takes_new_ones_and_asks_for_their_keys() {
    let db = with("create publication everything for all tables");
    db.run("create schema reinstate; create table reinstate.run (run text primary key); create table reinstate.bag (v int)");
    let published = "select count(*) from pg_publication_tables where schemaname = 'reinstate'";
    assert_eq!(db.count(published), 2);
    assert_eq!(
        db.count("select count(*) from pg_publication where puballtables"),
        1
    );
    db.run("insert into reinstate.run values ('r'); update reinstate.run set run = 's'; insert into reinstate.bag values (1)");
    let complaint = db.run_failing("update reinstate.bag set v = 2");
    assert!(complaint.contains("replica identity"), "{complaint}");
}

#[test]
fn advisory_locks_belong_to_a_database_and_end_with_their_session() {
    let (db, other) = (with("select 1"), with("select 1"));
    let holder = session(&db, "select pg_advisory_lock(1, 2);\nselect pg_sleep(30)");
    until_asleep(&db);
    assert_eq!(db.query_text("select pg_try_advisory_lock(1, 2)"), "f");
    assert_eq!(other.query_text("select pg_try_advisory_lock(1, 2)"), "t");
    db.run("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()");
    end(holder);
    assert_eq!(db.query_text("select pg_try_advisory_lock(1, 2)"), "t");
}
