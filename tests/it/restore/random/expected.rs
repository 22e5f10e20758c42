//! What must hold, read off two dumps: which rows are gone, edited and new, by key where a table has one.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::Table;

/// How two dumps differ.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Lines of the rows that are gone.
    pub(super) deleted: Vec<String>,
    pub(super) changed: u64,
    pub(super) inserted: u64,
}

/// Compares by key where the schema has one; elsewhere as bags of rows.
pub(super) fn compare(tables: &[Table], before: &str, after: &str) -> Difference {
    let mut places = Places::new(tables);
    let mut counts: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for line in before.lines() {
        counts.entry(line).or_default().0 += 1;
    }
    for line in after.lines() {
        counts.entry(line).or_default().1 += 1;
    }
    let keys_after: BTreeSet<String> = after.lines().filter_map(|l| places.key(l)).collect();
    let keys_before: BTreeSet<String> = before.lines().filter_map(|l| places.key(l)).collect();
    let mut found = Difference::default();
    for (line, (b, a)) in counts {
        match places.key(line) {
            Some(key) if b > 0 && !keys_after.contains(&key) => found.deleted.push(line.to_owned()),
            Some(key) if a > 0 && !keys_before.contains(&key) => found.inserted += 1,
            Some(_) => found.changed += u64::from(b > a),
            None => {
                for _ in a..b {
                    found.deleted.push(line.to_owned());
                }
                found.inserted += u64::try_from(a - b).unwrap_or(0);
            }
        }
    }
    found
}

/// A dump with further lines.
pub(super) fn with(dump: &str, lines: &[String]) -> String {
    let mut all: Vec<&str> = dump
        .lines()
        .chain(lines.iter().map(String::as_str))
        .collect();
    all.sort_unstable();
    all.join("\n")
}

/// Whether every line of a dump is in another, as often.
pub(super) fn holds(whole: &str, part: &str) -> bool {
    let (missing, _) = super::super::difference(part, whole);
    missing.is_empty()
}

/// Where the key is in a line, by what the dump writes before the values.
struct Places<'a> {
    tables: &'a [Table],
    known: BTreeMap<String, Option<Vec<usize>>>,
}

impl<'a> Places<'a> {
    fn new(tables: &'a [Table]) -> Self {
        Self {
            tables,
            known: BTreeMap::new(),
        }
    }

    /// Table and key of a line; `None` where the table has no key.
    fn key(&mut self, line: &str) -> Option<String> {
        let (header, values) = split(line);
        let tables = self.tables;
        let places = self
            .known
            .entry(header.to_owned())
            .or_insert_with(|| find(tables, header));
        let values: Vec<&str> = values.split('\t').collect();
        let key: Vec<&str> = places.as_ref()?.iter().map(|p| values[*p]).collect();
        Some(format!("{header}\t{}", key.join("\t")))
    }
}

/// `schema.table (columns)` and the values; the names can hold anything, within quotes.
fn split(line: &str) -> (&str, &str) {
    let (mut quoted, mut open) = (false, false);
    for (i, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => open = true,
            ')' if !quoted && open => {
                return (
                    &line[..=i],
                    line[i + 1..].strip_prefix(": ").expect("values"),
                );
            }
            _ => {}
        }
    }
    panic!("no line of a dump: {line}");
}

fn find(tables: &[Table], header: &str) -> Option<Vec<usize>> {
    let names = identifiers(header);
    let same = |t: &&Table| t.schema == names[0] && t.name == names[1];
    let Some(table) = tables.iter().find(same) else {
        // A partition is dumped by its own name.
        let parent = names[1]
            .rsplit_once(" part ")
            .map(|(name, _)| name.to_owned());
        let of = |t: &&Table| t.schema == names[0] && Some(&t.name) == parent.as_ref();
        return places(
            tables.iter().find(of).expect("a table of the schema"),
            &names[2..],
        );
    };
    places(table, &names[2..])
}

fn places(table: &Table, columns: &[String]) -> Option<Vec<usize>> {
    let place = |k: &usize| {
        columns
            .iter()
            .position(|c| *c == table.columns[*k].name)
            .expect("a key column")
    };
    (!table.key.is_empty()).then(|| table.key.iter().map(place).collect())
}

/// The names in a header, without their quotes.
fn identifiers(header: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let (mut quoted, mut chars) = (false, header.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                names.last_mut().expect("one").push('"');
            }
            '"' => quoted = !quoted,
            '.' | ',' | '(' | ')' | ' ' if !quoted => {
                if !names.last().expect("one").is_empty() {
                    names.push(String::new());
                }
            }
            c => names.last_mut().expect("one").push(c),
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

#[test]
fn headers_are_read_whatever_they_hold() {
    let (header, values) = split("\"Other One\".\"x\"\" (p).,1\" (a, \"b)\"): 1\t: )");
    assert_eq!(values, "1\t: )");
    assert_eq!(identifiers(header), ["Other One", "x\" (p).,1", "a", "b)"]);
}
