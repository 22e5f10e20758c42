//! Which candidates are roots: those that were asked for.

use std::collections::HashSet;

use crate::catalog::{Comparable, Drift, TableKind, nearest_table};
use crate::closure::{Node, Roots};
use crate::ident::{Key, TableName, quote_ident};
use crate::pg::Session;

use super::{ExtractError, Request};
use crate::diff::Candidates;

/// Candidates that one question holds.
const ROWS_A_QUESTION: usize = 5_000;

/// The roots.
pub(super) enum Chosen {
    All,
    Nodes(Vec<Node>),
}

impl Chosen {
    pub(super) fn as_closure(&self) -> Roots<'_> {
        match self {
            Self::All => Roots::All,
            Self::Nodes(nodes) => Roots::Chosen(nodes),
        }
    }
}

/// Refuses, before anything is read, roots that cannot be.
pub(super) fn check(
    request: &Request,
    pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
) -> Result<(), ExtractError> {
    if (request.where_sql.is_some() || request.keys.is_some()) && request.roots.len() != 1 {
        return Err(ExtractError::OneRoot);
    }
    for root in &request.roots {
        let chosen = request.patterns.chooses(root);
        let reason = match pairs.iter().find(|(name, _)| name == root) {
            _ if !chosen => "--schema, --table or --exclude-table leaves it out".to_owned(),
            Some((_, Ok(pair))) => match key_width(root, pair, request.keys.as_deref()) {
                None => continue,
                Some(error) => return Err(error),
            },
            Some((_, Err(drift))) => drift.to_string(),
            None => match request.renames.hint(root) {
                hint if hint.is_empty() => nowhere(root, pairs),
                hint => format!("live does not have this table{hint}"),
            },
        };
        return Err(ExtractError::Root {
            table: root.clone(),
            reason,
        });
    }
    Ok(())
}

fn nowhere(root: &TableName, pairs: &[(TableName, Result<Box<Comparable>, Drift>)]) -> String {
    let near = nearest_table(&root.name, pairs.iter().map(|(name, _)| name));
    let what = near.map_or("write schema.table".to_owned(), |near| {
        format!("did you mean {near}?")
    });
    format!("neither the snapshot nor live has this table; {what}")
}

fn key_width(root: &TableName, pair: &Comparable, keys: Option<&[Key]>) -> Option<ExtractError> {
    let wrong = keys?.iter().find(|k| k.0.len() != pair.key.len())?;
    Some(ExtractError::KeyWidth {
        table: root.clone(),
        key: wrong.clone(),
        found: wrong.0.len(),
        expected: pair.key.len(),
        columns: if pair.key.is_empty() {
            "it has no key".into()
        } else {
            pair.key.join(", ")
        },
    })
}

/// Chooses the roots among the candidates; says how many of the keys listed are no candidate.
pub(super) async fn choose(
    request: &Request,
    session: &Session,
    candidates: &Candidates,
) -> Result<(Chosen, u64), ExtractError> {
    let everything = request.roots.is_empty() && request.patterns.is_everything();
    let uncertain = |t: usize| everything && candidates.uncertain[t] && candidates.count(t) > 0;
    if everything && !(0..candidates.tables.len()).any(uncertain) {
        return Ok((Chosen::All, 0));
    }
    let (mut nodes, mut unmatched) = (Vec::new(), 0);
    for (t, table) in candidates.tables.iter().enumerate() {
        let name = &table.snapshot.name;
        let named = request.roots.is_empty() || request.roots.contains(name);
        if named && request.patterns.chooses(name) && !uncertain(t) {
            nodes.extend((0..candidates.count(t)).map(|r| candidates.node(t, r)));
        }
    }
    if let (Some(root), true) = (
        request.roots.first(),
        request.where_sql.is_some() || request.keys.is_some(),
    ) && let Some(t) = candidates.table(root)
    {
        (nodes, unmatched) = narrowed(request, session, candidates, t, nodes).await?;
    }
    Ok((Chosen::Nodes(nodes), unmatched))
}

/// Keeps the nodes for which the condition holds in the snapshot and whose key was listed: both by the server's `=`.
async fn narrowed(
    request: &Request,
    session: &Session,
    candidates: &Candidates,
    table: usize,
    nodes: Vec<Node>,
) -> Result<(Vec<Node>, u64), ExtractError> {
    let locator = candidates.locator(table);
    let from = candidates.tables[table].snapshot.from_sql();
    let mut kept = match &request.where_sql {
        Some(condition) => matching(session, candidates, table, &nodes, condition).await?,
        None => nodes,
    };
    let mut unmatched = 0;
    if let Some(listed) = &request.keys {
        let mut wanted = HashSet::new();
        for chunk in listed.chunks(ROWS_A_QUESTION) {
            let sql = format!(
                "select array[{}] from {} join {from} t on {}",
                locator.texts("t").join(", "),
                locator.list(chunk.iter()),
                locator.matches("t"),
            );
            for row in session
                .ask("looking up --keys in the snapshot", &sql, &[])
                .await?
            {
                wanted.extend(candidates.find_key(table, &Key(row.get(0))));
            }
        }
        kept.retain(|n| wanted.contains(n));
        let listed: HashSet<&Key> = listed.iter().collect();
        unmatched = listed.len().saturating_sub(wanted.len()) as u64;
    }
    kept.sort_unstable();
    Ok((kept, unmatched))
}

/// The nodes for which the condition holds, read as psql reads it: names are found by the role's own search path, and none
/// of ours stand between them. The alias is the table's own name, so that columns may be written with or without it.
async fn matching(
    session: &Session,
    candidates: &Candidates,
    table: usize,
    nodes: &[Node],
    condition: &str,
) -> Result<Vec<Node>, ExtractError> {
    let locator = candidates.locator(table);
    let source = &candidates.tables[table].snapshot;
    let alias = quote_ident(&source.name.name);
    // Under other names, places are columns like others.
    let placed = candidates.tables[table].key.is_empty() && source.stored.is_none();
    let place = match (placed, source.kind) {
        (false, _) => String::new(),
        (true, TableKind::Partitioned) => format!("{alias}.tableoid, {alias}.ctid, "),
        (true, _) => format!("{alias}.ctid, "),
    };
    let mut kept = Vec::new();
    session.search_as_role(true).await?;
    for chunk in nodes.chunks(ROWS_A_QUESTION) {
        let keys: Vec<Key> = chunk.iter().map(|n| candidates.key(*n)).collect();
        let sql = format!(
            "select k.n
               from {} join (select {place}{alias}.* from {} {alias} where ({condition}\n)) t on {}",
            locator.list(keys.iter()),
            source.from_sql(),
            locator.matches("t"),
        );
        let doing = "evaluating --where on the snapshot";
        for row in session.ask(doing, &sql, &[]).await? {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
            kept.push(chunk[n]);
        }
    }
    session.search_as_role(false).await?;
    Ok(kept)
}

/// What was asked for, for people.
pub(super) fn described(request: &Request) -> String {
    if request.roots.is_empty() {
        return "the tables compared".to_owned();
    }
    let names: Vec<String> = request.roots.iter().map(ToString::to_string).collect();
    let narrowed = match (&request.where_sql, &request.keys) {
        (None, None) => "",
        _ => " that matches --where or --keys",
    };
    format!("{}{narrowed}", names.join(", "))
}
