//! The content of a database as PostgreSQL itself tells it, for "identical to before".

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::TestDb;

/// Every row of every table as `schema.table (columns): values`, sorted; values in COPY's text form, so that one row is
/// one line. After them every large object as `large object N: owner, bytes, SHA-256`. Without sequences (they do not come back) and
/// without schema `reinstate`.
pub(crate) fn dump(db: &TestDb) -> String {
    let output = db
        .client("pg_dump")
        .args(["--data-only", "-b", "--exclude-schema=reinstate"])
        .output()
        .expect("pg_dump starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pg_dump: {complaint}");
    let text = String::from_utf8(output.stdout).expect("a dump is UTF-8");
    let mut rows = rows(&text);
    rows.extend(large_objects(&text));
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

/// Large objects: created by `lo_create` (or, by a newer pg_dump, in one statement for many), filled by `lowrite` after `lo_open`.
fn large_objects(text: &str) -> Vec<String> {
    let mut objects: BTreeMap<u64, (String, u64, Sha256)> = BTreeMap::new();
    let number = |line: &str, after: &str, until: char| -> Option<u64> {
        let (_, rest) = line.split_once(after)?;
        rest.split(until).next()?.trim_matches('\'').parse().ok()
    };
    let (mut open, mut copying) = (None, false);
    for line in text.split('\n') {
        if copying || line.starts_with("COPY ") {
            copying = line != "\\.";
        } else if let Some(loid) = number(line, "pg_catalog.lo_create('", '\'') {
            objects.entry(loid).or_default();
        } else if let Some(loid) = number(line, "ALTER LARGE OBJECT ", ' ') {
            let owner = line.rsplit(' ').next().unwrap().trim_end_matches(';');
            objects.entry(loid).or_default().0 = owner.to_owned();
        } else if let Some(loid) = number(line, "pg_catalog.lo_open('", '\'') {
            open = Some(loid);
        } else if let Some((_, data)) = line.split_once("pg_catalog.lowrite(0, '\\x") {
            let hex = data.trim_end_matches("');");
            let (_, size, digest) = objects
                .get_mut(&open.expect("an object is open"))
                .expect("it was created");
            *size += hex.len() as u64 / 2;
            digest.update(hex);
        }
    }
    let shown = |(loid, (owner, size, digest)): (u64, (String, u64, Sha256))| {
        let digest = digest.finalize();
        let digest: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        format!("large object {loid}: {owner}, {size} bytes, {digest}")
    };
    objects.into_iter().map(shown).collect()
}

#[test]
fn large_objects_are_read_from_a_dump() {
    let db = super::database();
    db.run("select lo_from_bytea(4200, 'a'); select lo_create(4201); create table t (a text); insert into t values ('ALTER LARGE OBJECT 9 x')");
    let before = dump(&db);
    let lines: Vec<&str> = before.lines().collect();
    assert_eq!(lines.len(), 3, "{before}");
    assert!(
        lines[0].starts_with("large object 4200: postgres, 1 bytes, "),
        "{before}"
    );
    assert!(
        lines[1].starts_with("large object 4201: postgres, 0 bytes, "),
        "{before}"
    );
    db.run("select lo_put(4200, 0, 'b')");
    let changed = dump(&db);
    assert_ne!(changed, before);
    db.run("select lo_unlink(4201)");
    assert_eq!(dump(&db).lines().count(), 2);
}

#[test]
fn a_dump_is_read_row_by_row() {
    let text = "SET x;\nCOPY public.t (a, b) FROM stdin;\n1\tx\\ny\n\\.\n\n\
                SELECT pg_catalog.setval('s', 1);\nCOPY public.u (a) FROM stdin;\n\\.\n";
    assert_eq!(rows(text), ["public.t (a, b): 1\tx\\ny"]);
}
