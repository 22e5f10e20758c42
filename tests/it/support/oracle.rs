//! The content of a database as PostgreSQL itself tells it, for "identical to before".

use super::TestDb;

/// Every row of every table as `schema.table (columns): values`, sorted; values in COPY's text form, so that one row is
/// one line. Without sequences (they do not come back) and without schema `reinstate`.
pub(crate) fn dump(db: &TestDb) -> String {
    let output = db
        .client("pg_dump")
        .args(["--data-only", "--exclude-schema=reinstate"])
        .output()
        .expect("pg_dump starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pg_dump: {complaint}");
    let text = String::from_utf8(output.stdout).expect("a dump is UTF-8");
    let mut rows = rows(&text);
    rows.sort_unstable();
    rows.join("\n")
}

/// The lines between `COPY … FROM stdin;` and `\.`, each with its table before it.
fn rows(text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let mut table: Option<&str> = None;
    for line in text.split('\n') {
        match table {
            None => {
                table = line
                    .strip_prefix("COPY ")
                    .and_then(|rest| rest.strip_suffix(" FROM stdin;"));
            }
            Some(_) if line == "\\." => table = None,
            Some(name) => rows.push(format!("{name}: {line}")),
        }
    }
    assert!(table.is_none(), "the dump ends within a table");
    rows
}

#[test]
fn a_dump_is_read_row_by_row() {
    let text = "SET x;\nCOPY public.t (a, b) FROM stdin;\n1\tx\\ny\n\\.\n\n\
                SELECT pg_catalog.setval('s', 1);\nCOPY public.u (a) FROM stdin;\n\\.\n";
    assert_eq!(rows(text), ["public.t (a, b): 1\tx\\ny"]);
}
