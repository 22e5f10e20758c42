//! What the server does not check while triggers are suppressed is verified by query before the commit.

use super::super::dependents::wait_for;
use super::{Incident, LOST, Ledger, Output, SUPPRESS, book_4_is_left_out, dump, journal_of};

/// The library, restored with triggers suppressed that would refuse every row; `live` is what live has besides.
fn suppressed(live: &str) -> Incident {
    let incident = super::with_trigger(
        "raise 'never';",
        "create trigger refuses before insert on books for each row execute function act();
         create trigger refuses before insert on chapters for each row execute function act()",
        SUPPRESS,
    );
    incident.live.run(live);
    incident
}

#[test]
fn a_foreign_key_that_live_has_gained() {
    let incident = suppressed(
        "create table shops (id int primary key); insert into shops values (1);
         create function shop_of(id int) returns int language sql return case id when 4 then 7 else 1 end;
         alter table books add shop_id int references shops default 1;
         create function move_shop() returns trigger language plpgsql as $$ begin new.shop_id = public.shop_of(new.id); return new; end $$;
         create trigger moves before insert on books for each row execute function move_shop();
         alter table books enable always trigger moves",
    );
    let accept = ["--accept-trigger", "public.books.moves"];
    let output = incident.restore_with(&accept);
    let reason = "public.books 4 has no row of public.shops to refer to by shop_id";
    book_4_is_left_out(&incident, output, reason);
    assert_eq!(incident.quarantine()[0]["sqlstate"], "23503");
}

#[test]
fn a_deferrable_unique_constraint() {
    let incident = suppressed(
        "alter table books add slot int default 0;
         update books set slot = id; alter table books alter slot set default 17;
         alter table books add constraint slots unique (slot) deferrable",
    );
    // Every book would get slot 17, which book 17 has.
    let output = incident.restore().expect_code(4);
    Ledger::of(&output).expect(&[("quarantined", LOST)]);
    for left in incident.quarantine() {
        let said = left["reason"].as_str().unwrap();
        assert!(said.contains("deferrable unique slots"), "{said}");
        assert_eq!(left["sqlstate"], "23505");
    }
    // With the place free, the first of them gets it.
    incident
        .live
        .run("update books set slot = 117 where id = 17");
    Ledger::of(&incident.restore().expect_code(4))
        .expect(&[("inserted", 3), ("quarantined", LOST - 3)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from books where slot = 17"),
        1
    );
}

#[test]
fn a_deferrable_exclusion_constraint() {
    let incident = suppressed(
        "alter table books drop constraint books_shelf;
         alter table books add constraint books_shelf exclude using gist (shelf with &&) where (pages > 0) deferrable;
         update books set shelf = '[43, 46)' where id = 14",
    );
    let output = incident.restore();
    book_4_is_left_out(&incident, output, "exclusion constraint books_shelf");
    assert_eq!(incident.quarantine()[0]["sqlstate"], "23P01");
}

/// Nulls that are equal, a domain over an enum, an expression, another collation.
#[test]
fn constraints_of_every_form() {
    let incident = suppressed(
        "create type color as enum ('red', 'green'); create domain shade as color;
         create extension if not exists btree_gist;
         create function shade_of(id int) returns color immutable language sql return case when id = 4 then 'green' else 'red' end::color;
         alter table books add shade shade, add lower_note text generated always as (lower(note)) stored;
         update books set shade = 'red';
         alter table books alter shade set default 'red';
         alter table books add constraint shades unique (shade, id) deferrable;
         alter table books add constraint titles exclude using btree ((lower(note)) collate \"C\" with =) deferrable initially deferred;
         update books set note = 'NOTE 4' where id = 14",
    );
    let output = incident.restore();
    book_4_is_left_out(&incident, output, "exclusion constraint titles");
}

/// A row that another session has not committed cannot be seen, and meets ours in no index: it is waited for.
#[test]
fn a_value_that_is_about_to_be_taken() {
    for constraint in ["unique (isbn)", "exclude using btree (isbn with =)"] {
        about_to_be_taken(constraint);
    }
}

fn about_to_be_taken(constraint: &str) {
    let incident = suppressed(&format!(
        "alter table books drop constraint books_isbn; alter table books add constraint books_isbn {constraint} deferrable",
    ));
    let application = incident.live.spawn(
        "set session_replication_role = replica;
         begin; insert into books values (104, 1, 'isbn 4', 1, null, null); select pg_sleep(1.5) /* holds a value */; commit;",
    );
    wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%holds a value%' and wait_event = 'PgSleep' and datname = current_database()",
    );
    let output = incident.restore().expect_code(4);
    assert!(application.wait_with_output().unwrap().status.success());
    Ledger::of(&output).expect(&[("inserted", LOST - 3), ("quarantined", 3)]);
    let doubled = "select count(*) from (select isbn from books group by 1 having count(*) > 1) d";
    assert_eq!(incident.live.count(doubled), 0);
}

/// A parent that somebody is deleting is locked, as the server itself would lock it.
#[test]
fn a_parent_that_is_about_to_go() {
    let incident = suppressed(
        "create table shops (id int primary key); insert into shops values (1), (2);
         alter table books add shop_id int references shops default 1;
         update books set shop_id = 2; create table deleted (id int)",
    );
    let application = incident.live.spawn(
        "begin; delete from shops where id = 1; select pg_sleep(1.5) /* holds a shop */; commit;",
    );
    wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%holds a shop%' and wait_event = 'PgSleep' and datname = current_database()",
    );
    let output = incident.restore().expect_code(4);
    assert!(application.wait_with_output().unwrap().status.success());
    Ledger::of(&output).expect(&[("quarantined", LOST)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from books where shop_id = 1"),
        0
    );
}

#[test]
fn rows_without_a_key_are_verified_by_their_place() {
    let incident = Incident::new(
        "create table shops (id int primary key); insert into shops values (1), (2);
         create table bag (shop_id int not null, place int unique deferrable);
         insert into bag select 1 + n % 2, n from generate_series(1, 20) n",
        "delete from bag where place > 10",
    )
    .with(SUPPRESS);
    incident.extract(&[]);
    incident.live.run(
        "delete from shops where id = 2; delete from bag where shop_id = 2;
         alter table bag add foreign key (shop_id) references shops;
         create function act() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
         create trigger refuses before insert on bag for each row execute function act()",
    );
    Ledger::of(&incident.restore().expect_code(4)).expect(&[("inserted", 5), ("quarantined", 5)]);
    assert_eq!(
        incident
            .live
            .count("select count(*) from bag where shop_id = 2"),
        0
    );
    for left in incident.quarantine() {
        let said = left["reason"].as_str().unwrap();
        assert!(
            said.contains("a row of public.bag has no row of public.shops"),
            "{said}"
        );
    }
}

#[test]
fn without_the_right_nothing_begins() {
    let incident = suppressed("");
    let live = &incident.live;
    let role = format!("ordinary_{}", live.name);
    live.run(&format!(
        "create role {role} login; grant select, insert on all tables in schema public to {role};
         grant update (id) on owners, books to {role}; grant create on database {} to {role}",
        live.name
    ));
    let restore = |args: &[&str]| -> Output {
        let mut command = incident.command(args);
        command.args(SUPPRESS);
        command.env("REINSTATE_LIVE", live.conninfo_as(&role));
        command.output().unwrap().into()
    };
    let deed = ["restore", "--execute", "--unrehearsed", "test"];
    let newer = live.count("select current_setting('server_version_num')::int") >= 150_000;
    for args in [&["restore"][..], &deed] {
        let said = restore(args).expect_code(3).stderr;
        assert!(said.contains("Some managed servers"), "{said}");
        let grant = format!("GRANT SET ON PARAMETER session_replication_role TO \"{role}\"");
        assert_eq!(said.contains(&grant), newer, "{said}");
    }
    assert_eq!(journal_of(live), "");
    if newer {
        live.run(&format!(
            "grant set on parameter session_replication_role to {role}; revoke update (id) on books from {role}"
        ));
        // What the server would lock by its own right takes one.
        let said = restore(&deed).expect_code(3).stderr;
        let grant = format!("GRANT SELECT, UPDATE (\"id\") ON public.books TO \"{role}\"");
        assert!(said.contains(&grant), "{said}");
        live.run(&format!("grant update (id) on books to {role}"));
        restore(&deed).ok();
        assert_eq!(dump(live), incident.before);
        live.run(&format!(
            "revoke set on parameter session_replication_role from {role}"
        ));
    }
    live.run(&format!(
        "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
    ));
}

/// What was suppressed leaves nothing behind: rows, constraints, undo.
#[test]
fn taken_back_and_restored_again() {
    let incident = suppressed("");
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST)]);
    assert_eq!(dump(&incident.live), incident.before);
    Ledger::of(&incident.undo().ok()).expect(&[("removed", LOST)]);
    assert_eq!(dump(&incident.live), incident.after_loss);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", LOST)]);
    assert_eq!(dump(&incident.live), incident.before);
    assert_eq!(incident.live.count("select count(*) from log"), 0);
    // The sessions afterwards check as ever.
    let complaint = incident
        .live
        .run_failing("insert into chapters values (99, 999, '')");
    assert!(complaint.contains("never"), "{complaint}");
}
