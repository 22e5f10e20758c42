//! References that cannot be filled, or not yet: locks, triggers, rights, what the server says.

use super::super::dependents::wait_for;
use super::*;

const LOG: &str = "create table log (book int, editor int);
    create function note() returns trigger language plpgsql as
      'begin insert into log values (new.id, new.editor_id); return new; end';
    create trigger note after update on books for each row execute function note();";

#[test]
fn a_row_that_the_application_holds_is_waited_for() {
    let incident = incident("", WITH_TRANSACTION);
    // Until the others are filled: they do not wait for it.
    let application = incident.live.spawn(&format!(
        "begin; update books set title = title where id = 2;
         do $$
         declare filled int;
         begin
           for n in 1..1200 loop
             perform pg_sleep(0.05);
             if exists (select from pg_class where relname = 'relinked') then
               execute 'select count(*) from reinstate.relinked' into filled;
               exit when filled >= {};
             end if;
           end loop;
         end $$; rollback;",
        BOOKS - 1
    ));
    wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%filled int%' and wait_event = 'PgSleep'",
    );
    let done = Ledger::of(&incident.restore().ok());
    assert!(application.wait_with_output().unwrap().status.success());
    assert_eq!(totals(&done), json!({"relinked": BOOKS}));
    as_before(&incident);
    let batches = "select count(distinct batch), count(*) from reinstate.relinked";
    assert_eq!(incident.live.query_text(batches), format!("2|{BOOKS}"));
}

#[test]
fn whoever_edits_it_meanwhile_has_the_last_word() {
    let incident = incident("", WITH_TRANSACTION);
    let application = incident
        .live
        .spawn("begin; update books set editor_id = 9 where id = 2; select pg_sleep(2); commit;");
    wait_for(
        &incident,
        "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%' and wait_event = 'PgSleep'",
    );
    let done = Ledger::of(&incident.restore().ok());
    assert!(application.wait_with_output().unwrap().status.success());
    assert_eq!(
        totals(&done),
        json!({"relinked": BOOKS - 1, "reassigned": 1})
    );
    assert_eq!(
        edited_by(&incident, "3, 9"),
        "2:9 8:9 12:3 18:9 22:3 28:9 32:3 38:9"
    );
}

#[test]
fn triggers_are_suppressed_or_fire_as_they_were_told() {
    for (how, noted) in [("suppress", 0), ("fire", 2 * BOOKS)] {
        let incident = incident_of(
            LOG,
            "alter table books disable trigger note",
            WITH_TRANSACTION,
        );
        incident.live.run("alter table books enable trigger note");
        let refused = incident.restore().expect_code(3);
        for part in ["public.books", "note calling public.note", "--relinks none"] {
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
        }
        let told = ["--triggers", how];
        let plan = Ledger::of(&incident.run(&[&["restore"][..], &told].concat()).ok());
        let key = match how {
            "fire" => "update_triggers",
            _ => "suppressed_update_triggers",
        };
        let named = plan.get("checks")["public.books"][key][0].as_str().unwrap();
        assert!(named.starts_with("note calling public.note"), "{named}");
        assert_eq!(restored(&incident, &told, 0), json!({"relinked": BOOKS}));
        assert_eq!(edited_by(&incident, "3"), "2:3 12:3 22:3 32:3");
        // An undo treats them alike.
        let undone = Ledger::of(&incident.undo().ok());
        assert_eq!(undone.get("unlinked"), BOOKS);
        assert_eq!(edited_by(&incident, "3, 4"), "");
        assert_eq!(
            incident.live.count("select count(*) from log"),
            noted as i64
        );
    }
}

#[test]
fn one_that_fires_always_must_be_accepted_by_name() {
    let incident = incident_of(
        LOG,
        "alter table books disable trigger note",
        WITH_TRANSACTION,
    );
    incident
        .live
        .run("alter table books enable always trigger note");
    let refused = incident
        .restore_with(&["--triggers", "suppress"])
        .expect_code(3);
    let accept = "--accept-trigger public.books.note";
    assert!(refused.stderr.contains(accept), "{}", refused.stderr);
    let accepted = [
        "--triggers",
        "suppress",
        "--accept-trigger",
        "public.books.note",
    ];
    assert_eq!(
        restored(&incident, &accepted, 0),
        json!({"relinked": BOOKS})
    );
    assert_eq!(
        incident.live.count("select count(*) from log"),
        BOOKS as i64
    );
}

#[test]
fn what_the_server_or_a_trigger_refuses_is_listed_alone() {
    let incident = incident_of(
        "create function guard() returns trigger language plpgsql as
           'begin
              if new.id = 2 then raise exception ''not this one'' using errcode = ''RE001''; end if;
              if new.id = 12 then return null; end if;
              if new.id = 22 then new.editor_id = 9; end if;
              return new;
            end';
         create trigger guard before update on books for each row execute function guard();",
        "alter table books disable trigger guard",
        WITH_TRANSACTION,
    );
    incident.live.run("alter table books enable trigger guard");
    let done = Ledger::of(
        &incident
            .restore_with(&["--triggers", "fire"])
            .expect_code(4),
    );
    assert_eq!(totals(&done), json!({"relinked": BOOKS - 3, "refused": 3}));
    assert_eq!(left(&incident), ["12 refused", "2 refused", "22 refused"]);
    let text = incident.case.read("relinks.jsonl");
    let second: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let second = second.iter().find(|l| l["key"][0] == "2").unwrap();
    assert_eq!(
        (&second["detail"], &second["sqlstate"]),
        (
            &json!("not this one (PL/pgSQL function guard() line 2 at RAISE)"),
            &json!("RE001")
        )
    );
    assert_eq!(edited_by(&incident, "3, 4"), "3:4 13:4 23:4 32:3 33:4");
    assert_eq!(edited_by(&incident, "9"), "8:9 18:9 28:9 38:9");
    // The rows themselves came back; without the trigger, so do the rest.
    incident.live.run("drop trigger guard on books");
    let again = Ledger::of(&incident.restore().ok());
    assert_eq!(
        totals(&again),
        json!({"relinked": 3, "as_before": BOOKS - 3})
    );
    as_before(&incident);
}

#[test]
fn a_role_that_may_not_write_there_is_told_so() {
    let incident = incident("", WITH_TRANSACTION);
    let (live, role) = (&incident.live, "relinker");
    live.run(&format!(
        "create role {role} login; grant create on database {} to {role};
         grant select, insert on people to {role}; grant select on books to {role}",
        live.name
    ));
    let restore = || {
        let mut command = incident.restore_command(&[]);
        command.env("REINSTATE_LIVE", live.conninfo_as(role));
        crate::support::Output::from(command.output().unwrap())
    };
    let done = Ledger::of(&restore().expect_code(4));
    assert_eq!(totals(&done), json!({"refused": BOOKS}));
    done.expect(&[("inserted", 2)]);
    let grant = format!("GRANT SELECT, UPDATE (editor_id) ON public.books TO {role}");
    let file = incident
        .case
        .read("relinks.jsonl")
        .replace("\\\"", "\"")
        .replace('"', "");
    assert!(file.contains(&grant), "{file}");
    live.run(&format!("grant update (editor_id) on books to {role}"));
    let done = Ledger::of(&restore().expect_code(4));
    assert_eq!(totals(&done), json!({"refused": BOOKS}));
    let grant = format!("GRANT UPDATE (id) ON public.people TO {role}");
    let file = incident.case.read("relinks.jsonl").replace("\\\"", "");
    assert!(file.contains(&grant), "{file}");
    live.run(&format!("grant update (id) on people to {role}"));
    let done = Ledger::of(&restore().ok());
    assert_eq!(totals(&done), json!({"relinked": BOOKS}));
    as_before(&incident);
    live.run(&format!("drop owned by {role} cascade; drop role {role}"));
}
