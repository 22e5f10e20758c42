//! Parents that live still has, by their key: are they the rows that the snapshot's children belonged to?
//!
//! A parent that was deleted and created again under the same key (a sequence that was restarted, an import) is another
//! one, and children would come back under a stranger. An edited parent is the same one. Which it is only people can say; what
//! is cheap to see is a difference in what rarely changes: the time of creation, and the values of other unique keys.

use std::collections::BTreeMap;

use crate::bundle::DoubtfulParent;
use crate::catalog::{Column, Locator, Relation, Schema, Table};
use crate::closure::Units;
use crate::diff::Sides;
use crate::evidence::says_when_created;
use crate::ident::{Key, quote_ident};
use crate::pg::{PgError, Session};

use super::edges::References;

/// Parents that one question holds.
const ROWS_A_QUESTION: usize = 5_000;
/// Keys listed per relation.
const LISTED: usize = 10;
/// What a parent holds in the columns asked for.
type Values = Vec<Option<String>>;

/// The relations over which rows of the bundle need a parent that looks like another row in live.
pub(super) async fn doubtful(
    sides: &Sides,
    (snapshot, live): (&Schema, &Schema),
    relations: &[Relation],
    references: &References,
    units: &Units,
) -> Result<Vec<DoubtfulParent>, PgError> {
    let mut found = Vec::new();
    let (Some(before), Some(now)) = (sides.snapshot.first(), sides.live.first()) else {
        return Ok(found);
    };
    for (number, relation) in relations.iter().enumerate() {
        let (Some(old), Some(new)) = (
            snapshot.tables.get(&relation.parent),
            live.tables.get(&relation.parent),
        ) else {
            continue;
        };
        let columns = telling(old, new, relation);
        let needed = needed(number, references, units);
        if columns.is_empty() || needed.is_empty() {
            continue;
        }
        let parents: Vec<&Key> = needed.keys().copied().collect();
        let (mut others, mut differing) = (Vec::new(), vec![false; columns.len()]);
        for chunk in parents.chunks(ROWS_A_QUESTION) {
            let before = values(before, old, relation, &columns, chunk).await?;
            let now = values(now, new, relation, &columns, chunk).await?;
            for (n, key) in chunk.iter().enumerate() {
                let (Some(before), Some(now)) = (before.get(&n), now.get(&n)) else {
                    continue;
                };
                if before != now {
                    let pairs = before.iter().zip(now);
                    (differing.iter_mut().zip(pairs)).for_each(|(d, (b, n))| *d |= b != n);
                    others.push(*key);
                }
            }
        }
        if !others.is_empty() {
            let differing = columns.iter().zip(differing).filter(|(_, d)| *d);
            found.push(DoubtfulParent {
                child: relation.child.clone(),
                parent: relation.parent.clone(),
                columns: differing.map(|(c, _)| (*c).to_owned()).collect(),
                parents: others.len() as u64,
                rows: others.iter().map(|key| needed[key]).sum(),
                keys: others.into_iter().take(LISTED).cloned().collect(),
            });
        }
    }
    Ok(found)
}

/// Columns that tell a parent from another, of one type on both sides, besides those that the reference itself compares.
fn telling<'a>(old: &'a Table, new: &Table, relation: &Relation) -> Vec<&'a str> {
    let unique = |column: &Column| {
        let mut uniques = old.uniques.iter().filter(|u| !u.special && !u.primary);
        uniques.any(|u| u.columns.contains(&column.name))
    };
    let created = |column: &Column| says_when_created(column);
    let alike = |column: &Column| {
        let there = new.column(&column.name);
        there.is_some_and(|c| c.type_name == column.type_name)
            && !relation.parent_columns.contains(&column.name)
            && !old.key.contains(&column.name)
    };
    let columns = old.columns.iter();
    let telling = columns.filter(|c| (unique(c) || created(c)) && alike(c));
    telling.map(|c| c.name.as_str()).collect()
}

/// The parents outside the bundle that its rows need over a relation, and how many rows need each.
fn needed<'a>(number: usize, references: &'a References, units: &Units) -> BTreeMap<&'a Key, u64> {
    let mut needed = BTreeMap::new();
    for (node, relation, place) in &references.needs {
        let (key, unit) = &references.parents[*place as usize];
        if usize::from(*relation) == number && unit.is_none() && units.unit_of(*node).is_some() {
            *needed.entry(key).or_default() += 1;
        }
    }
    needed
}

async fn values(
    session: &Session,
    table: &Table,
    relation: &Relation,
    columns: &[&str],
    keys: &[&Key],
) -> Result<BTreeMap<usize, Values>, PgError> {
    let locator = Locator::by_names(table, &relation.parent_columns);
    let texts: Vec<String> = columns
        .iter()
        .map(|c| format!("t.{}::text", quote_ident(c)))
        .collect();
    let sql = format!(
        "select k.n, array[{}]
           from {} join {} t on {}",
        texts.join(", "),
        locator.list(keys.iter().copied()),
        table.from_sql(),
        locator.matches("t"),
    );
    let doing = format!("comparing parents in {}", table.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    let place = |n: i64| usize::try_from(n).unwrap_or(1) - 1;
    Ok(rows.iter().map(|r| (place(r.get(0)), r.get(1))).collect())
}
