//! Rows that are not missing and that missing rows hang from: what is excluded among them takes along what hangs from it,
//! just as a missing row does. An account whose owner asked for erasure is often kept, without its content.
//!
//! From the candidates upward, along every relation that leads to a table with exclusions, as the snapshot has them.
//!
//! Memory: the keys of those rows; nothing where no relation leads to such a table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Locator, Relation};
use crate::closure::{Edge, Node};
use crate::diff::Candidates;
use crate::ident::Key;
use crate::pg::{PgError, Session};

use super::edges::{ROWS_A_QUESTION, References, question};

/// A relation between two tables of the candidates.
struct Between<'a> {
    number: usize,
    relation: &'a Relation,
    child: usize,
    parent: usize,
}

/// Rows that are not candidates, numbered on from the candidates.
pub(super) struct Outside {
    ids: HashMap<(usize, Key), Node>,
    first: Node,
    /// References from candidates to them, and among them.
    pub(super) edges: Vec<Edge>,
}

impl Outside {
    /// Finds the rows that candidates hang from and that hang from, or lie in, one of `tables`.
    pub(super) async fn find(
        session: &Session,
        candidates: &Candidates,
        relations: &[Relation],
        references: &References,
        tables: BTreeSet<usize>,
        first: Node,
    ) -> Result<Self, PgError> {
        let between = leading(candidates, relations, tables);
        let mut outside = Self {
            ids: HashMap::new(),
            first,
            edges: Vec::new(),
        };
        let mut found: Vec<(usize, Key)> = Vec::new();
        for to in &between {
            found.extend(outside.parents(session, candidates, references, to).await?);
        }
        while !found.is_empty() {
            found = outside.upward(session, candidates, &between, found).await?;
        }
        Ok(outside)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of a row.
    pub(super) fn node(&self, table: usize, key: Key) -> Option<Node> {
        self.ids.get(&(table, key)).copied()
    }

    /// Its number, and whether it is new.
    fn enter(&mut self, table: usize, key: &Key) -> (Node, bool) {
        let next = self.first + self.ids.len() as Node;
        let id = *self.ids.entry((table, key.clone())).or_insert(next);
        (id, id == next)
    }

    fn hangs(&mut self, child: Node, parent: Node) {
        self.edges.push(Edge {
            child,
            parent,
            rank: 0,
        });
    }

    /// The parents of candidates over one relation; returns those that are new.
    async fn parents(
        &mut self,
        session: &Session,
        candidates: &Candidates,
        references: &References,
        to: &Between<'_>,
    ) -> Result<Vec<(usize, Key)>, PgError> {
        let mut children: BTreeMap<u32, Vec<Node>> = BTreeMap::new();
        for (node, number, place) in references.needs.iter().chain(&references.lost) {
            if usize::from(*number) == to.number {
                children.entry(*place).or_default().push(*node);
            }
        }
        let places: Vec<u32> = children.keys().copied().collect();
        let table = &candidates.tables[to.parent].snapshot;
        let locator = Locator::by_names(table, &to.relation.parent_columns);
        let doing = format!("looking up what hangs from {}", table.name);
        let mut found = Vec::new();
        for chunk in places.chunks(ROWS_A_QUESTION) {
            let sql = format!(
                "select k.n, array[{}] from {} join {} t on {}",
                candidates.locator(to.parent).texts("t").join(", "),
                locator.list(chunk.iter().map(|p| &references.parents[*p as usize].0)),
                table.from_sql(),
                locator.matches("t"),
            );
            for row in session.ask(&doing, &sql, &[]).await? {
                let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
                let key = Key(row.get(1));
                let (parent, new) = self.enter(to.parent, &key);
                for child in &children[&chunk[n]] {
                    self.hangs(*child, parent);
                }
                if new {
                    found.push((to.parent, key));
                }
            }
        }
        Ok(found)
    }

    /// The parents of such rows; returns those that are new.
    async fn upward(
        &mut self,
        session: &Session,
        candidates: &Candidates,
        between: &[Between<'_>],
        rows: Vec<(usize, Key)>,
    ) -> Result<Vec<(usize, Key)>, PgError> {
        let mut by_table: BTreeMap<usize, Vec<Key>> = BTreeMap::new();
        for (table, key) in rows {
            by_table.entry(table).or_default().push(key);
        }
        let mut found = Vec::new();
        for to in between {
            let keys = by_table.get(&to.child).map_or(&[][..], Vec::as_slice);
            let locator = candidates.locator(to.child);
            let doing = format!("following {} to {}", to.relation.child, to.relation.parent);
            for chunk in keys.chunks(ROWS_A_QUESTION) {
                let parent = Some(to.parent);
                let sql = question(candidates, to.relation, to.child, parent, &locator, chunk);
                for row in session.ask(&doing, &sql, &[]).await? {
                    let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
                    let key = Key(row.get(1));
                    let (child, _) = self.enter(to.child, &chunk[n]);
                    let (parent, new) = match candidates.find_key(to.parent, &key) {
                        Some(candidate) => (candidate, false),
                        None => self.enter(to.parent, &key),
                    };
                    self.hangs(child, parent);
                    if new {
                        found.push((to.parent, key));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The relations that lead, over however many others, to one of `tables`.
fn leading<'a>(
    candidates: &Candidates,
    relations: &'a [Relation],
    mut tables: BTreeSet<usize>,
) -> Vec<Between<'a>> {
    let all: Vec<Between<'a>> = relations
        .iter()
        .enumerate()
        .filter_map(|(number, relation)| {
            Some(Between {
                number,
                relation,
                child: candidates.table(&relation.child)?,
                parent: candidates.table(&relation.parent)?,
            })
        })
        .collect();
    loop {
        let before = tables.len();
        for to in &all {
            if tables.contains(&to.parent) {
                tables.insert(to.child);
            }
        }
        if tables.len() == before {
            break;
        }
    }
    all.into_iter()
        .filter(|to| tables.contains(&to.parent))
        .collect()
}
