//! References that the deletion set to NULL, filled with proof, left with a reason, and taken back.

mod older;
mod refused;
mod undo;

use serde_json::{Value, json};

use super::{Incident, Ledger, difference};
use crate::support::{database, dump};

/// Ten people edit four books each. What the application deletes it notes in the same transaction.
const SETUP: &str = "
create table people (id int primary key, name text);
create table books (id int primary key, title text, editor_id int references people on delete set null);
create index on books (editor_id);
create table deletions (of_id int, at timestamptz default now());
insert into people select n, 'name ' || n from generate_series(1, 10) n;
insert into books select n, 'title ' || n, 1 + n % 10 from generate_series(1, 40) n;
";
/// Person 3 edited books 2, 12, 22, 32; person 4 edited 3, 13, 23, 33.
const LOSS: &str =
    "begin; insert into deletions values (3), (4); delete from people where id in (3, 4); commit;";
const BOOKS: u64 = 8;
const WITH_TRANSACTION: &str = "[[audit]]\ntable = 'people'\nlive_sql = 'select of_id as id, at as deleted_at, xmin as xid from deletions'\n";
const WITH_TIME: &str = "[[audit]]\ntable = 'people'\nlive_sql = 'select of_id as id, at as deleted_at from deletions'\nslack = '10s'\n";

/// The incident, extracted; `first` happens on live between backup and loss.
fn incident(first: &str, evidence: &str) -> Incident {
    incident_of("", first, evidence)
}

/// The same with more in the schema.
fn incident_of(more: &str, first: &str, evidence: &str) -> Incident {
    let incident = Incident::new(&format!("{SETUP} {more}"), &format!("{first}; {LOSS}"));
    incident.case.write("reinstate.toml", evidence);
    incident.extract(&[]);
    incident
}

/// What became of the references, as a command says it.
fn totals(ledger: &Ledger) -> Value {
    ledger.get("relinks")["totals"].clone()
}

/// `restore` of the plan and the deed, which agree; what became of the references.
#[track_caller]
fn restored(incident: &Incident, args: &[&str], code: i32) -> Value {
    let plan = incident.run(&[&["restore"], args].concat()).ok();
    let plan = totals(&Ledger::of(&plan));
    let done = Ledger::of(&incident.restore_with(args).expect_code(code));
    assert_eq!(totals(&done), plan, "plan and deed");
    plan
}

/// Books with an editor, as `id:editor`.
fn edited_by(incident: &Incident, people: &str) -> String {
    incident.live.query_text(&format!(
        "select string_agg(id || ':' || editor_id, ' ' order by id) from books where editor_id in ({people})"
    ))
}

/// `relinks.jsonl`, as `key reason`.
fn left(incident: &Incident) -> Vec<String> {
    let text = incident.case.read("relinks.jsonl");
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let mut left: Vec<String> = lines
        .map(|l| {
            format!(
                "{} {}",
                l["key"][0].as_str().unwrap(),
                l["reason"].as_str().unwrap()
            )
        })
        .collect();
    left.sort();
    left
}

/// The rows are those before the loss, but for what the application noted.
#[track_caller]
fn as_before(incident: &Incident) {
    let (gone, new) = difference(&incident.before, &dump(&incident.live));
    assert_eq!(gone, Vec::<String>::new());
    let noted = |l: &&String| !l.starts_with("public.deletions ");
    assert_eq!(new.iter().filter(noted).count(), 0, "{new:#?}");
}

#[test]
fn the_deleting_transaction_proves_it() {
    let incident = incident("", WITH_TRANSACTION);
    assert_eq!(restored(&incident, &[], 0), json!({"relinked": BOOKS}));
    as_before(&incident);
    let proofs = "select distinct proof from reinstate.relinked";
    assert_eq!(incident.live.query_text(proofs), "transaction");
    let verified = Ledger::of(&incident.verify(&["--strict"]).ok());
    let expected = json!({"public.books": {"as_before": BOOKS}});
    assert_eq!(verified.get("relinks"), &expected);
}

#[test]
fn so_does_the_time_of_the_commit() {
    let first = "update books set editor_id = null where id = 2; select pg_sleep(0.1)";
    let incident = incident(first, WITH_TIME);
    let expected = json!({"relinked": BOOKS - 1, "unproven": 1});
    assert_eq!(restored(&incident, &[], 0), expected);
    assert_eq!(left(&incident), ["2 unproven"]);
    let proofs = "select distinct proof from reinstate.relinked";
    assert_eq!(incident.live.query_text(proofs), "committed");
}

#[test]
fn an_owner_who_did_it_himself_is_not_overruled() {
    let incident = incident(
        "update books set editor_id = null where id = 2",
        WITH_TRANSACTION,
    );
    let proven = json!({"relinked": BOOKS - 1, "unproven": 1});
    assert_eq!(restored(&incident, &[], 0), proven);
    assert_eq!(
        edited_by(&incident, "3, 4"),
        "3:4 12:3 13:4 22:3 23:4 32:3 33:4"
    );
    let verified = Ledger::of(&incident.verify(&[]).ok());
    let expected = json!({"public.books": {"as_before": BOOKS - 1, "null": 1}});
    assert_eq!(verified.get("relinks"), &expected);
    // Unless somebody asks for it; then it is taken back alone, and known to be ours the next time.
    let all = json!({"relinked": 1, "as_before": BOOKS - 1});
    assert_eq!(restored(&incident, &["--relinks", "all"], 0), all);
    as_before(&incident);
    let undone = Ledger::of(&incident.undo().ok());
    assert_eq!(undone.get("unlinked"), 1);
    assert_eq!(edited_by(&incident, "3"), "12:3 22:3 32:3");
    assert_eq!(restored(&incident, &[], 0), all);
    let proof = "select proof from reinstate.relinked join reinstate.run using (run) order by started desc limit 1";
    assert_eq!(incident.live.query_text(proof), "undo");
    as_before(&incident);
}

#[test]
fn without_evidence_only_rows_that_are_otherwise_as_they_were() {
    let incident = incident("update books set title = 'mine' where id = 12", "");
    assert_eq!(
        restored(&incident, &["--relinks", "none"], 0),
        json!({"not_asked": BOOKS})
    );
    assert_eq!(restored(&incident, &[], 0), json!({"unproven": BOOKS}));
    assert_eq!(edited_by(&incident, "3, 4"), "");
    let all = json!({"relinked": BOOKS - 1, "changed": 1});
    assert_eq!(restored(&incident, &["--relinks", "all"], 0), all);
    assert_eq!(left(&incident), ["12 changed"]);
    assert_eq!(edited_by(&incident, "3"), "2:3 22:3 32:3");
}

#[test]
fn what_points_elsewhere_or_is_gone_is_left() {
    let incident = incident("", WITH_TRANSACTION);
    incident
        .live
        .run("update books set editor_id = 9 where id = 2; delete from books where id = 3; update books set title = 'new' where id = 12");
    let expected = json!({"relinked": BOOKS - 3, "reassigned": 1, "gone": 1, "unproven": 1});
    assert_eq!(restored(&incident, &[], 0), expected);
    assert_eq!(left(&incident), ["12 unproven", "2 reassigned", "3 gone"]);
    let verified = Ledger::of(&incident.verify(&[]).ok());
    let expected =
        json!({"public.books": {"as_before": BOOKS - 3, "elsewhere": 1, "gone": 1, "null": 1}});
    assert_eq!(verified.get("relinks"), &expected);
}

#[test]
fn a_reference_set_to_its_default_is_listed() {
    let incident = incident_of(
        "create table loans (id int primary key, reader_id int default 1 references people on delete set default);
         insert into loans select n, n from generate_series(1, 10) n",
        "",
        WITH_TRANSACTION,
    );
    let manifest: Value =
        serde_json::from_str(&incident.case.read("bundle/manifest.json")).unwrap();
    assert_eq!(manifest["totals"]["set_default"], 2);
    assert_eq!(manifest["totals"]["relinks"], BOOKS);
    let expected = json!({"relinked": BOOKS, "set_default": 2});
    assert_eq!(restored(&incident, &["--relinks", "all"], 0), expected);
    let text = incident.case.read("relinks.jsonl");
    let held: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["held"][0].clone())
        .collect();
    assert_eq!(held, [json!("3"), json!("4")]);
    let loans =
        "select string_agg(reader_id::text, ' ' order by id) from loans where id in (1, 3, 4)";
    assert_eq!(incident.live.query_text(loans), "1 1 1");
}

#[test]
fn of_a_composite_reference_only_what_was_emptied() {
    if database().count("select current_setting('server_version_num')::int") < 150_000 {
        // ON DELETE SET NULL of some columns only came with 15.
        return;
    }
    let incident = incident_of(
        "create table seats (id int primary key, tenant int not null, holder int, place text, unique (tenant, holder));
         create table members (tenant int, id int, primary key (tenant, id));
         insert into members select n % 3, n from generate_series(1, 9) n;
         alter table seats add foreign key (tenant, holder) references members (tenant, id) on delete set null (holder);
         insert into seats select n, n % 3, n, 'place ' || n from generate_series(1, 9) n",
        "begin; insert into deletions values (0); delete from members where id in (2, 5); commit",
        &format!("{WITH_TRANSACTION}\n[[audit]]\ntable = 'members'\nlive_sql = 'select t.tenant, t.id, d.at as deleted_at, d.xmin as xid from deletions d, (values (2, 2), (2, 5)) t (tenant, id) where d.of_id = 0'\n"),
    );
    assert_eq!(restored(&incident, &[], 0), json!({"relinked": BOOKS + 2}));
    as_before(&incident);
    let undone = Ledger::of(&incident.undo().ok());
    assert_eq!(undone.get("unlinked"), BOOKS + 2);
    assert_eq!(dump(&incident.live), incident.after_loss);
}

#[test]
fn a_row_used_in_the_place_of_the_parent() {
    let incident = incident_of(
        "alter table people add email text unique; update people set email = 'p' || id",
        "",
        WITH_TRANSACTION,
    );
    incident
        .live
        .run("insert into people values (30, 'name 3', 'p3')");
    // Left out, nothing points at it; the reference stays NULL.
    let expected = json!({"relinked": 4, "parent_not_back": 4});
    assert_eq!(restored(&incident, &[], 4), expected);
    assert_eq!(edited_by(&incident, "3, 30"), "");
    let expected = json!({"relinked": 4, "as_before": 4});
    assert_eq!(
        restored(&incident, &["--on-conflict", "remap"], 0),
        expected
    );
    assert_eq!(edited_by(&incident, "3, 30"), "2:30 12:30 22:30 32:30");
    let verified = Ledger::of(&incident.verify(&[]).ok());
    assert_eq!(
        verified.get("relinks"),
        &json!({"public.books": {"as_before": BOOKS}})
    );
    // Done is done, whatever the policy.
    assert_eq!(restored(&incident, &[], 0), json!({"as_before": BOOKS}));
}

#[test]
fn a_stranger_under_the_parents_key_gets_nothing() {
    let incident = incident("", WITH_TRANSACTION);
    incident
        .live
        .run("insert into people values (3, 'somebody else')");
    let expected = json!({"relinked": 4, "parent_not_back": 4});
    assert_eq!(restored(&incident, &["--relinks", "all"], 4), expected);
    assert_eq!(edited_by(&incident, "3, 4"), "3:4 13:4 23:4 33:4");
}

#[test]
fn a_canary_fills_what_its_units_allow() {
    let incident = incident("", WITH_TRANSACTION);
    let first = Ledger::of(&incident.restore_with(&["--max-units", "1"]).expect_code(4));
    assert_eq!(totals(&first), json!({"relinked": 4, "pending": 4}));
    let second = Ledger::of(&incident.restore().ok());
    // One run under one id.
    assert_eq!(totals(&second), json!({"relinked": BOOKS}));
    as_before(&incident);
}

#[test]
fn a_journal_of_an_earlier_version() {
    let incident = incident("", WITH_TRANSACTION);
    Ledger::of(&incident.restore_with(&["--relinks", "none"]).ok());
    let tables = "select count(*) from pg_class where relname in ('relinked', 'unlinked')";
    let live = &incident.live;
    live.run("drop table reinstate.relinked, reinstate.unlinked; delete from reinstate.version; insert into reinstate.version values (5)");
    assert_eq!(live.count(tables), 0);
    assert_eq!(
        restored(&incident, &["--relinks", "none"], 0),
        json!({"not_asked": BOOKS})
    );
    assert_eq!(live.count(tables), 0);
    assert_eq!(restored(&incident, &[], 0), json!({"relinked": BOOKS}));
    assert_eq!(
        live.query_text("select max(version) from reinstate.version"),
        "6"
    );
    as_before(&incident);
}
