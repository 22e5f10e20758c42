//! One chunk, one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::decide::{ChildSeen, Filling, Verdict, Window, decide};
use super::look::{Looker, place};
use super::{Past, Relinking};
use crate::catalog::Table;
use crate::ident::{Key, RunId, array_literal, quote_ident, quote_literal};
use crate::journal::{Relinked, Relinks, Store};
use crate::pg::PgError;
use crate::restore::insert;

/// How an attempt at a chunk ended.
pub(super) enum Attempt {
    /// Committed, or there was nothing to commit: what became of each, and what was journalled.
    Done(Vec<Verdict>, Vec<Relinked>),
    /// Rolled back: an earlier attempt had committed after all.
    DoneBefore,
    /// Rolled back: triggers did not let these be filled, by place.
    Spoiled(Vec<usize>),
    /// Rolled back: it took longer than it may.
    TooSlow,
}

/// Where chunks are filled.
pub(super) struct Filler<'a> {
    pub(super) looker: Looker<'a>,
    pub(super) run: &'a RunId,
    pub(super) mode: Relinking,
    pub(super) window: &'a Window,
    pub(super) past: &'a Past,
    /// How long a chunk may usually take.
    pub(super) usual: Duration,
}

/// A reference to fill: its place in the chunk, and with what.
type ToFill<'a> = (usize, &'a Filling);

impl Filler<'_> {
    /// Looks without locks and decides.
    pub(super) async fn foresee(&self, chunk: &Chunk) -> Result<Vec<Verdict>, PgError> {
        Ok(self.look(chunk, false).await?.0)
    }

    /// Fills what may be filled. On an error the transaction is rolled back.
    pub(super) async fn attempt(
        &self,
        number: i64,
        chunk: &Chunk,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let attempt = self.transaction(number, chunk, limit).await;
        let session = self.looker.session;
        let committed = matches!(&attempt, Ok(Attempt::Done(_, rows)) if !rows.is_empty());
        if !committed && !session.is_closed() {
            session.batch("rolling back", "rollback").await?;
        }
        attempt
    }

    async fn look(
        &self,
        chunk: &Chunk,
        lock: bool,
    ) -> Result<(Vec<Verdict>, Vec<ChildSeen>), PgError> {
        let parents = self.looker.parents(chunk, lock).await?;
        let children = self.looker.children(chunk, lock).await?;
        let known = (self.window, self.past);
        let all = chunk.records.iter().zip(&parents).zip(&children);
        let verdicts =
            all.map(|((record, parent), child)| decide(record, parent, child, self.mode, known));
        Ok((verdicts.collect(), children))
    }

    async fn transaction(
        &self,
        number: i64,
        chunk: &Chunk,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let (started, session) = (Instant::now(), self.looker.session);
        let late = || started.elapsed() > limit;
        let begin = insert::begin(session, limit, self.usual);
        session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(self.run, number, &[]);
        let claimed = session.ask("claiming a batch in the journal", &claim, &[]);
        if claimed.await?.is_empty() {
            return Ok(Attempt::DoneBefore);
        }
        let (verdicts, children) = self.look(chunk, true).await?;
        let fills: Vec<ToFill<'_>> = verdicts
            .iter()
            .enumerate()
            .filter_map(|(n, v)| match v {
                Verdict::Fill(filling) => Some((n, filling)),
                _ => None,
            })
            .collect();
        let Some(child) = self
            .looker
            .link
            .child
            .as_ref()
            .filter(|_| !fills.is_empty())
        else {
            return Ok(Attempt::Done(verdicts, Vec::new()));
        };
        if late() {
            return Ok(Attempt::TooSlow);
        }
        let triggers = &self.looker.link.triggers;
        triggers.before(session).await?;
        for group in by_columns(&fills) {
            self.update(child, chunk, &group).await?;
        }
        triggers.after(session).await?;
        let (after, spoiled) = self.read_back(child, chunk, &fills).await?;
        if !spoiled.is_empty() {
            return Ok(Attempt::Spoiled(spoiled));
        }
        let rows: Vec<Relinked> = fills
            .iter()
            .zip(after)
            .map(|(fill, after)| self.journalled(chunk, *fill, &children, after))
            .collect();
        Relinks::new(session)
            .record(self.run, number, &rows)
            .await?;
        if late() {
            return Ok(Attempt::TooSlow);
        }
        session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Done(verdicts, rows))
    }

    /// The UPDATE, which says once more what was seen: nobody has written to the row since, and each column is NULL.
    async fn update(
        &self,
        child: &Table,
        chunk: &Chunk,
        fills: &[ToFill<'_>],
    ) -> Result<(), PgError> {
        let Some((_, first)) = fills.first() else {
            return Ok(());
        };
        let locator = &self.looker.link.locator;
        let keys: Vec<Key> = fills
            .iter()
            .map(|f| chunk.records[f.0].key.clone())
            .collect();
        let (mut set, mut still) = (Vec::new(), Vec::new());
        for &c in &first.columns {
            let name = &self.looker.link.head.columns[c];
            let Some(column) = child.column(name) else {
                continue;
            };
            let value = texts(fills, c);
            set.push(format!(
                "{} = {value}::{}",
                quote_ident(name),
                column.type_name
            ));
            still.push(format!("t.{} is null", quote_ident(name)));
        }
        let xmins: Vec<String> = fills.iter().map(|f| f.1.xmin.to_string()).collect();
        let sql = format!(
            "update {} t set {} from {} where {} and t.xmin::text = ('{{{}}}'::text[])[k.n] and {}",
            child.from_sql(),
            set.join(", "),
            locator.list(keys.iter()),
            locator.matches("t"),
            xmins.join(","),
            still.join(" and "),
        );
        let doing = format!("filling references of {}", child.name);
        self.looker.session.batch(&doing, &sql).await
    }

    /// What the rows hold at the end, and their `xmin`; the places of those that do not hold what they should: triggers had
    /// other plans.
    async fn read_back(
        &self,
        child: &Table,
        chunk: &Chunk,
        fills: &[ToFill<'_>],
    ) -> Result<(Vec<After>, Vec<usize>), PgError> {
        let locator = &self.looker.link.locator;
        let keys: Vec<Key> = fills
            .iter()
            .map(|f| chunk.records[f.0].key.clone())
            .collect();
        let mut select = vec!["k.n".to_owned(), "t.xmin::text".to_owned()];
        for (c, name) in self.looker.link.head.columns.iter().enumerate() {
            let Some(column) = child.column(name) else {
                continue;
            };
            let own = format!("t.{}::text", quote_ident(name));
            let wanted = format!("({}::{})::text", texts(fills, c), column.type_name);
            select.push(format!("coalesce({own} = {wanted}, false)"));
            select.push(own);
        }
        let sql = format!(
            "select {} from {} join {} t on {}",
            select.join(", "),
            locator.list(keys.iter()),
            child.from_sql(),
            locator.matches("t"),
        );
        let doing = format!("reading back references of {}", child.name);
        let mut after: Vec<Option<After>> = fills.iter().map(|_| None).collect();
        for row in self.looker.session.ask(&doing, &sql, &[]).await? {
            let n = place(row.get(0));
            let columns = 0..self.looker.link.head.columns.len();
            let held: Option<Vec<String>> = columns
                .clone()
                .map(|i| row.get::<_, Option<String>>(3 + 2 * i))
                .collect();
            let xmin: u32 = row.get::<_, &str>(1).parse().unwrap_or_default();
            let (_, fill) = fills[n];
            // A row that was not written to has the `xmin` that it had.
            let as_wanted = columns.clone().all(|i| row.get(2 + 2 * i)) && xmin != fill.xmin;
            after[n] = held
                .filter(|_| as_wanted)
                .map(|values| After { xmin, values });
        }
        let spoiled = fills.iter().zip(&after).filter(|(_, a)| a.is_none());
        let spoiled = spoiled.map(|((n, _), _)| *n).collect();
        Ok((after.into_iter().flatten().collect(), spoiled))
    }

    fn journalled(
        &self,
        chunk: &Chunk,
        (n, fill): ToFill<'_>,
        children: &[ChildSeen],
        after: After,
    ) -> Relinked {
        let record = &chunk.records[n];
        let parent = &self.looker.targets.tables[record.parent.table];
        let before = match &children[n] {
            ChildSeen::There(child) => child.values.clone(),
            ChildSeen::Gone | ChildSeen::Held => Vec::new(),
        };
        Relinked {
            unit: record.unit,
            parent_table: parent.name.to_string(),
            parent_key: record.parent.key.clone(),
            table: record.table.to_string(),
            key: record.key.clone(),
            columns: record.columns.clone(),
            before,
            after: after.values,
            proof: fill.proof.name().to_owned(),
            xmin_before: fill.xmin,
            xmin: after.xmin,
        }
    }
}

/// What a row holds after it was written to.
struct After {
    xmin: u32,
    values: Vec<String>,
}

/// A column's values, one for each row of the list `k`, as SQL.
fn texts(fills: &[ToFill<'_>], column: usize) -> String {
    let values = fills
        .iter()
        .map(|f| f.1.values.get(column).map(String::as_str));
    format!("({}::text[])[k.n]", quote_literal(&array_literal(values)))
}

/// Those of which the same columns are filled.
fn by_columns<'a>(fills: &[ToFill<'a>]) -> Vec<Vec<ToFill<'a>>> {
    let mut groups: BTreeMap<&[usize], Vec<ToFill<'a>>> = BTreeMap::new();
    for fill in fills {
        groups.entry(&fill.1.columns).or_default().push(*fill);
    }
    groups.into_values().collect()
}
