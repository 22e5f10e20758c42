//! References that the deletion set to NULL are listed, with what they held.

use serde_json::{Value, json};

use crate::restore::{Incident, Ledger};

/// A book may have an editor, a loan may have a reader, and a note hangs from a book by a reference that nobody stated.
const SETUP: &str = r#"
create table people (id int primary key, code text unique, name text);
create table books (id int primary key, title text, editor_id int references people on delete set null);
create table "Loans" ("No" int, day date, reader text references people (code) on delete set null, primary key ("No", day));
create table notes (id int primary key, book_id int, about text);
create table log (line text, person_id int references people on delete set null);
insert into people select n, 'p' || n, 'name ' || n from generate_series(1, 10) n;
insert into books select n, 'title ' || n, 1 + n % 10 from generate_series(1, 40) n;
insert into "Loans" select n, date '2020-01-01' + n, 'p' || 1 + n % 10 from generate_series(1, 20) n;
insert into notes select n, n, 'x' from generate_series(1, 40) n;
insert into log select 'line', 1 + n % 10 from generate_series(1, 5) n;
"#;

/// People 3 and 4 are deleted, and book 2 (edited by 3) with them; the application has taken the notes off that book itself.
/// Book 12 got another editor before, book 3 lost its editor on purpose.
const LOSS: &str = r#"
update books set editor_id = 9 where id = 12;
update books set editor_id = null where id = 3;
update notes set book_id = null where book_id = 2;
delete from books where id = 2;
delete from people where id in (3, 4);
"#;

const RELATION: &str = "[[relation]]\nfrom = 'notes(book_id)'\nto = 'books(id)'\n";

fn relinks(incident: &Incident) -> Vec<Value> {
    let file = std::fs::File::open(incident.case.file("bundle/relinks.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn what_was_set_to_null_is_listed() {
    let incident = Incident::new(SETUP, LOSS);
    incident.case.write("reinstate.toml", RELATION);
    let output = incident.run(&["extract"]).ok();
    let document = output.json();
    let found = relinks(&incident);
    let mut rows: Vec<String> = found
        .iter()
        .map(|r| {
            format!(
                "{} {} {} {}",
                r["table"], r["key"], r["columns"], r["values"]
            )
        })
        .collect();
    rows.sort();
    // By plain SQL: what pointed at a row that is gone, is still there itself, and is NULL now.
    let expected = incident.snapshot.query_text(
        r#"select '"public.books" ["' || id || '"] ["editor_id"] ["' || editor_id || '"]' from books
            where editor_id in (3, 4) and id not in (2, 12)
           union all select '"public.\"Loans\"" ["' || "No" || '","' || day || '"] ["reader"] ["' || reader || '"]' from "Loans"
            where reader in ('p3', 'p4')
           union all select '"public.notes" ["2"] ["book_id"] ["2"]' order by 1"#,
    );
    let mut expected: Vec<&str> = expected.lines().collect();
    expected.sort_unstable();
    assert_eq!(rows, expected);
    assert!(expected.len() > 8, "{expected:?}");
    assert_eq!(document["totals"]["relinks"], expected.len());
    let notes = document["notes"].to_string();
    assert!(notes.contains("public.log has no key"), "{notes}");
    let words = format!("{} references of rows that live still has", expected.len());
    assert!(output.stderr.contains(&words), "{}", output.stderr);
    // Without evidence, nothing proves that it was the deletion.
    let plan = incident.run(&["restore"]).ok().json();
    assert_eq!(
        plan["relinks"]["totals"],
        json!({"unproven": expected.len()})
    );

    // Each names the unit and the row that it pointed at.
    let of_book = found.iter().find(|r| r["table"] == "public.notes").unwrap();
    let manifest: Value =
        serde_json::from_str(&incident.case.read("bundle/manifest.json")).unwrap();
    let parent = &manifest["tables"][of_book["parent"]["table"].as_u64().unwrap() as usize];
    assert_eq!(
        (&parent["table"], &of_book["parent"]["key"]),
        (&json!("public.books"), &json!(["2"]))
    );
    assert_eq!(manifest["totals"]["relinks"], expected.len());
}

#[test]
fn nothing_is_listed_where_nothing_is_null() {
    let incident = Incident::new(SETUP, "delete from notes where id < 5");
    let extracted: Ledger = incident.extract(&[]);
    assert_eq!(extracted.total("relinks"), 0);
    assert_eq!(relinks(&incident), Vec::<Value>::new());
}
