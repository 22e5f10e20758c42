//! Takes filled references back: they are NULL again where the row is still as we left it.

use std::collections::{BTreeMap, HashMap};

use super::look::{lock, place};
use super::{ChildTriggers, Links, Past};
use crate::bundle::Bundle;
use crate::catalog::{Locator, Schema, Table};
use crate::ident::{Key, RunId, array_literal, quote_ident, quote_literal};
use crate::journal::{Relinked, RelinkedPlace, Relinks, Unlinked};
use crate::pg::{PgError, Session};
use crate::restore::{RestoreError, Said, Settings, Triggers};

/// References of a chunk, at most.
const CHUNK: usize = 200;

/// A filled reference.
pub(in crate::restore) type Filled = (RelinkedPlace, Relinked);

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::restore) enum Fate {
    /// It is NULL again.
    Empty,
    /// The row is gone.
    Gone,
    /// It does not hold what we wrote any more.
    Elsewhere,
    /// It does, but somebody has written to the row since: whether he stands by it is not ours to say.
    Changed,
    /// Somebody holds the row.
    Held,
}

impl Fate {
    /// As the journal has it.
    pub(in crate::restore) fn name(self) -> &'static str {
        match self {
            Self::Empty => "unlinked",
            Self::Gone => "already_gone",
            Self::Elsewhere => "elsewhere",
            Self::Changed => "kept_changed",
            Self::Held => "kept",
        }
    }
}

/// A table that refers.
struct Child {
    table: Table,
    locator: Locator,
    triggers: ChildTriggers,
    barrier: Option<String>,
}

/// What an undo takes back before anything else.
pub(in crate::restore) struct Unlinking {
    children: HashMap<String, Child>,
    /// Those filled last come first.
    pub(in crate::restore) rows: Vec<Filled>,
    pub(in crate::restore) past: Past,
}

/// A row as it was seen.
pub(in crate::restore) struct Seen {
    pub(in crate::restore) fate: Fate,
    /// Where it lies: the table's oid, and its place there.
    pub(in crate::restore) spot: Option<(String, String)>,
    xmin: u32,
}

impl Unlinking {
    /// What a restore filled and no undo has taken back; of those that `undo` has dealt with, none.
    pub(in crate::restore) async fn find(
        session: &Session,
        bundle: &Bundle,
        live: &Schema,
        (restore, undo): (&RunId, Option<&RunId>),
        said: Said<'_>,
    ) -> Result<Self, RestoreError> {
        let relinks = Relinks::new(session);
        let mut rows = relinks.of_restore(restore).await?;
        let undone = relinks.undone(&bundle.id).await?;
        let settled = |(run, u): &&(RunId, Unlinked)| {
            Some(run) == undo || !matches!(u.state.as_str(), "kept" | "kept_changed")
        };
        let settled: std::collections::HashSet<&RelinkedPlace> =
            undone.iter().filter(settled).map(|(_, u)| &u.of).collect();
        rows.retain(|(place, _)| !settled.contains(place));
        let past = Past::read(session, &bundle.id).await?;
        let mut children = HashMap::new();
        if !rows.is_empty() {
            let settings = match said.how {
                None => treated_as_by(session, restore).await?,
                Some(_) => Settings {
                    triggers: said.how,
                    accepted_triggers: said.accepted.to_vec(),
                    ..Settings::default()
                },
            };
            let links = Links::find(session, bundle, live, &settings).await?;
            for link in links.all {
                let Some(table) = link.child else { continue };
                let child = Child {
                    table,
                    locator: link.locator,
                    triggers: link.triggers,
                    barrier: link.barrier.map(|b| b.reason),
                };
                children.entry(link.head.table.to_string()).or_insert(child);
            }
        }
        Ok(Self {
            children,
            rows,
            past,
        })
    }

    /// Tables whose triggers are in the way as things are, and the way out.
    pub(in crate::restore) fn obstacles(&self) -> Vec<(crate::ident::TableName, String)> {
        let reason = |child: &Child| child.triggers.obstacle_to_emptying();
        self.emptied()
            .filter_map(|child| Some((child.table.name.clone(), reason(child)?)))
            .collect()
    }

    /// Whether triggers of one are to be kept from firing.
    pub(in crate::restore) fn suppresses(&self) -> bool {
        self.emptied().any(|child| child.triggers.as_replica)
    }

    /// Their triggers on UPDATE, as `--accept-trigger` takes them.
    pub(in crate::restore) fn triggers(&self) -> impl Iterator<Item = &String> {
        self.emptied().flat_map(|child| &child.triggers.named)
    }

    /// Tables whose rows are written to.
    fn emptied(&self) -> impl Iterator<Item = &Child> {
        let of_rows = |name: &String| self.rows.iter().any(|(_, r)| r.table == *name);
        let children = self.children.iter();
        children
            .filter(move |(name, _)| of_rows(name))
            .map(|(_, child)| child)
    }

    /// The rows cut into chunks: of one table and reference, each row once.
    pub(in crate::restore) fn chunks(&self) -> Vec<Vec<Filled>> {
        let mut chunks: Vec<Vec<Filled>> = Vec::new();
        for row in &self.rows {
            let joins = |chunk: &&mut Vec<Filled>| {
                chunk.len() < CHUNK
                    && chunk.iter().all(|(_, other)| {
                        other.table == row.1.table
                            && other.columns == row.1.columns
                            && other.key != row.1.key
                    })
            };
            match chunks.last_mut().filter(joins) {
                Some(chunk) => chunk.push(row.clone()),
                None => chunks.push(vec![row.clone()]),
            }
        }
        chunks
    }

    /// Why nothing of a table can be taken back, if so.
    pub(in crate::restore) fn barrier(&self, chunk: &[Filled]) -> Option<String> {
        let (_, first) = chunk.first()?;
        match self.children.get(&first.table) {
            None => Some("live lacks the table, or a column of the reference".to_owned()),
            Some(child) => child.barrier.clone(),
        }
    }

    /// What would become of a chunk's references; with `locked`, what becomes of them, and nobody else writes to them any more.
    pub(in crate::restore) async fn look(
        &self,
        session: &Session,
        chunk: &[Filled],
        locked: bool,
    ) -> Result<Vec<Seen>, PgError> {
        let absent = |fate| Seen {
            fate,
            spot: None,
            xmin: 0,
        };
        let mut seen: Vec<Seen> = chunk.iter().map(|_| absent(Fate::Gone)).collect();
        let Some((child, columns)) = self.of(chunk) else {
            return Ok(chunk.iter().map(|_| absent(Fate::Held)).collect());
        };
        let (table, locator) = (&child.table, &child.locator);
        let keys: Vec<Key> = chunk.iter().map(|(_, r)| r.key.clone()).collect();
        let free = match locked {
            true => Some(lock(session, locator, &keys, &table.from_sql(), "update").await?),
            false => None,
        };
        let held: Vec<String> = columns
            .iter()
            .map(|c| format!("t.{}::text", quote_ident(c)))
            .collect();
        let sql = format!(
            "select k.n, t.tableoid::text, t.ctid::text, t.xmin::text, array[{}]::text[] from {} join {} t on {}",
            held.join(", "),
            locator.list(keys.iter()),
            table.from_sql(),
            locator.matches("t"),
        );
        let doing = format!("looking at references of {}", table.name);
        for row in session.ask(&doing, &sql, &[]).await? {
            let n = place(row.get(0));
            let xmin: u32 = row.get::<_, &str>(3).parse().unwrap_or_default();
            let held: Vec<Option<String>> = row.get(4);
            let (_, filled) = &chunk[n];
            let ours = |i: usize| held.get(i).and_then(Option::as_ref) == filled.after.get(i);
            let fate = if free.as_ref().is_some_and(|f| !f.contains(&n)) {
                Fate::Held
            } else if !filled.filled().into_iter().all(ours) {
                Fate::Elsewhere
            } else if self.past.ours(&filled.table, &filled.key, xmin) {
                Fate::Empty
            } else {
                Fate::Changed
            };
            let spot = Some((row.get(1), row.get(2)));
            seen[n] = Seen { fate, spot, xmin };
        }
        Ok(seen)
    }

    /// The table of a reference.
    pub(in crate::restore) fn table(&self, filled: &Relinked) -> Option<crate::ident::TableName> {
        let child = self.children.get(&filled.table)?;
        Some(child.table.name.clone())
    }

    /// What the journal says by now.
    pub(in crate::restore) async fn reread(
        &self,
        session: &Session,
        bundle: &str,
    ) -> Result<Past, PgError> {
        Past::read(session, bundle).await
    }

    fn of<'a>(&'a self, chunk: &'a [Filled]) -> Option<(&'a Child, &'a Vec<String>)> {
        let (_, first) = chunk.first()?;
        Some((self.children.get(&first.table)?, &first.columns))
    }

    /// Empties what may be emptied of a chunk that was looked at under lock; what is to be journalled of it, and the places of those
    /// that triggers did not let go.
    pub(in crate::restore) async fn empty(
        &self,
        session: &Session,
        chunk: &[Filled],
        seen: &[Seen],
    ) -> Result<(Vec<Unlinked>, Vec<usize>), PgError> {
        let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        let going = |n: &usize| seen[*n].fate == Fate::Empty;
        for n in (0..chunk.len()).filter(going) {
            groups.entry(chunk[n].1.filled()).or_default().push(n);
        }
        let (mut since, mut spoiled) = (HashMap::new(), Vec::new());
        if let Some((child, columns)) = self.of(chunk).filter(|_| !groups.is_empty()) {
            child.triggers.before(session).await?;
            for (filled, places) in &groups {
                let names: Vec<&String> = filled.iter().map(|c| &columns[*c]).collect();
                update(session, child, &names, (chunk, seen, places)).await?;
            }
            child.triggers.after(session).await?;
            for (filled, places) in &groups {
                let names: Vec<&String> = filled.iter().map(|c| &columns[*c]).collect();
                since.extend(written(session, child, &names, (chunk, places)).await?);
            }
            let all = groups.values().flatten().copied();
            spoiled = all
                .filter(|n| since.get(n).is_none_or(|xmin| *xmin == seen[*n].xmin))
                .collect();
        }
        let decided = (0..chunk.len()).filter(|n| seen[*n].fate != Fate::Held);
        let rows = decided.map(|n| Unlinked {
            of: chunk[n].0.clone(),
            state: seen[n].fate.name().to_owned(),
            reason: None,
            xmins: since.get(&n).map(|xmin| (seen[n].xmin, *xmin)),
        });
        Ok((rows.collect(), spoiled))
    }
}

/// The UPDATE, which says once more what was seen.
async fn update(
    session: &Session,
    child: &Child,
    names: &[&String],
    (chunk, seen, places): (&[Filled], &[Seen], &[usize]),
) -> Result<(), PgError> {
    let keys: Vec<Key> = places.iter().map(|n| chunk[*n].1.key.clone()).collect();
    let xmins: Vec<String> = places.iter().map(|n| seen[*n].xmin.to_string()).collect();
    let set: Vec<String> = names
        .iter()
        .map(|c| format!("{} = null", quote_ident(c)))
        .collect();
    let sql = format!(
        "update {} t set {} from {} where {} and t.xmin::text = ({}::text[])[k.n]",
        child.table.from_sql(),
        set.join(", "),
        child.locator.list(keys.iter()),
        child.locator.matches("t"),
        quote_literal(&array_literal(xmins.iter().map(|x| Some(x.as_str())))),
    );
    let doing = format!("emptying references of {}", child.table.name);
    session.batch(&doing, &sql).await
}

/// The `xmin` of each row that is empty now.
async fn written(
    session: &Session,
    child: &Child,
    names: &[&String],
    (chunk, places): (&[Filled], &[usize]),
) -> Result<Vec<(usize, u32)>, PgError> {
    let keys: Vec<Key> = places.iter().map(|n| chunk[*n].1.key.clone()).collect();
    let empty: Vec<String> = names
        .iter()
        .map(|c| format!("t.{} is null", quote_ident(c)))
        .collect();
    let sql = format!(
        "select k.n, t.xmin::text from {} join {} t on {} where {}",
        child.locator.list(keys.iter()),
        child.table.from_sql(),
        child.locator.matches("t"),
        empty.join(" and "),
    );
    let doing = format!("reading back references of {}", child.table.name);
    let rows = session.ask(&doing, &sql, &[]).await?;
    let read = |row: &crate::pg::Row| {
        let xmin = row.get::<_, &str>(1).parse().unwrap_or_default();
        (places[place(row.get(0))], xmin)
    };
    Ok(rows.iter().map(read).collect())
}

/// Where nothing is said now, triggers are treated as the restore was told.
async fn treated_as_by(session: &Session, restore: &RunId) -> Result<Settings, PgError> {
    let sql = "select settings ->> 'triggers',
                      array(select jsonb_array_elements_text(settings -> 'accepted_triggers'))
                 from reinstate.run where run = $1";
    let rows = session
        .ask("reading the journal", sql, &[&restore.0])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(Settings::default());
    };
    Ok(Settings {
        triggers: match row.get::<_, Option<&str>>(0) {
            Some("fire") => Some(Triggers::Fire),
            Some("suppress") => Some(Triggers::Suppress),
            _ => None,
        },
        accepted_triggers: row.get(1),
        ..Settings::default()
    })
}
