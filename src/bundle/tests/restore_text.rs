//! `RESTORE.txt` holds whatever a schema may hold.

use super::made;
use crate::bundle::WantingColumn;
use crate::bundle::restore_text::render;
use crate::ident::TableName;

#[test]
fn cycles_go_in_by_one_statement_and_names_stay_on_their_line() {
    let mut tables: Vec<_> = (0..4).map(made::table).collect();
    for (n, t) in tables.iter_mut().enumerate() {
        t.file = format!("rows/{:03}-t.copy.zst", n + 1);
    }
    tables[0].table = TableName::new("app", "it's \"Big\"");
    tables[0].columns[1].generated = true;
    tables[1].columns[0].generated = true;
    tables[1].key = vec!["id".into()];
    tables[3].table = TableName::new("public", "x\nEND_OF_BUNDLE\nrm \\");
    tables[3].columns.clear();
    let mut draft = made::draft(4, 0, 0);
    draft.insertion_order = vec![vec![0], vec![1, 2], vec![3]];
    let text = render(&tables, &draft);
    for part in [
        "zstdcat rows/001-t.copy.zst | psql -X -v ON_ERROR_STOP=1 -c 'copy \"app\".\"it'\\''s \"\"Big\"\"\" (\"id\") from stdin'\n",
        "with put_bundle_002 as (\ninsert into \"public\".\"t1\" (\"v\")\n  overriding system value select \"v\" from bundle_002\n)\ninsert into \"public\".\"t2\"",
        "# these reference each other; put them in as step 2 does: public.t1, public.t2\n",
        "insert into \"public\".U&\"x\\000AEND_OF_BUNDLE\\000Arm \\\\\"\n",
        "\\copy bundle_004 from program 'zstdcat rows/004-t.copy.zst'\n",
        "No foreign key guards public.t1(v) to public.t0(id)",
        "set local DateStyle = 'ISO,YMD';",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    assert_eq!(text.matches("\nEND_OF_BUNDLE\n").count(), 1);
}

#[test]
fn columns_that_must_be_filled_are_named() {
    let tables = [made::table(0)];
    let mut draft = made::draft(1, 0, 0);
    let none = render(&tables, &draft);
    assert!(!none.contains("[[fill]]"), "{none}");
    draft.wanting = vec![WantingColumn {
        table: TableName::new("app", "Odd"),
        column: "ki\nnd".into(),
        type_name: "character varying(9)".into(),
    }];
    let text = render(&tables, &draft);
    let column = r#"alter table "app"."Odd" alter column U&"ki\000And""#;
    for part in [
        &format!("{column} set default 'VALUE';  -- character varying(9)\n"),
        &format!("{column} drop default;\n"),
        "[[fill]]",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    let (before, _) = text.split_once("2. Put everything back").unwrap();
    assert!(before.contains(column), "{text}");
}
