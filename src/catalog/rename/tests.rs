use std::collections::BTreeMap;

use super::*;

/// Tables with their columns.
struct Made(BTreeMap<TableName, Vec<&'static str>>);

impl Names for Made {
    fn columns(&self, table: &TableName) -> Option<Vec<&str>> {
        self.0.get(table).cloned()
    }
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn made(tables: &[(&str, &[&'static str])]) -> Made {
    Made(
        tables
            .iter()
            .map(|(t, columns)| (name(t), columns.to_vec()))
            .collect(),
    )
}

fn table(from: &str, to: &str) -> Rename {
    Rename::Table {
        from: name(from),
        to: name(to),
    }
}

fn column(of: &str, from: &str, to: &str) -> Rename {
    Rename::Column {
        table: name(of),
        from: from.into(),
        to: to.into(),
    }
}

#[test]
fn either_name_of_the_table_leads_to_its_column() {
    let snapshot = made(&[("dossiers", &["id", "title"])]);
    let live = made(&[("app.cases", &["id", "heading"])]);
    for of in ["dossiers", "app.cases"] {
        let entries = [
            column(of, "title", "heading"),
            table("dossiers", "app.cases"),
        ];
        let renames = Renames::check(&entries, &snapshot, &live).unwrap();
        assert_eq!(renames.table(&name("dossiers")), &name("app.cases"));
        assert_eq!(renames.column(&name("dossiers"), "title"), "heading");
        assert_eq!(renames.column(&name("dossiers"), "id"), "id");
        // A backup from after the migration of the table, and before that of the column.
        let between = made(&[("app.cases", &["id", "title"])]);
        let renames = Renames::of(&entries, &between);
        assert_eq!(renames.table(&name("app.cases")), &name("app.cases"));
        assert_eq!(renames.column(&name("app.cases"), "title"), "heading");
        // One from after both.
        assert!(Renames::of(&entries, &live).is_empty());
    }
}

#[test]
fn a_name_can_be_handed_on() {
    let snapshot = made(&[("a", &["x"]), ("b", &["x"])]);
    let live = made(&[("b", &["y"]), ("c", &["x"])]);
    let entries = [table("a", "b"), table("b", "c"), column("a", "x", "y")];
    let renames = Renames::check(&entries, &snapshot, &live).unwrap();
    assert_eq!(renames.table(&name("a")), &name("b"));
    assert_eq!(renames.table(&name("b")), &name("c"));
    assert_eq!(renames.column(&name("a"), "x"), "y");
    assert_eq!(renames.column(&name("b"), "x"), "x");
    assert!(Renames::of(&entries, &live).is_empty());
}

#[test]
fn what_cannot_be_followed_is_named() {
    let snapshot = made(&[("a", &["x", "y"]), ("b", &["x"])]);
    let live = made(&[("a", &["x", "y", "z"]), ("b", &["x"]), ("c", &["x"])]);
    let cases: &[(&[Rename], &str)] = &[
        (&[table("a", "d")], "live has no table public.d"),
        (&[table("d", "c")], "the snapshot has no table public.d"),
        (&[table("d", "b")], "the snapshot has public.b already"),
        (&[table("a", "b")], "the snapshot has public.a and public.b"),
        (
            &[table("a", "c"), table("b", "c")],
            "another entry renames public.a to public.c too",
        ),
        (
            &[table("a", "b"), table("a", "c")],
            "another entry renames public.a too",
        ),
        (
            &[table("a", "b"), table("b", "a")],
            "the snapshot has public.a and public.b",
        ),
        (&[column("a", "x", "w")], "live's public.a has no column w"),
        (
            &[column("a", "w", "z")],
            "the snapshot's public.a has no column w",
        ),
        (
            &[column("a", "w", "y")],
            "the snapshot's public.a has y already",
        ),
        (
            &[column("a", "x", "y")],
            "the snapshot's public.a has x and y",
        ),
        (
            &[column("d", "x", "y")],
            "the snapshot has no table public.d",
        ),
        (
            &[
                table("a", "c"),
                column("a", "y", "z"),
                column("c", "y", "x"),
            ],
            "another entry renames y too",
        ),
    ];
    for (entries, reason) in cases {
        let error = Renames::check(entries, &snapshot, &live).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().starts_with("[[rename]] of "), "{error}");
    }
}

#[test]
fn a_bundle_is_renamed_only_by_what_it_does_not_know() {
    let nothing = |_: &Rename| false;
    let bundle = made(&[("a", &["x"])]);
    let entries = [table("a", "b"), column("b", "x", "y")];
    let live = made(&[("b", &["y"])]);
    let renames = Renames::check_since(&entries, &bundle, &live, nothing).unwrap();
    assert_eq!(renames.table(&name("a")), &name("b"));
    assert_eq!(renames.column(&name("a"), "x"), "y");
    // It knows that the table was renamed, and calls it so.
    let bundle = made(&[("b", &["x"])]);
    let known = |entry: &Rename| *entry == table("a", "b");
    let renames = Renames::check_since(&entries, &bundle, &live, known).unwrap();
    assert_eq!(renames.column(&name("b"), "x"), "y");
    // The old name is in use again: by whom, the bundle cannot say.
    let live = made(&[("a", &["x"]), ("b", &["x", "y"])]);
    for entries in [[table("a", "b")], [column("b", "x", "y")]] {
        let bundle = made(&[("a", &["x"]), ("c", &["x"])]);
        let bundle = match entries[0] {
            Rename::Table { .. } => bundle,
            Rename::Column { .. } => made(&[("b", &["x"])]),
        };
        let error = Renames::check_since(&entries, &bundle, &live, nothing).unwrap_err();
        assert!(error.to_string().contains("extract again"), "{error}");
        let known = |entry: &Rename| *entry == entries[0];
        assert!(
            Renames::check_since(&entries, &bundle, &live, known)
                .unwrap()
                .is_empty()
        );
    }
    // What is not in the bundle must still be in live.
    let error = Renames::check_since(&[table("a", "d")], &bundle, &live, nothing).unwrap_err();
    assert!(
        error.to_string().contains("live has no table public.d"),
        "{error}"
    );
}
