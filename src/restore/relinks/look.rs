//! Looks at the rows that refer and at those that they referred to; with locks, passing over what somebody else holds.

use std::collections::{BTreeMap, HashSet};

use super::Parents;
use super::chunk::Chunk;
use super::decide::{Child, ChildSeen, ParentSeen};
use super::link::Link;
use super::parents::Expected;
use crate::catalog::{COMMITTED, Column, Locator, content_digest};
use crate::ident::{Key, array_literal, quote_ident, quote_literal};
use crate::pg::{PgError, Session};
use crate::restore::Targets;

/// Looks at a chunk's rows.
pub(super) struct Looker<'a> {
    pub(super) session: &'a Session,
    pub(super) targets: &'a Targets,
    pub(super) link: &'a Link,
    pub(super) parents: &'a Parents,
    /// Live keeps commit timestamps.
    pub(super) timed: bool,
}

impl Looker<'_> {
    /// What the references point at, in the chunk's order. With `lock`, those rows are locked against deletion.
    pub(super) async fn parents(
        &self,
        chunk: &Chunk,
        lock: bool,
    ) -> Result<Vec<ParentSeen>, PgError> {
        let expected: Vec<Expected> = chunk
            .records
            .iter()
            .map(|r| self.parents.expected(r))
            .collect();
        let mut seen: Vec<ParentSeen> = expected
            .iter()
            .map(|e| match e {
                Expected::Coming => ParentSeen::Coming,
                Expected::Pending => ParentSeen::Pending,
                Expected::NotBack | Expected::Here(_) | Expected::StandIn(_) => ParentSeen::NotBack,
            })
            .collect();
        let target = &self.targets.tables[self.link.head.parent];
        let columns: Option<Vec<&Column>> = self
            .link
            .head
            .parent_columns
            .iter()
            .map(|c| target.live.column(c))
            .collect();
        let asked: Vec<(usize, &Key, bool)> = expected
            .iter()
            .enumerate()
            .filter_map(|(n, e)| match e {
                Expected::Here(key) => Some((n, key, false)),
                Expected::StandIn(key) => Some((n, key, true)),
                _ => None,
            })
            .collect();
        let (Some(columns), false) = (columns, asked.is_empty() || !target.keyed()) else {
            return Ok(seen);
        };
        let keys: Vec<Key> = asked.iter().map(|a| a.1.clone()).collect();
        let locator = &target.locator;
        let from = target.live.from_sql();
        let free = match lock {
            true => Some(self.lock(locator, &keys, &from, "key share").await?),
            false => None,
        };
        let mut select = vec!["k.n".to_owned()];
        for (i, column) in columns.iter().enumerate() {
            let held = asked
                .iter()
                .map(|a| Some(chunk.records[a.0].values[i].as_str()));
            let held = quote_literal(&array_literal(held));
            let name = quote_ident(&column.name);
            select.push(format!("t.{name}::text"));
            // The key's own `=`, as the server has it: 1.0 is what 1.00 referred to.
            select.push(format!(
                "coalesce(t.{name} {} (({held}::text[])[k.n])::{}, false)",
                column.equals(),
                column.lookup_type
            ));
        }
        let sql = format!(
            "select {} from {} join {from} t on {}",
            select.join(", "),
            locator.list(keys.iter()),
            locator.matches("t"),
        );
        let doing = format!("looking for rows of {}", target.name);
        for row in self.session.ask(&doing, &sql, &[]).await? {
            let n = place(row.get(0));
            let (record, _, stand_in) = asked[n];
            let texts: Vec<Option<String>> =
                (0..columns.len()).map(|i| row.get(1 + 2 * i)).collect();
            let equal = (0..columns.len()).all(|i| row.get::<_, bool>(2 + 2 * i));
            seen[record] = match (free.as_ref().is_some_and(|f| !f.contains(&n)), equal) {
                (true, _) => ParentSeen::Held,
                (false, false) if !stand_in => ParentSeen::Changed,
                // What the row itself held, to the letter.
                (false, _) if !stand_in => {
                    let values = chunk.records[record].values.iter();
                    ParentSeen::There(values.take(columns.len()).cloned().map(Some).collect())
                }
                _ => ParentSeen::There(texts),
            };
        }
        Ok(seen)
    }

    /// The rows that refer, in the chunk's order. With `lock`, they are locked against everybody who would write to them.
    pub(super) async fn children(
        &self,
        chunk: &Chunk,
        lock: bool,
    ) -> Result<Vec<ChildSeen>, PgError> {
        let mut seen = vec![ChildSeen::Gone; chunk.records.len()];
        let Some(child) = &self.link.child else {
            return Ok(seen);
        };
        let keys: Vec<Key> = chunk.keys().cloned().collect();
        let (locator, from) = (&self.link.locator, child.from_sql());
        let strength = match self.link.in_index {
            true => "update",
            false => "no key update",
        };
        let free = match lock {
            true => Some(self.lock(locator, &keys, &from, strength).await?),
            false => None,
        };
        let compared = &self.link.head.compared;
        let comparable = compared.iter().all(|c| child.column(c).is_some());
        let mut select = vec![
            "k.n".to_owned(),
            "t.xmin::text".to_owned(),
            match self.timed {
                true => COMMITTED.to_owned(),
                false => "null::text".to_owned(),
            },
            match comparable {
                true => content_digest("t", compared),
                false => "null::text".to_owned(),
            },
        ];
        let columns = &self.link.head.columns;
        select.extend(
            columns
                .iter()
                .map(|c| format!("t.{}::text", quote_ident(c))),
        );
        let sql = format!(
            "select {} from {} join {from} t on {}",
            select.join(", "),
            locator.list(keys.iter()),
            locator.matches("t"),
        );
        let doing = format!("looking at references of {}", child.name);
        for row in self.session.ask(&doing, &sql, &[]).await? {
            let n = place(row.get(0));
            if free.as_ref().is_some_and(|f| !f.contains(&n)) {
                seen[n] = ChildSeen::Held;
                continue;
            }
            let committed: Option<String> = row.get(2);
            seen[n] = ChildSeen::There(Child {
                xmin: row.get::<_, &str>(1).parse().unwrap_or_default(),
                committed: committed.and_then(|t| t.parse().ok()),
                content: row.get(3),
                values: (0..columns.len()).map(|i| row.get(4 + i)).collect(),
            });
        }
        Ok(seen)
    }

    /// Locks rows in key order, passing over those that somebody else holds; the places of those locked.
    async fn lock(
        &self,
        locator: &Locator,
        keys: &[Key],
        from: &str,
        strength: &str,
    ) -> Result<HashSet<usize>, PgError> {
        lock(self.session, locator, keys, from, strength).await
    }
}

/// As [`Looker::lock`].
pub(in crate::restore) async fn lock(
    session: &Session,
    locator: &Locator,
    keys: &[Key],
    from: &str,
    strength: &str,
) -> Result<HashSet<usize>, PgError> {
    // Several references can point at one row: it is locked once.
    let mut distinct: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
    for (n, key) in keys.iter().enumerate() {
        distinct.entry(key).or_default().push(n);
    }
    let sql = format!(
        "select k.n from {} join {from} t on {} order by {} for {strength} of t skip locked",
        locator.list(distinct.keys().copied()),
        locator.matches("t"),
        locator.columns("t").join(", "),
    );
    let places: Vec<&Vec<usize>> = distinct.values().collect();
    let rows = session
        .ask("locking rows for references", &sql, &[])
        .await?;
    let locked = rows.iter().filter_map(|row| places.get(place(row.get(0))));
    Ok(locked.flat_map(|p| p.iter().copied()).collect())
}

/// A position from 1, from 0.
pub(super) fn place(n: i64) -> usize {
    usize::try_from(n - 1).unwrap_or_default()
}
