//! INSERT, COPY, ON CONFLICT, locks on parents.

use super::{end, session, until, until_asleep, with};

#[test]
fn on_conflict_returns_system_columns_of_plain_tables_only() {
    let db = with(
        "create table plain (id int primary key);
         create table parted (id int primary key) partition by range (id);
         create table parted_1 partition of parted default",
    );
    let insert = "values (1) on conflict do nothing returning";
    assert_ne!(
        db.query_text(&format!("insert into plain {insert} ctid, xmin")),
        ""
    );
    let complaint = db.run_failing(&format!("insert into parted {insert} xmin"));
    assert!(complaint.contains("system column"), "{complaint}");
    assert_ne!(
        db.query_text(&format!("insert into parted {insert} tableoid")),
        ""
    );
    // Reading them afterwards works.
    assert_eq!(db.count("select count(xmin) from parted"), 1);
}

#[test]
fn on_conflict_without_a_target_fails_beside_a_deferrable_constraint() {
    let db = with(
        "create table t (id int primary key, place int unique deferrable);
         create table e (id int primary key, during int4range, exclude using gist (during with &&) deferrable)",
    );
    for (table, row) in [("t", "(1, 1)"), ("e", "(1, '[1,2)')")] {
        let complaint = db.run_failing(&format!(
            "insert into {table} values {row} on conflict do nothing"
        ));
        assert!(complaint.contains("deferrable"), "{complaint}");
        db.run(&format!(
            "insert into {table} values {row} on conflict (id) do nothing"
        ));
    }
}

#[test]
fn on_conflict_without_a_target_fails_under_a_rule() {
    let db = with(
        "create table t (id int primary key);
         create table log (id int);
         create rule logged as on insert to t do also insert into log values (new.id)",
    );
    let complaint = db.run_failing("insert into t values (1) on conflict do nothing");
    assert!(complaint.contains("INSERT or UPDATE rules"), "{complaint}");
}

#[test]
fn copy_writes_identity_columns_and_insert_needs_to_be_told() {
    let db = with(
        "create table t (id int generated always as identity primary key, twice int generated always as (id * 2) stored)",
    );
    let complaint = db.run_failing("insert into t (id) values (7)");
    assert!(complaint.contains("GENERATED ALWAYS"), "{complaint}");
    db.run("insert into t (id) overriding system value values (7)");
    db.run("copy t (id) from stdin;\n8\n\\.\n");
    assert_eq!(db.query_text("select * from t order by id"), "7|14\n8|16");
    let complaint = db.run_failing("copy t (id, twice) from stdin;\n9\t18\n\\.\n");
    assert!(complaint.contains("generated column"), "{complaint}");
}

#[test]
fn one_insert_takes_references_to_itself_in_any_order() {
    let db = with("create table t (id int primary key, up int not null references t)");
    db.run("insert into t values (1, 2), (2, 3), (3, 3)");
    db.run("copy t from stdin;\n4\t5\n5\t4\n\\.\n");
    let complaint =
        db.run_failing("begin; insert into t values (6, 7); insert into t values (7, 7)");
    assert!(complaint.contains("foreign key"), "{complaint}");
}

#[test]
fn a_cycle_of_not_null_references_goes_in_by_one_statement() {
    let db = with(
        "create table a (id int primary key, b_id int not null);
         create table b (id int primary key, a_id int not null references a);
         alter table a add foreign key (b_id) references b",
    );
    db.run("with x as (insert into a values (1, 1)), y as (insert into b values (1, 1)) select");
    let complaint =
        db.run_failing("begin; insert into a values (2, 2); insert into b values (2, 2)");
    assert!(complaint.contains("foreign key"), "{complaint}");
    assert_eq!(db.count("select count(*) from a, b"), 1);
}

#[test]
fn a_before_trigger_that_eats_a_row_looks_like_a_conflict() {
    let db = with(
        "create table t (id int primary key);
         create table fired (n int);
         create function eat() returns trigger language plpgsql as $$ begin insert into fired values (new.id); return null; end $$;
         create trigger eats before insert on t for each row execute function eat()",
    );
    assert_eq!(
        db.query_text("insert into t values (1) on conflict do nothing returning id"),
        ""
    );
    assert_eq!(db.count("select count(*) from fired"), 1);
    assert_eq!(db.count("select count(*) from t"), 0);
}

#[test]
fn a_journal_row_that_comes_first_makes_a_retry_wait() {
    let db = with("create table journal (batch int primary key); create table bag (v text)");
    let claim = "insert into journal values (1) on conflict do nothing returning batch";
    let first = session(
        &db,
        &format!("begin;\n{claim};\ninsert into bag values ('row');\nselect pg_sleep(1);\ncommit"),
    );
    until_asleep(&db);
    // The retry of somebody who does not know what became of the first attempt.
    let retry = session(&db, claim);
    until(&db, "wait_event_type = 'Lock'");
    end(first).ok();
    assert_eq!(
        end(retry).ok().stdout.trim(),
        "",
        "the retry was allowed although the first attempt had committed"
    );
    assert_eq!(db.count("select count(*) from bag"), 1);
}

#[test]
fn a_value_that_becomes_visible_whole_or_not_at_all() {
    // COPY of several tables in one transaction: another session sees all or nothing.
    let db = with(
        "create table a (id int primary key); create table b (id int primary key references a)",
    );
    let writer = session(
        &db,
        "begin;\ninsert into a values (1);\nselect pg_sleep(0.3);\ninsert into b values (1);\ncommit",
    );
    until_asleep(&db);
    assert_eq!(
        db.query_text("select (select count(*) from a), (select count(*) from b)"),
        "0|0"
    );
    end(writer).ok();
    assert_eq!(
        db.query_text("select (select count(*) from a), (select count(*) from b)"),
        "1|1"
    );
}
