//! References in live that point at nothing, along a relation that live does not enforce: their values are asked for
//! slice by slice, and looked up in the backup.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::catalog::{Column, Comparable, PageSlices, Relation, Table};
use crate::ident::{Key, array_literal, quote_ident, quote_literal, shown};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::{Dangling, refused};
use crate::diff::Sides;
use crate::diff::lines::key_of_line;

/// Pages (8 KiB) of the child that one statement reads: a quarter of a gigabyte.
const SLICE_PAGES: u64 = 32_768;
/// Values that one question holds.
const VALUES_A_QUESTION: usize = 50_000;
/// Examples given of each kind.
const EXAMPLES: usize = 5;

/// Counts the values along one relation whose row live lacks. Memory: eight bytes for each.
pub(super) async fn look(
    sides: &Sides,
    relation: &Relation,
    (child, parent): (&Comparable, &Comparable),
) -> Result<Dangling, PgError> {
    let place = |table: &Table, columns: &[String]| {
        let columns: Vec<String> = columns.iter().map(|c| shown(c)).collect();
        format!("{}({})", table.name, columns.join(", "))
    };
    let mut found = Dangling {
        from: place(&child.live, &relation.child_columns),
        to: place(&parent.live, &relation.parent_columns),
        when: relation.when.clone(),
        ..Dangling::default()
    };
    let (Some(snapshot), Some(live)) = (sides.snapshot.first(), sides.live.first()) else {
        return Ok(found);
    };
    if let Some(reason) = missing(relation, child, parent) {
        found.reason = Some(reason);
        return Ok(found);
    }
    let search = Search {
        relation,
        child,
        parent,
        snapshot,
        live,
    };
    if let Err(e) = search.run(&mut found).await {
        found.reason = Some(refused(e)?);
    }
    Ok(found)
}

/// A column of the relation that one side lacks.
fn missing(relation: &Relation, child: &Comparable, parent: &Comparable) -> Option<String> {
    let when = relation.when.iter().map(|(column, _)| column);
    let of_child: Vec<&String> = relation.child_columns.iter().chain(when).collect();
    let of_parent: Vec<&String> = relation.parent_columns.iter().collect();
    let lacks = |table: &Table, columns: &[&String]| {
        let column = columns.iter().find(|c| table.column(c).is_none())?;
        Some((table.name.clone(), (*column).clone()))
    };
    let (table, column) =
        lacks(&child.live, &of_child).or_else(|| lacks(&parent.live, &of_parent))?;
    Some(format!("{table} of live has no column {}", shown(&column)))
}

struct Search<'a> {
    relation: &'a Relation,
    child: &'a Comparable,
    parent: &'a Comparable,
    snapshot: &'a Session,
    live: &'a Session,
}

impl Search<'_> {
    async fn run(&self, found: &mut Dangling) -> Result<(), PgError> {
        let doing = format!(
            "looking for rows of {} that point at nothing",
            self.child.live.name
        );
        let mut seen: HashSet<u64> = HashSet::new();
        let mut values: Vec<Key> = Vec::new();
        for slice in PageSlices::of(&self.child.live, SLICE_PAGES).conditions("c") {
            // Read to its end before anything else is asked: a COPY that stalls holds back vacuum.
            let mut lines = CopyLines::start(self.live, &doing, &self.orphans(&slice)).await?;
            while let Some(line) = lines.next().await? {
                let mut hash = DefaultHasher::new();
                line.hash(&mut hash);
                if seen.insert(hash.finish()) {
                    values.push(key_of_line(&line));
                }
            }
            for some in values.chunks(VALUES_A_QUESTION) {
                self.tell_apart(some, found).await?;
            }
            values.clear();
        }
        Ok(())
    }

    /// The distinct values of one slice of live's child that live's parent lacks.
    fn orphans(&self, slice: &str) -> String {
        let (relation, child, parent) = (self.relation, &self.child.live, &self.parent.live);
        let columns: Vec<String> = relation
            .child_columns
            .iter()
            .map(|c| format!("c.{}", quote_ident(c)))
            .collect();
        let texts: Vec<String> = columns.iter().map(|c| format!("{c}::text")).collect();
        let mut conditions = vec![slice.to_owned()];
        conditions.extend(relation.conditions());
        conditions.extend(columns.iter().map(|c| format!("{c} is not null")));
        format!(
            "copy (select distinct {}
                     from {} c
                    where {}
                      and not exists (select from {} p where {})) to stdout",
            texts.join(", "),
            child.from_sql(),
            conditions.join(" and "),
            parent.from_sql(),
            relation.refers(child, parent),
        )
    }

    /// Counts values by what the backup has of them: the row, a reference to it, or neither.
    async fn tell_apart(&self, values: &[Key], found: &mut Dangling) -> Result<(), PgError> {
        let there = self.ask(self.with_row(values)).await?;
        let mut absent = Vec::new();
        for (n, value) in values.iter().enumerate() {
            if there.contains(&n) {
                found.in_snapshot += 1;
                example(&mut found.examples_in_snapshot, value);
            } else {
                absent.push(value.clone());
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        let named = self.ask(self.named(&absent)).await?;
        for (n, value) in absent.iter().enumerate() {
            if named.contains(&n) {
                found.before += 1;
            } else {
                found.in_neither += 1;
                example(&mut found.examples_in_neither, value);
            }
        }
        Ok(())
    }

    /// Asks the backup for values, by place.
    async fn ask(&self, sql: String) -> Result<HashSet<usize>, PgError> {
        let doing = format!(
            "looking for rows of {} in the backup",
            self.parent.live.name
        );
        let rows = self.snapshot.ask(&doing, &sql, &[]).await?;
        let place = |n: i64| usize::try_from(n).unwrap_or(1) - 1;
        Ok(rows.iter().map(|row| place(row.get(0))).collect())
    }

    /// The values whose row the backup's parent has.
    fn with_row(&self, values: &[Key]) -> String {
        let (child, parent) = (&self.child.snapshot, &self.parent.snapshot);
        let typed: Vec<String> = self
            .relation
            .child_columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let value = match child.column(name) {
                    Some(column) => self.cast(column, i),
                    None => format!("v.k{i}"),
                };
                format!("{value} as {}", quote_ident(name))
            })
            .collect();
        // The values as if they were rows of the child, without what makes a polymorphic reference hold: it does.
        let pure = Relation {
            when: Vec::new(),
            ..self.relation.clone()
        };
        format!(
            "select c.reinstate_n from (select v.n as reinstate_n, {} from {}) c
              where exists (select from {} p where {})",
            typed.join(", "),
            list(values, typed.len()),
            parent.from_sql(),
            pure.refers(child, parent),
        )
    }

    /// The values that a row of the backup's child has too.
    fn named(&self, values: &[Key]) -> String {
        let columns = self.relation.child_columns.iter().enumerate();
        let equal: Vec<String> = columns
            .map(|(i, c)| format!("c.{}::text = v.k{i}", quote_ident(c)))
            .chain(self.relation.conditions())
            .collect();
        format!(
            "select v.n from {} where exists (select from {} c where {})",
            list(values, self.relation.child_columns.len()),
            self.child.snapshot.from_sql(),
            equal.join(" and ")
        )
    }

    /// A value of live's child as one of the backup's: as text where the two sides have other types.
    fn cast(&self, column: &Column, place: usize) -> String {
        let same = self.child.live.column(&column.name);
        match same.is_some_and(|l| l.lookup_type == column.lookup_type) {
            true => format!("v.k{place}::{}", column.lookup_type),
            false => format!("v.k{place}"),
        }
    }
}

/// Keeps a value as an example, while there are few.
fn example(examples: &mut Vec<Key>, value: &Key) {
    if examples.len() < EXAMPLES {
        examples.push(value.clone());
    }
}

/// The values as a FROM item `v`, with their place from 1 as `v.n`.
fn list(values: &[Key], width: usize) -> String {
    let arrays: Vec<String> = (0..width)
        .map(|i| {
            let column = values.iter().map(|k| k.0.get(i).map(String::as_str));
            format!("{}::text[]", quote_literal(&array_literal(column)))
        })
        .collect();
    let names: Vec<String> = (0..width).map(|i| format!("k{i}")).collect();
    format!(
        "unnest({}) with ordinality as v({}, n)",
        arrays.join(", "),
        names.join(", ")
    )
}
