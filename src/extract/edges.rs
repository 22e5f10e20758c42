//! References of the candidates, asked of the snapshot: to other candidates, and to rows that live still has.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::{Locator, Relation, Schema, Table};
use crate::closure::{Edge, Node, Units};
use crate::ident::{Key, UnitId, quote_ident};
use crate::pg::{PgError, Session};

use crate::diff::Candidates;

/// Candidates that one question holds.
pub(super) const ROWS_A_QUESTION: usize = 5_000;

/// Relations that ranks tell apart.
const RELATIONS: u16 = 8_192;

/// What the candidates point at.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Among each other.
    pub(super) edges: Vec<Edge>,
    /// Outside the unit: referencing node, place of the relation, place in `parents`. Sorted by node.
    pub(super) needs: Vec<(Node, u16, u32)>,
    /// The same where live has no such parents, for the table or its columns are gone: nothing to be needed there.
    pub(super) lost: Vec<(Node, u16, u32)>,
    /// Values of the parent columns, each once per relation, and the unit that holds the parent, if one does.
    pub(super) parents: Vec<(Key, Option<UnitId>)>,
}

/// Asks for the references along every relation whose child has candidates.
pub(super) async fn collect(
    session: &Session,
    candidates: &Candidates,
    relations: &[Relation],
    live: &Schema,
) -> Result<References, PgError> {
    let mut references = References::default();
    for (r, relation) in relations.iter().enumerate() {
        let Some(child) = candidates.table(&relation.child) else {
            continue;
        };
        if candidates.count(child) > 0 {
            along(
                session,
                candidates,
                relation,
                r,
                child,
                live,
                &mut references,
            )
            .await?;
        }
    }
    references.needs.sort_unstable();
    references.needs.dedup();
    Ok(references)
}

async fn along(
    session: &Session,
    candidates: &Candidates,
    relation: &Relation,
    number: usize,
    child: usize,
    live: &Schema,
    references: &mut References,
) -> Result<(), PgError> {
    let parent = candidates.table(&relation.parent);
    // Every relation has a rank of its own, so that all rows of a table prefer the same owner.
    let rank = relation.rank() * RELATIONS + (number as u16).min(RELATIONS - 1);
    let expected_in_live = live.tables.get(&relation.parent).is_some_and(|t| {
        t.readable
            && relation
                .parent_columns
                .iter()
                .all(|c| t.column(c).is_some())
    });
    let mut outside: HashMap<Key, u32> = HashMap::new();
    let locator = candidates.locator(child);
    let doing = format!("following {} to {}", relation.child, relation.parent);
    let nodes: Vec<Node> = (0..candidates.count(child))
        .map(|r| candidates.node(child, r))
        .collect();
    for chunk in nodes.chunks(ROWS_A_QUESTION) {
        let keys: Vec<Key> = chunk.iter().map(|n| candidates.key(*n)).collect();
        let sql = question(candidates, relation, child, parent, &locator, &keys);
        for row in session.ask(&doing, &sql, &[]).await? {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
            let key = Key(row.get(1));
            let node = parent.and_then(|p| candidates.find_key(p, &key));
            match node {
                Some(parent) => references.edges.push(Edge {
                    child: chunk[n],
                    parent,
                    rank,
                }),
                None => {
                    let values = Key(row.get(2));
                    let next = references.parents.len() as u32;
                    let place = *outside.entry(values.clone()).or_insert_with(|| {
                        references.parents.push((values, None));
                        next
                    });
                    let list = match expected_in_live {
                        true => &mut references.needs,
                        false => &mut references.lost,
                    };
                    list.push((chunk[n], number as u16, place));
                }
            }
        }
    }
    Ok(())
}

/// Which parent each of the children has: its position in the list, the parent's key, and the values referenced.
pub(super) fn question(
    candidates: &Candidates,
    relation: &Relation,
    child: usize,
    parent: Option<usize>,
    locator: &Locator,
    keys: &[Key],
) -> String {
    let child_table = &candidates.tables[child].snapshot;
    let Some(p) = parent else {
        return unseen_parent(relation, child_table, locator, keys);
    };
    let parent_from = candidates.tables[p].snapshot.from_sql();
    let parent_key = candidates.locator(p).texts("p");
    let on = relation.refers(child_table, &candidates.tables[p].snapshot);
    let values: Vec<String> = relation
        .parent_columns
        .iter()
        .map(|c| format!("p.{}::text", quote_ident(c)))
        .collect();
    format!(
        "select k.n, array[{}], array[{}] from {} join {} c on {} join {parent_from} p on {}",
        parent_key.join(", "),
        values.join(", "),
        locator.list(keys.iter()),
        child_table.from_sql(),
        locator.matches("c"),
        on,
    )
}

/// A parent table that is not compared has no candidates: what the child holds is what live must have.
fn unseen_parent(relation: &Relation, child: &Table, locator: &Locator, keys: &[Key]) -> String {
    let columns = relation
        .child_columns
        .iter()
        .map(|c| format!("c.{}", quote_ident(c)));
    let values: Vec<String> = columns.clone().map(|c| format!("{c}::text")).collect();
    let mut conditions: Vec<String> = relation.conditions().collect();
    conditions.extend(columns.map(|c| format!("{c} is not null")));
    let values = values.join(", ");
    format!(
        "select k.n, array[{values}], array[{values}] from {} join {} c on {} where {}",
        locator.list(keys.iter()),
        child.from_sql(),
        locator.matches("c"),
        conditions.join(" and "),
    )
}

impl References {
    /// What a row needs that is not in its unit: the relation by number, the key there, and the unit that holds it.
    pub(super) fn needs_of(
        &self,
        node: Node,
    ) -> impl Iterator<Item = (usize, &Key, Option<UnitId>)> {
        let first = self.needs.partition_point(|n| n.0 < node);
        let of_node = self.needs[first..].iter().take_while(move |n| n.0 == node);
        of_node.map(|(_, relation, place)| {
            let (key, unit) = &self.parents[*place as usize];
            (usize::from(*relation), key, *unit)
        })
    }

    /// Adds what units need of each other, once they are known: a parent that came back in an earlier batch can have
    /// been deleted again before the child's turn, and nothing but a foreign key would notice.
    pub(super) async fn add_across_units(
        &mut self,
        session: &Session,
        candidates: &Candidates,
        relations: &[Relation],
        units: &Units,
    ) -> Result<(), PgError> {
        let mut across: BTreeMap<u16, Vec<(Node, Node)>> = BTreeMap::new();
        for edge in &self.edges {
            let (child, parent) = (units.unit_of(edge.child), units.unit_of(edge.parent));
            if child.is_some() && child != parent {
                across
                    .entry(edge.rank % RELATIONS)
                    .or_default()
                    .push((edge.child, edge.parent));
            }
        }
        for (number, pairs) in across {
            let Some(relation) = relations.get(usize::from(number)) else {
                continue;
            };
            let mut parents: Vec<Node> = pairs.iter().map(|(_, parent)| *parent).collect();
            parents.sort_unstable();
            parents.dedup();
            let first = self.parents.len();
            for chunk in parents.chunks(ROWS_A_QUESTION) {
                let values = values_of(session, candidates, relation, chunk).await?;
                self.parents.extend(
                    chunk
                        .iter()
                        .zip(values)
                        .map(|(n, v)| (v, units.unit_of(*n))),
                );
            }
            self.needs
                .extend(pairs.iter().filter_map(|(child, parent)| {
                    let place = first + parents.binary_search(parent).ok()?;
                    Some((*child, number, place as u32))
                }));
        }
        self.needs.sort_unstable();
        self.needs.dedup();
        Ok(())
    }
}

/// What a relation's parent columns hold in each of the parents.
async fn values_of(
    session: &Session,
    candidates: &Candidates,
    relation: &Relation,
    parents: &[Node],
) -> Result<Vec<Key>, PgError> {
    let keys: Vec<Key> = parents.iter().map(|n| candidates.key(*n)).collect();
    let Some(table) = candidates.table(&relation.parent) else {
        return Ok(keys);
    };
    if candidates.tables[table].key == relation.parent_columns {
        return Ok(keys);
    }
    let locator = candidates.locator(table);
    let texts: Vec<String> = relation
        .parent_columns
        .iter()
        .map(|c| format!("t.{}::text", quote_ident(c)))
        .collect();
    let sql = format!(
        "select array[{}] from {} join {} t on {} order by k.n",
        texts.join(", "),
        locator.list(keys.iter()),
        candidates.tables[table].snapshot.from_sql(),
        locator.matches("t"),
    );
    let rows = session
        .ask(&format!("reading {}", relation.parent), &sql, &[])
        .await?;
    Ok(rows.iter().map(|r| Key(r.get(0))).collect())
}
