//! Writes the units with their rows as the snapshot's COPY gives them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::bundle::{BundleWriter, Need, RowName, UnitRecord};
use crate::catalog::Table;
use crate::closure::{Node, Unit, Units};
use crate::ident::{Key, TableName, qualified_list};
use crate::pg::Session;
use crate::pg::copy::CopyLines;

use super::edges::References;
use super::large_objects::Pointers;
use super::layout::Layout;
use super::parents::{Asked, Values};
use super::{ExtractError, dates};
use crate::diff::Candidates;
use crate::evidence::Dated;

/// Rows fetched at once, at most.
const GROUP_ROWS: usize = 2_000;
/// Bytes fetched at once, about, by the tables' average row.
const GROUP_BYTES: u64 = 16 << 20;

/// Rows named that are too long.
const NAMED: usize = 10;

/// Rows and units (by root) of each table, in insertion order.
type Written = Vec<(TableName, u64, u64)>;

/// Writes all units; returns what was written per table, and what may point at large objects.
pub(super) async fn write(
    writer: &mut BundleWriter,
    session: &Session,
    (dated, parents): (&Dated, &Asked<'_>),
    references: &References,
    units: &Units,
    layout: &Layout,
) -> Result<(Written, Pointers), ExtractError> {
    let candidates = &dated.candidates;
    let mut packer = Packer {
        writer,
        session,
        candidates,
        dated,
        references,
        layout,
        parents,
        held: BTreeMap::new(),
        pointers: Pointers::new(candidates, |t| stored_columns(candidates, t)),
    };
    let mut written: Written = layout
        .order
        .iter()
        .map(|t| (candidates.tables[*t].snapshot.name.clone(), 0, 0))
        .collect();
    let limit = packer.group_rows();
    let mut group: Vec<Unit<'_>> = Vec::new();
    let mut rows = 0;
    for unit in units.iter() {
        let (root, _) = candidates.place(unit.root);
        if let Some(place) = layout.places[root] {
            written[place].2 += 1;
        }
        for node in unit.rows {
            if let Some(place) = layout.places[candidates.place(*node).0] {
                written[place].1 += 1;
            }
        }
        if rows + unit.rows.len() > limit && !group.is_empty() {
            packer.group(&group).await?;
            group.clear();
            rows = 0;
        }
        if unit.rows.len() > limit {
            packer.alone(&unit, limit).await?;
            continue;
        }
        rows += unit.rows.len();
        group.push(unit);
    }
    packer.group(&group).await?;
    Ok((written, packer.pointers))
}

struct Packer<'a> {
    writer: &'a mut BundleWriter,
    session: &'a Session,
    candidates: &'a Candidates,
    dated: &'a Dated,
    references: &'a References,
    layout: &'a Layout,
    parents: &'a Asked<'a>,
    /// What the parents outside the bundle held that the units at hand need, by relation and key.
    held: BTreeMap<usize, BTreeMap<Key, Values>>,
    pointers: Pointers,
}

/// The columns that a line of a candidate table has.
fn stored_columns(candidates: &Candidates, table: usize) -> Vec<&str> {
    let compared = &candidates.tables[table];
    let columns = compared.snapshot.columns.iter();
    columns
        .filter(|c| !c.generated || compared.key.contains(&c.name))
        .map(|c| c.name.as_str())
        .collect()
}

impl Packer<'_> {
    /// Rows per group, so that a group fits in memory whatever the width of the rows.
    fn group_rows(&self) -> usize {
        let widest = self.layout.order.iter().map(|t| {
            let table = &self.candidates.tables[*t].snapshot;
            table.bytes / table.estimated_rows.max(1)
        });
        let widest = widest.max().unwrap_or(1).max(1);
        usize::try_from(GROUP_BYTES / widest)
            .unwrap_or(GROUP_ROWS)
            .clamp(20, GROUP_ROWS)
    }

    /// Units that fit in memory together: one fetch a table.
    async fn group(&mut self, units: &[Unit<'_>]) -> Result<(), ExtractError> {
        let mut nodes: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
        for node in units.iter().flat_map(|u| u.rows) {
            nodes
                .entry(self.candidates.place(*node).0)
                .or_default()
                .push(*node);
        }
        let mut lines: BTreeMap<usize, VecDeque<Bytes>> = BTreeMap::new();
        for (table, nodes) in &nodes {
            let mut fetched = VecDeque::with_capacity(nodes.len());
            self.fetch(*table, nodes, |line| {
                fetched.push_back(line);
                Ok(())
            })
            .await?;
            lines.insert(*table, fetched);
        }
        self.identify(units).await?;
        for unit in units {
            for node in unit.rows {
                let (table, _) = self.candidates.place(*node);
                let line = lines.get_mut(&table).and_then(VecDeque::pop_front);
                if let (Some(place), Some(line)) = (self.layout.places[table], line) {
                    self.pointers.note(table, unit.number, &line);
                    self.writer.row(place, &line)?;
                }
            }
            self.end(unit)?;
        }
        Ok(())
    }

    /// A unit that is too large for that: its rows pass through one by one.
    async fn alone(&mut self, unit: &Unit<'_>, limit: usize) -> Result<(), ExtractError> {
        let mut nodes: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
        for node in unit.rows {
            nodes
                .entry(self.candidates.place(*node).0)
                .or_default()
                .push(*node);
        }
        for (table, nodes) in &nodes {
            for chunk in nodes.chunks(limit) {
                let mut fetched = Vec::with_capacity(chunk.len());
                self.fetch(*table, chunk, |line| {
                    fetched.push(line);
                    Ok(())
                })
                .await?;
                for line in fetched {
                    if let Some(place) = self.layout.places[*table] {
                        self.pointers.note(*table, unit.number, &line);
                        self.writer.row(place, &line)?;
                    }
                }
            }
        }
        self.identify(std::slice::from_ref(unit)).await?;
        self.end(unit)
    }

    /// Asks what tells the parents that units need and that are in none.
    async fn identify(&mut self, units: &[Unit<'_>]) -> Result<(), ExtractError> {
        let mut needed: BTreeMap<usize, BTreeSet<&Key>> = BTreeMap::new();
        for node in units.iter().flat_map(|u| u.rows) {
            for (relation, key, unit) in self.references.needs_of(*node) {
                if unit.is_none() {
                    needed.entry(relation).or_default().insert(key);
                }
            }
        }
        self.held.clear();
        for (relation, keys) in needed {
            let held = self.parents.held(relation, &keys).await?;
            self.held.insert(relation, held);
        }
        Ok(())
    }

    /// The rows of `nodes`, in that order, as COPY lines; those that are too long for one are named.
    async fn fetch(
        &self,
        table: usize,
        nodes: &[Node],
        take: impl FnMut(Bytes) -> Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        match self.lines(table, nodes, take).await {
            Err(ExtractError::Pg(e)) if e.is_too_long() => Err(ExtractError::TooLong {
                table: self.candidates.tables[table].snapshot.name.clone(),
                keys: self.too_long(table, nodes).await?,
            }),
            other => other,
        }
    }

    /// Which of the rows are too long, found by halving.
    async fn too_long(&self, table: usize, nodes: &[Node]) -> Result<Vec<Key>, ExtractError> {
        let mut found = Vec::new();
        let mut parts = vec![nodes];
        while let Some(part) = parts.pop().filter(|_| found.len() < NAMED) {
            match (self.lines(table, part, |_| Ok(())).await, part) {
                (Err(ExtractError::Pg(e)), [one]) if e.is_too_long() => {
                    found.push(self.candidates.key(*one));
                }
                (Err(ExtractError::Pg(e)), part) if e.is_too_long() => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (other, _) => other?,
            }
        }
        Ok(found)
    }

    async fn lines(
        &self,
        table: usize,
        nodes: &[Node],
        mut take: impl FnMut(Bytes) -> Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        let source: &Table = &self.candidates.tables[table].snapshot;
        let keys: Vec<Key> = nodes.iter().map(|n| self.candidates.key(*n)).collect();
        let locator = self.candidates.locator(table);
        let columns = stored_columns(self.candidates, table);
        let sql = format!(
            "copy (select {} from {} join {} t on {} order by k.n) to stdout",
            qualified_list("t", &columns),
            locator.list(keys.iter()),
            source.from_sql(),
            locator.matches("t"),
        );
        let mut lines = CopyLines::start(
            self.session,
            &format!("fetching rows of {}", source.name),
            &sql,
        )
        .await?;
        let mut fetched = 0;
        while let Some(line) = lines.next().await? {
            fetched += 1;
            take(line)?;
        }
        if fetched != nodes.len() {
            return Err(ExtractError::SnapshotMoves {
                table: source.name.clone(),
            });
        }
        Ok(())
    }

    fn end(&mut self, unit: &Unit<'_>) -> Result<(), ExtractError> {
        let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
        let mut needs: Vec<Need> = Vec::new();
        for node in unit.rows {
            if let Some(place) = self.layout.places[self.candidates.place(*node).0] {
                *rows.entry(place).or_default() += 1;
            }
            for (relation, key, unit) in self.references.needs_of(*node) {
                let Some(place) = self.layout.relation_places[relation] else {
                    continue;
                };
                let held = self.held.get(&relation).and_then(|held| held.get(key));
                needs.push(Need {
                    relation: place,
                    key: key.clone(),
                    unit,
                    identity: held.filter(|_| unit.is_none()).cloned().unwrap_or_default(),
                });
            }
        }
        needs.sort_by(|a, b| (a.relation, &a.key).cmp(&(b.relation, &b.key)));
        needs.dedup();
        let (root, _) = self.candidates.place(unit.root);
        let record = UnitRecord {
            unit: unit.number,
            root: RowName {
                table: self.layout.places[root].unwrap_or_default(),
                key: self.candidates.key(unit.root),
            },
            rows: rows.into_iter().collect(),
            evidence: dates::evidence(self.dated.findings.of(unit.root)),
            row_evidence: dates::of_rows(unit, &self.dated.findings, self.candidates, |t| {
                self.layout.places[t]
            }),
            depends_on: unit.depends_on.to_vec(),
            needs,
            reason: unit.needed.then(|| "needed by other units".to_owned()),
        };
        Ok(self.writer.end_unit(record)?)
    }
}
