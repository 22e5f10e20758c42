//! What really differs, found the slow way: every row of both sides as text, compared in a map.
//!
//! The key's columns come from `pg_index`, the content is the whole row as the server prints a record, both in psql.

use std::collections::BTreeMap;

use super::Differences;
use crate::support::TestDb;

/// What differs, table by table, named as the program names them.
pub(super) struct Truth {
    pub(super) tables: BTreeMap<String, TableTruth>,
}

/// One table of both sides.
pub(super) struct TableTruth {
    pub(super) snapshot_rows: u64,
    pub(super) live_rows: u64,
    differences: Differences,
    /// Rows without a key are told by their content; the program tells them by their place.
    keyed: bool,
}

/// Key and content of the rows of a table.
type Rows = Vec<(Vec<String>, String)>;

impl Truth {
    /// Compares every table (partitions through their root) that both sides have, over all its columns.
    pub(super) fn of(snapshot: &TestDb, live: &TestDb) -> Self {
        let (mut a, mut b) = (rows(snapshot), rows(live));
        let names: Vec<String> = a.keys().filter(|n| b.contains_key(*n)).cloned().collect();
        let mut tables = BTreeMap::new();
        for name in names {
            let ((keyed, a), (_, b)) = (a.remove(&name).unwrap(), b.remove(&name).unwrap());
            let truth = TableTruth {
                snapshot_rows: a.len() as u64,
                live_rows: b.len() as u64,
                differences: if keyed {
                    by_key(a, b)
                } else {
                    by_content(a, b)
                },
                keyed,
            };
            tables.insert(name, truth);
        }
        Self { tables }
    }
}

impl TableTruth {
    /// What differs at this depth.
    pub(super) fn at(&self, content: bool) -> Differences {
        let all = self.differences.iter();
        all.filter(|d| content || d.0 != "changed")
            .cloned()
            .collect()
    }

    #[track_caller]
    pub(super) fn assert_same(&self, found: &Differences, expected: &Differences, what: &str) {
        if self.keyed {
            assert_eq!(found, expected, "{what}");
            return;
        }
        let count = |d: &Differences, change: &str| d.iter().filter(|d| d.0 == change).count();
        for change in ["deleted", "inserted", "changed"] {
            assert_eq!(count(found, change), count(expected, change), "{what}");
        }
    }
}

fn by_key(a: Rows, b: Rows) -> Differences {
    let (a, mut b): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (a.into_iter().collect(), b.into_iter().collect());
    let mut found = Vec::new();
    for (key, content) in a {
        match b.remove(&key) {
            None => found.push(("deleted".to_owned(), key)),
            Some(other) if other != content => found.push(("changed".to_owned(), key)),
            Some(_) => {}
        }
    }
    found.extend(b.into_keys().map(|key| ("inserted".to_owned(), key)));
    found.sort();
    found
}

fn by_content(a: Rows, b: Rows) -> Differences {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (rows, step) in [(a, 1), (b, -1)] {
        for (_, content) in rows {
            *counts.entry(content).or_default() += step;
        }
    }
    let mut found = Vec::new();
    for (content, surplus) in counts {
        let change = if surplus > 0 { "deleted" } else { "inserted" };
        for _ in 0..surplus.abs() {
            found.push((change.to_owned(), vec![content.clone()]));
        }
    }
    found
}

/// All rows, by table: whether it has a key, and the rows. One question finds the tables, another reads them all.
fn rows(db: &TestDb) -> BTreeMap<String, (bool, Rows)> {
    let questions = db.query_text(
        "select format('select json_build_array(%L, %s, %s, whole_row::text) from %s%s whole_row',
                       format('%I.%I', n.nspname, c.relname),
                       k.columns is not null,
                       coalesce('json_build_array(' || k.columns || ')', '''[]''::json'),
                       case c.relkind when 'r' then 'only ' end, c.oid::regclass)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           left join lateral (
                select string_agg(format('whole_row.%I::text', a.attname), ', ' order by u.n) as columns
                  from (select (i.indkey::int2[])[0:i.indnkeyatts - 1] as indkey from pg_index i
                         where i.indrelid = c.oid and i.indisunique and i.indpred is null and i.indexprs is null
                           and not exists (select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k(n) join pg_attribute a
                                            on a.attrelid = c.oid and a.attnum = k.n where not a.attnotnull)
                         order by i.indisprimary desc, i.indnkeyatts limit 1) i
                 cross join unnest(i.indkey) with ordinality as u(attnum, n)
                  join pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum) k on true
          where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema')
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0)",
    );
    let mut sql = "set timezone = 'UTC'; set extra_float_digits = 3; set lc_monetary = 'C'; set client_encoding = 'UTF8';\n"
        .to_owned();
    let mut tables: BTreeMap<String, (bool, Rows)> = BTreeMap::new();
    for question in questions.lines() {
        sql.push_str(question);
        sql.push_str(";\n");
        // A table may be empty.
        let name = question.split('\'').nth(1).unwrap();
        tables.insert(
            name.to_owned(),
            (question.contains("', true, "), Vec::new()),
        );
        if question.contains("', t, ") {
            tables.get_mut(name).unwrap().0 = true;
        }
    }
    let sql = sql
        .replace("', t, ", "', true, ")
        .replace("', f, ", "', false, ");
    for line in db.query_text(&sql).lines() {
        let (table, keyed, key, content): (String, bool, Vec<String>, String) =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let entry = tables.get_mut(&table).unwrap();
        assert_eq!(entry.0, keyed);
        entry.1.push((key, content));
    }
    tables
}
