//! `RESTORE.txt`: how to put a bundle back with psql and zstd, for the day on which this program cannot be used.
//!
//! Pure. Guarantees that what it prints is safe to paste: names are quoted for SQL and for the shell, and none can end a
//! line.

use std::fmt::Write;

use super::format::{
    DroppedColumn, ManifestColumn, ManifestDraft, ManifestRelation, ManifestTable, WantingColumn,
};
use crate::ident::{TableName, quote_ident};

/// What decides how the values in the files are read, as a session pins it.
const SETTINGS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO,YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    ("row_security", "off"),
    ("lock_timeout", "500ms"),
];

const HEAD: &str = "\
How to put this bundle back by hand
===================================

For the day on which `reinstate restore` cannot be used: needs psql, zstd, and for step 1 jq. It does not do what
`reinstate restore` does: it does not look for what is in the way (a key or unique value that exists again stops it),
keeps no journal, cannot be undone, does not spare the application, and does not fill references that the deletion set
to NULL. Rehearse it on a copy of the database first.

The files hold personal data. They are for their owner only: keep it so, and remove them when the incident is closed.
";

const CHECK: &str = "
1. Check that nothing was changed
---------------------------------

In the directory of this file; every line must say OK:

sha256sum -c manifest.json.sha256
jq -r '.files[] | .sha256 + \"  \" + .path' manifest.json | sha256sum -c
";

const WANTING: &str = "
Before step 2: columns that must be filled
------------------------------------------

When this bundle was written, live had columns that it lacks, NOT NULL and without a default. No row goes in without a
value for each: `reinstate restore` takes it from [[fill]] in reinstate.toml (its value there is the one to use). By hand
a default does, which whatever the application inserts meanwhile without naming the column gets as well:

";

const DROPPED: &str = "
Columns that are left out
-------------------------

When this bundle was written, live no longer had these columns, or computed them itself. Step 2 reads their values and
leaves them out; they stay in the bundle:

";

const TOGETHER: &str = "
2. Put everything back, in one transaction
------------------------------------------

In the directory of this file, with PGHOST, PGDATABASE, PGUSER (or PGSERVICE) naming the database to repair. The rows
go into temporary tables first, then into place, parents before children; tables that reference each other go in by one
statement, so that no reference is checked before its row is there. Any error takes all of it back. The triggers of the
tables fire; to suppress them, and the foreign keys with them, add `set session_replication_role = replica;` after
`begin;` (needs the right to, and the references must then be checked by hand).

psql -X -v ON_ERROR_STOP=1 <<'END_OF_BUNDLE'
";

/// Creates the large objects that are not there, and stops where another one has a number.
const LARGE_OBJECTS: &str = "
create temp table bundle_large_objects (loid oid, start int8, data bytea) on commit drop;
\\copy bundle_large_objects from program 'zstdcat large_objects.copy.zst'
do $$
declare other oid;
begin
  select b.loid into other from bundle_large_objects b join pg_largeobject_metadata m on m.oid = b.loid
   where lo_get(m.oid, b.start, 262144) <> b.data limit 1;
  if found then
    raise exception 'large object % is there with another content', other;
  end if;
  delete from bundle_large_objects b using pg_largeobject_metadata m where m.oid = b.loid;
  perform lo_create(loid) from (select distinct loid from bundle_large_objects) o;
  perform lo_put(loid, start, data) from bundle_large_objects;
end $$;
";

const APART: &str = "
3. Or table by table
--------------------

Each line is a transaction of its own: other sessions see parents without their children meanwhile, and an error leaves
what went in before. In this order; not without step 1, as a damaged file would go in as far as it can be read.

";

/// The text for a bundle of these tables.
pub(super) fn render(tables: &[ManifestTable], draft: &ManifestDraft) -> String {
    let mut out = HEAD.to_owned();
    out += &facts(tables, draft);
    out += CHECK;
    out += &dropped(&draft.dropped);
    out += &wanting(&draft.wanting);
    out += TOGETHER;
    out += &script(tables, draft);
    out += "END_OF_BUNDLE\n";
    out += APART;
    if draft.totals.large_objects > 0 {
        out += "# the large objects that rows point at go in as step 2 does, from its `begin` on, before the rows\n";
    }
    out += &pipes(tables, draft);
    out += &afterwards(draft);
    out
}

fn facts(tables: &[ManifestTable], draft: &ManifestDraft) -> String {
    let totals = draft.totals;
    let from = draft.window.from.as_deref().unwrap_or("unknown");
    let taken = draft.source.snapshot_time.as_deref();
    format!(
        "
written    {} by reinstate {} ({})
source     database {}, backup of {}
window     from {} to {}
holds      {} rows, {} units, {} tables
",
        one_line(&draft.created),
        one_line(&draft.tool.version),
        one_line(&draft.tool.commit),
        one_line(&draft.source.database),
        one_line(taken.unwrap_or("an unknown time")),
        one_line(from),
        one_line(&draft.window.to),
        totals.rows,
        totals.units,
        tables.len(),
    )
}

/// Names the columns that are not written.
fn dropped(columns: &[DroppedColumn]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let mut out = DROPPED.to_owned();
    for of in columns {
        let _ = writeln!(
            out,
            "{}, column {}",
            table_sql(&of.table),
            quoted(&of.column)
        );
    }
    out
}

/// What gives columns of live a value that the bundle has none for.
fn wanting(columns: &[WantingColumn]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let mut out = WANTING.to_owned();
    let column = |of: &WantingColumn| {
        let (table, column) = (table_sql(&of.table), quoted(&of.column));
        format!("alter table {table} alter column {column}")
    };
    for of in columns {
        let (sql, type_name) = (column(of), one_line(&of.type_name));
        let _ = writeln!(out, "{sql} set default 'VALUE';  -- {type_name}");
    }
    out += "\nAfterwards:\n\n";
    for of in columns {
        let _ = writeln!(out, "{} drop default;", column(of));
    }
    out
}

fn script(tables: &[ManifestTable], draft: &ManifestDraft) -> String {
    let order = &draft.insertion_order;
    let mut out = String::from("begin;\n");
    for (name, value) in SETTINGS {
        let _ = writeln!(out, "set local {name} = '{value}';");
    }
    if draft.totals.large_objects > 0 {
        out += LARGE_OBJECTS;
    }
    for &place in order.iter().flatten() {
        let table = &tables[place];
        let stage = stage(place);
        let _ = write!(
            out,
            "
create temp table {stage} on commit drop as
  select {} from {} with no data;
\\copy {stage} from program 'zstdcat {}'
",
            staged(table, &draft.dropped),
            table_sql(&table.table),
            table.file
        );
    }
    for group in order {
        out.push('\n');
        out += &insert(tables, group, &draft.dropped);
    }
    out += "\ncommit;\n";
    out
}

/// One statement that inserts the tables of a group: what references what is checked at its end.
fn insert(tables: &[ManifestTable], group: &[usize], dropped: &[DroppedColumn]) -> String {
    let one = |place: usize| {
        let table = &tables[place];
        let inserted = inserted(table, dropped);
        let list = match inserted.as_str() {
            "" => String::new(),
            some => format!(" ({some})"),
        };
        let given = match inserted == columns(table) {
            true => "*",
            false => &inserted,
        };
        format!(
            "insert into {}{list}\n  overriding system value select {given} from {}",
            table_sql(&table.table),
            stage(place)
        )
    };
    let Some((&last, before)) = group.split_last() else {
        return String::new();
    };
    let with: Vec<_> = before
        .iter()
        .map(|&p| format!("put_{} as (\n{}\n)", stage(p), one(p)))
        .collect();
    match with.is_empty() {
        true => format!("{};\n", one(last)),
        false => format!("with {}\n{};\n", with.join(", "), one(last)),
    }
}

fn pipes(tables: &[ManifestTable], draft: &ManifestDraft) -> String {
    let options: Vec<_> = SETTINGS
        .iter()
        .map(|(name, value)| format!("-c {name}={value}"))
        .collect();
    let mut out = format!(
        "export PGCLIENTENCODING=UTF8 PGOPTIONS='{}'\n",
        options.join(" ")
    );
    for group in &draft.insertion_order {
        if group.len() > 1 {
            let names: Vec<_> = group
                .iter()
                .map(|&p| one_line(&tables[p].table.to_string()))
                .collect();
            let _ = writeln!(
                out,
                "# these reference each other; put them in as step 2 does: {}",
                names.join(", ")
            );
            continue;
        }
        for &place in group {
            let table = &tables[place];
            let list = match columns(table) {
                none if none.is_empty() => none,
                some => format!("({some}) "),
            };
            if inserted(table, &draft.dropped) != columns(table) {
                let name = one_line(&table.table.to_string());
                let _ = writeln!(
                    out,
                    "# not every column of {name} that is in its file can be written; put it in as step 2 does"
                );
                continue;
            }
            let copy = format!("copy {} {list}from stdin", table_sql(&table.table));
            let _ = writeln!(
                out,
                "zstdcat {} | psql -X -v ON_ERROR_STOP=1 -c '{}'",
                table.file,
                copy.replace('\'', "'\\''")
            );
        }
    }
    out
}

fn afterwards(draft: &ManifestDraft) -> String {
    let mut out = String::from(
        "
4. Afterwards
-------------

- Sequences are not moved: where one stands below the keys that came back, move it with setval.
- relinks.jsonl.zst lists the references that the deletion set to NULL; they are still NULL.
- units.jsonl.zst lists under `needs` the rows that were expected to be there.
",
    );
    if draft.totals.large_objects > 0 {
        out += OWNERS;
    }
    for relation in draft.relations.iter().filter(|r| r.declared) {
        let _ = writeln!(
            out,
            "- No foreign key guards {}; look for rows that point at nothing.",
            shown(relation)
        );
    }
    out
}

/// Who creates a large object owns it.
const OWNERS: &str = r#"- The large objects belong to the role that put them back. This prints what gives them to those whose they were:
  zstdcat large_objects.jsonl.zst | jq -r '"alter large object \(.loid) owner to \"" + (.owner | gsub("\""; "\"\"")) + "\";"'
  Those that were there already are among them. `grants` of the same file has the rights that others had.
"#;

fn shown(relation: &ManifestRelation) -> String {
    one_line(&format!(
        "{}({}) to {}({})",
        relation.child,
        relation.child_columns.join(", "),
        relation.parent,
        relation.parent_columns.join(", ")
    ))
}

/// The temporary table for the table at `place`.
fn stage(place: usize) -> String {
    format!("bundle_{:03}", place + 1)
}

fn columns(table: &ManifestTable) -> String {
    let names: Vec<_> = table.stored_columns().map(|c| quoted(&c.name)).collect();
    names.join(", ")
}

/// The columns of a temporary table: those of the file, as live has them.
fn staged(table: &ManifestTable, dropped: &[DroppedColumn]) -> String {
    let column = |c: &ManifestColumn| {
        let name = quoted(&c.name);
        match is_dropped(table, c, dropped) {
            true => format!("null::text as {name}"),
            false => name,
        }
    };
    let names: Vec<_> = table.stored_columns().map(column).collect();
    names.join(", ")
}

fn inserted(table: &ManifestTable, dropped: &[DroppedColumn]) -> String {
    let columns = table.inserted_columns();
    let there = columns.filter(|c| !is_dropped(table, c, dropped));
    let names: Vec<_> = there.map(|c| quoted(&c.name)).collect();
    names.join(", ")
}

fn is_dropped(table: &ManifestTable, column: &ManifestColumn, dropped: &[DroppedColumn]) -> bool {
    let mut dropped = dropped.iter();
    dropped.any(|d| d.table == table.table && d.column == column.name)
}

fn table_sql(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

/// An identifier that stays on its line, whatever is in it.
///
/// Source: PostgreSQL manual, 4.1.1, "Unicode escapes".
fn quoted(name: &str) -> String {
    if !name.contains(char::is_control) {
        return quote_ident(name);
    }
    let escaped = |c: char| match c {
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => format!("\\{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    let escaped: String = name.chars().map(escaped).collect();
    format!("U&{}", quote_ident(&escaped))
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
