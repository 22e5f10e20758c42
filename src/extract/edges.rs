//! References of the candidates, asked of the snapshot: to other candidates, and to rows that live still has.

use std::collections::HashMap;

use crate::catalog::{Column, Locator, Relation, Schema};
use crate::closure::{Edge, Node};
use crate::ident::{Key, quote_ident, quote_literal};
use crate::pg::{PgError, Session};

use super::candidates::Candidates;

/// Candidates that one question holds.
const ROWS_A_QUESTION: usize = 5_000;

/// What the candidates point at.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Among each other.
    pub(super) edges: Vec<Edge>,
    /// Outside: referencing node, place of the relation, place in `outside`. Sorted by node.
    pub(super) needs: Vec<(Node, u16, u32)>,
    /// Values of the parent columns, each once per relation.
    pub(super) outside: Vec<Key>,
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
    let rank = relation.rank() * 8_192 + (number as u16).min(8_191);
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
        let Some(sql) = question(candidates, relation, child, parent, &locator, &keys) else {
            return Ok(());
        };
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
                None if expected_in_live => {
                    let values = Key(row.get(2));
                    let next = references.outside.len() as u32;
                    let place = *outside.entry(values.clone()).or_insert_with(|| {
                        references.outside.push(values);
                        next
                    });
                    references.needs.push((chunk[n], number as u16, place));
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// Which parent each of the children has: its position in the list, the parent's key, and the values referenced.
fn question(
    candidates: &Candidates,
    relation: &Relation,
    child: usize,
    parent: Option<usize>,
    locator: &Locator,
    keys: &[Key],
) -> Option<String> {
    let child_table = &candidates.tables[child].snapshot;
    // A parent that cannot be compared has no candidates: its own columns then stand for its key.
    let (parent_from, parent_key) = match parent {
        Some(p) => (
            candidates.tables[p].snapshot.from_sql(),
            candidates.locator(p).texts("p"),
        ),
        None => return None,
    };
    let mut on: Vec<String> = relation
        .child_columns
        .iter()
        .zip(&relation.parent_columns)
        .map(|(c, p)| {
            let parent_column = parent.and_then(|t| candidates.tables[t].snapshot.column(p));
            refers(relation, child_table.column(c), parent_column, c, p)
        })
        .collect();
    on.extend(relation.when.iter().map(|(column, value)| {
        format!("c.{}::text = {}", quote_ident(column), quote_literal(value))
    }));
    let values: Vec<String> = relation
        .parent_columns
        .iter()
        .map(|c| format!("p.{}::text", quote_ident(c)))
        .collect();
    Some(format!(
        "select k.n, array[{}], array[{}] from {} join {} c on {} join {parent_from} p on {}",
        parent_key.join(", "),
        values.join(", "),
        locator.list(keys.iter()),
        child_table.from_sql(),
        locator.matches("c"),
        on.join(" and "),
    ))
}

/// Types that the server's own `=` compares with each other.
const FAMILIES: &[&[&str]] = &[
    &["int2", "int4", "int8", "numeric", "float4", "float8"],
    &["text", "varchar", "bpchar", "name"],
    &["date", "timestamp", "timestamptz"],
];

/// How a column of the child `c` refers to one of the parent `p`: by the parent's own `=`. Nothing makes sure that a
/// declared reference is between columns of one type (a polymorphic one holds the keys of several tables); as text,
/// they compare whatever they are.
fn refers(
    relation: &Relation,
    child: Option<&Column>,
    parent: Option<&Column>,
    child_name: &str,
    parent_name: &str,
) -> String {
    let (c, p) = (quote_ident(child_name), quote_ident(parent_name));
    let (Some(child), Some(parent)) = (child, parent) else {
        return format!("p.{p} = c.{c}");
    };
    let family = |column: &Column| {
        let builtin = column.builtin.as_deref();
        FAMILIES
            .iter()
            .position(|f| builtin.is_some_and(|b| f.contains(&b)))
    };
    let comparable = child.type_name == parent.type_name
        || family(child).is_some_and(|f| family(parent) == Some(f));
    if relation.declared && !comparable {
        return format!("p.{p}::text = c.{c}::text");
    }
    format!("p.{p} {} c.{c}", parent.equals())
}
