//! Parents that live still has, by their key: are they the rows that the snapshot's children belonged to?
//!
//! A parent that was deleted and created again under the same key (a sequence that was restarted, an import) is another
//! one, and children would come back under a stranger. An edited parent is the same one. What tells is, in this order: the
//! columns that the configuration names; the time of creation; the values of other unique keys, as long as none is as it was.
//! The bundle takes along what each parent held; `restore` compares.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::{DoubtfulParent, RowIdentity};
use crate::catalog::{IdentityRule, Locator, Relation, Schema, Table};
use crate::closure::Units;
use crate::diff::Sides;
use crate::evidence::identity_sets;
use crate::ident::Key;
use crate::pg::{PgError, Session};

use super::edges::References;

/// Parents that one question holds.
const ROWS_A_QUESTION: usize = 5_000;
/// Keys listed per relation.
const LISTED: usize = 10;
/// What a parent holds in the columns asked for.
pub(super) type Values = Vec<Option<String>>;

/// The relations over which rows of the bundle need a parent that looks like another row in live.
pub(super) async fn doubtful(
    sides: &Sides,
    (snapshot, live): (&Schema, &Schema),
    (relations, identities): (&[Relation], &[Option<RowIdentity>]),
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
        let Some(identity) = identities[number].as_ref().and_then(|i| i.within(new)) else {
            continue;
        };
        let needed = needed(number, references, units);
        if needed.is_empty() {
            continue;
        }
        let parents: Vec<&Key> = needed.keys().copied().collect();
        let (mut others, mut differing) = (Vec::new(), BTreeSet::new());
        for chunk in parents.chunks(ROWS_A_QUESTION) {
            let before = values(before, old, relation, &identity, chunk).await?;
            let now = values(now, new, relation, &identity, chunk).await?;
            for (n, key) in chunk.iter().enumerate() {
                let (Some(before), Some(now)) = (before.get(&n), now.get(&n)) else {
                    continue;
                };
                if let Some(columns) = identity.differing(before, now) {
                    differing.extend(columns);
                    others.push(*key);
                }
            }
        }
        if !others.is_empty() {
            let name = |place: usize| identity.columns[place].0.clone();
            found.push(DoubtfulParent {
                child: relation.child.clone(),
                parent: relation.parent.clone(),
                columns: differing.into_iter().map(name).collect(),
                parents: others.len() as u64,
                rows: others.iter().map(|key| needed[key]).sum(),
                keys: others.into_iter().take(LISTED).cloned().collect(),
            });
        }
    }
    Ok(found)
}

/// Asks the snapshot what tells parents apart.
pub(super) struct Asked<'a> {
    pub(super) session: &'a Session,
    pub(super) snapshot: &'a Schema,
    /// The relations, and what tells the parents of each.
    pub(super) told: (&'a [Relation], &'a [Option<RowIdentity>]),
}

impl Asked<'_> {
    /// What parents of one relation, by its number, held when the backup was made.
    pub(super) async fn held(
        &self,
        number: usize,
        keys: &BTreeSet<&Key>,
    ) -> Result<BTreeMap<Key, Values>, PgError> {
        let (relation, identity) = (&self.told.0[number], &self.told.1[number]);
        let table = self.snapshot.tables.get(&relation.parent);
        let mut held = BTreeMap::new();
        if let (Some(identity), Some(table)) = (identity, table) {
            let keys: Vec<&Key> = keys.iter().copied().collect();
            for chunk in keys.chunks(ROWS_A_QUESTION) {
                let found = values(self.session, table, relation, identity, chunk).await?;
                held.extend(
                    found
                        .into_iter()
                        .map(|(n, values)| (chunk[n].clone(), values)),
                );
            }
        }
        Ok(held)
    }
}

/// What tells the parents of each relation from others; none where nothing does.
pub(super) fn identities(
    snapshot: &Schema,
    relations: &[Relation],
    rules: &[IdentityRule],
) -> Vec<Option<RowIdentity>> {
    let of = |relation: &Relation| {
        let table = snapshot.tables.get(&relation.parent)?;
        let rule = rules.iter().find(|r| r.table == relation.parent);
        identity(table, relation, rule)
    };
    relations.iter().map(of).collect()
}

/// Besides the columns that the reference itself compares, and the key.
fn identity(
    table: &Table,
    relation: &Relation,
    rule: Option<&IdentityRule>,
) -> Option<RowIdentity> {
    let compared =
        |name: &String| relation.parent_columns.contains(name) || table.key.contains(name);
    let sets = match rule {
        Some(rule) => vec![rule.columns.clone()],
        None => identity_sets(table, |name| !compared(name)),
    };
    RowIdentity::of(table, sets)
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

/// What the parents hold in the columns that tell, by position among `keys`.
async fn values(
    session: &Session,
    table: &Table,
    relation: &Relation,
    identity: &RowIdentity,
    keys: &[&Key],
) -> Result<BTreeMap<usize, Values>, PgError> {
    let locator = Locator::by_names(table, &relation.parent_columns);
    let sql = format!(
        "select k.n, {} from {} join {} t on {}",
        identity.texts(table),
        locator.list(keys.iter().copied()),
        table.from_sql(),
        locator.matches("t"),
    );
    let doing = format!("comparing parents in {}", table.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    let place = |n: i64| usize::try_from(n).unwrap_or(1) - 1;
    Ok(rows.iter().map(|r| (place(r.get(0)), r.get(1))).collect())
}
