//! `xmin`: what tells a row that we inserted from one that somebody has touched since.

use super::{end, session, until, until_asleep, with};

const ROW: &str = "create table t (id int primary key, v text); insert into t values (1, 'a')";

#[test]
fn locks_and_maintenance_leave_it() {
    let db = with(ROW);
    let xmin = || db.query_text("select xmin from t");
    let before = xmin();
    for harmless in [
        "begin; select from t for key share; commit",
        "begin; select from t for update; commit",
        "vacuum full t",
        "vacuum freeze t",
        "analyze t",
    ] {
        db.run(harmless);
        assert_eq!(xmin(), before, "{harmless}");
    }
}

#[test]
fn every_update_changes_it() {
    let db = with(ROW);
    let xmin = || db.query_text("select xmin from t");
    for touch in [
        "update t set v = v",
        "update t set id = id where id = 1",
        "insert into t values (1, 'b') on conflict (id) do update set v = t.v",
    ] {
        let before = xmin();
        db.run(touch);
        assert_ne!(xmin(), before, "{touch}");
    }
}

#[test]
fn an_after_trigger_changes_it_after_returning_has_shown_it() {
    // In the same transaction the xmin would stay; a savepoint, as any EXCEPTION block sets one, gives it another id.
    let db = with(
        "create table t (id int primary key, v text);
         create function touch() returns trigger language plpgsql as $$
         begin
             begin update t set v = 'touched' where id = new.id; exception when division_by_zero then null; end;
             return null;
         end $$;
         create trigger touches after insert on t for each row execute function touch()",
    );
    let shown = db.query_text("insert into t values (1, 'a') returning xmin");
    let read_last = db.query_text("select xmin from t");
    assert_ne!(shown, read_last);
    // Read as the transaction's last statement, it is what it stays.
    let read = db.query_text(
        "begin; insert into t values (2, 'b'); select xmin from t where id = 2; commit",
    );
    assert_eq!(read, db.query_text("select xmin from t where id = 2"));
}

#[test]
fn savepoints_give_rows_an_id_of_their_own() {
    let db = with(ROW);
    let ids = db.query_text(
        "begin; insert into t values (2, 'b'); savepoint s; insert into t values (3, 'c'); release s;
         select count(distinct xmin::text), count(*) filter (where xmin::text::int8 = pg_current_xact_id()::text::int8 % 4294967296) from t where id > 1;
         commit",
    );
    assert_eq!(ids, "2|1");
}

#[test]
fn one_transaction_gives_all_its_rows_the_same() {
    let db = with(
        "create table a (id int primary key); create table b (id int primary key references a)",
    );
    let told = db.query_text(
        "begin; insert into a values (1), (2); insert into b values (1), (2);
         select count(distinct xmin::text), bool_and(xmin = pg_current_xact_id()::xid) from (select xmin from a union all select xmin from b) s; commit",
    );
    assert_eq!(told, "1|t");
}

#[test]
fn a_guarded_delete_takes_a_child_that_came_while_it_waited() {
    let db = with(
        "create table p (id int primary key); create table c (id int primary key, p_id int references p on delete cascade);
         insert into p values (1)",
    );
    let child = session(
        &db,
        "begin;\ninsert into c values (1, 1);\nselect pg_sleep(1);\ncommit",
    );
    until_asleep(&db);
    let guarded = session(
        &db,
        "delete from p where id = 1 and not exists (select from c where p_id = p.id)",
    );
    until(&db, "wait_event_type = 'Lock'");
    end(child).ok();
    end(guarded).ok();
    assert_eq!(
        db.query_text("select (select count(*) from p), (select count(*) from c)"),
        "0|0"
    );

    // Locked first and looked at in a new statement, the child is seen.
    db.run("insert into p values (2)");
    let child = session(
        &db,
        "begin;\ninsert into c values (2, 2);\nselect pg_sleep(1);\ncommit",
    );
    until_asleep(&db);
    let careful = session(
        &db,
        "begin;\nselect from p where id = 2 for update;\ndelete from p where id = 2 and not exists (select from c where p_id = p.id);\ncommit",
    );
    until(&db, "wait_event_type = 'Lock'");
    end(child).ok();
    end(careful).ok();
    assert_eq!(
        db.query_text("select (select count(*) from p), (select count(*) from c)"),
        "1|1"
    );
}

#[test]
fn removing_a_parent_removes_a_child_that_somebody_edited() {
    let db = with(
        "create table p (id int primary key); create table c (id int primary key, p_id int references p on delete cascade, v text);
         insert into p values (1); insert into c values (1, 1, 'restored'); update c set v = 'edited'",
    );
    db.run("delete from p");
    assert_eq!(db.count("select count(*) from c"), 0);
}
