//! References that the deletion set to NULL (`ON DELETE SET NULL`, or the application before it deleted): rows that are still
//! there, pointed at a row that comes back when the backup was made, and point at nothing now.
//!
//! They are listed, not filled: who set them to NULL the deletion and who did so on purpose looks the same from here.

use std::collections::HashSet;

use crate::bundle::{BundleWriter, RelinkRecord, RowName};
use crate::catalog::{Locator, Relation, Schema, Table};
use crate::closure::{Node, Units};
use crate::diff::Candidates;
use crate::ident::{Key, quote_ident};
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

use super::ExtractError;
use super::edges::ROWS_A_QUESTION;
use super::layout::Layout;

/// What was listed.
#[derive(Debug, Default)]
pub(super) struct Relinks {
    /// How many.
    pub(super) listed: u64,
    /// References that could not be looked at.
    pub(super) notes: Vec<String>,
}

/// Where references are looked for.
pub(super) struct Looking<'a> {
    pub(super) snapshot: &'a Session,
    pub(super) live: &'a Session,
    pub(super) schema: &'a Schema,
    pub(super) candidates: &'a Candidates,
    pub(super) units: &'a Units,
    pub(super) layout: &'a Layout,
}

/// A row that pointed at one that comes back.
struct Child {
    parent: Node,
    key: Key,
    values: Vec<String>,
}

impl Looking<'_> {
    /// Lists what pointed at the rows of the units and is NULL in live, along every relation.
    pub(super) async fn list(
        &self,
        relations: &[Relation],
        writer: &mut BundleWriter,
    ) -> Result<Relinks, ExtractError> {
        let mut relinks = Relinks::default();
        for relation in relations {
            let (Some(parent), Some(child)) = (
                self.candidates.table(&relation.parent),
                self.candidates.table(&relation.child),
            ) else {
                continue;
            };
            let may_be_null = |table: &&Table| {
                let mut columns = relation.child_columns.iter();
                columns.any(|c| table.column(c).is_some_and(|c| !c.not_null))
            };
            let Some(live) = self.schema.tables.get(&relation.child).filter(may_be_null) else {
                continue;
            };
            let nodes: Vec<Node> = (0..self.candidates.count(parent))
                .map(|row| self.candidates.node(parent, row))
                .filter(|node| self.units.unit_of(*node).is_some())
                .collect();
            if nodes.is_empty() {
                continue;
            }
            if self.candidates.tables[child].key.is_empty() {
                relinks.notes.push(format!(
                    "{} has no key: whether its rows referenced {} before the deletion set that to NULL cannot be told",
                    relation.child, relation.parent
                ));
                continue;
            }
            for chunk in nodes.chunks(ROWS_A_QUESTION) {
                relinks.listed += self
                    .along(relation, (parent, child), live, chunk, writer)
                    .await?;
            }
        }
        Ok(relinks)
    }

    async fn along(
        &self,
        relation: &Relation,
        (parent, child): (usize, usize),
        live: &Table,
        parents: &[Node],
        writer: &mut BundleWriter,
    ) -> Result<u64, ExtractError> {
        let doing = format!("looking for what referenced {}", relation.parent);
        let sql = self.question(relation, (parent, child), parents);
        let width = self.candidates.tables[child].key.len();
        let mut lines = CopyLines::start(self.snapshot, &doing, &sql).await?;
        let (mut listed, mut waiting) = (0, Vec::new());
        while let Some(line) = lines.next().await? {
            let mut fields = raw_fields(&line).map(|f| unescape(f).unwrap_or_default());
            let n: usize = fields.next().and_then(|n| n.parse().ok()).unwrap_or(1);
            let key = Key(fields.by_ref().take(width).collect());
            // What was deleted itself comes back as it was, or not at all.
            if self.candidates.find_key(child, &key).is_none() {
                waiting.push(Child {
                    parent: parents[n - 1],
                    key,
                    values: fields.collect(),
                });
            }
            if waiting.len() == ROWS_A_QUESTION {
                listed += self.write(relation, live, &waiting, writer).await?;
                waiting.clear();
            }
        }
        Ok(listed + self.write(relation, live, &waiting, writer).await?)
    }

    /// The rows of the snapshot that reference the parents: number of the parent, key, what the reference holds.
    fn question(
        &self,
        relation: &Relation,
        (parent, child): (usize, usize),
        parents: &[Node],
    ) -> String {
        let (of_parent, of_child) = (
            &self.candidates.tables[parent].snapshot,
            &self.candidates.tables[child].snapshot,
        );
        let keys: Vec<Key> = parents.iter().map(|n| self.candidates.key(*n)).collect();
        let locator = self.candidates.locator(parent);
        let mut columns = self.candidates.locator(child).texts("c");
        let referring = relation.child_columns.iter();
        columns.extend(referring.map(|c| format!("c.{}::text", quote_ident(c))));
        format!(
            "copy (select k.n, {} from {} join {} p on {} join {} c on {}) to stdout",
            columns.join(", "),
            locator.list(keys.iter()),
            of_parent.from_sql(),
            locator.matches("p"),
            of_child.from_sql(),
            relation.refers(of_child, of_parent),
        )
    }

    /// Writes those whose reference is NULL in live.
    async fn write(
        &self,
        relation: &Relation,
        live: &Table,
        children: &[Child],
        writer: &mut BundleWriter,
    ) -> Result<u64, ExtractError> {
        let Some(table) = self.candidates.table(&relation.child) else {
            return Ok(0);
        };
        let pair = &self.candidates.tables[table];
        let locator = Locator::across(&pair.snapshot, live, &pair.key);
        let null: Vec<String> = relation
            .child_columns
            .iter()
            .map(|c| format!("t.{} is null", quote_ident(c)))
            .collect();
        let sql = format!(
            "select k.n from {} join {} t on {} where {}",
            locator.list(children.iter().map(|c| &c.key)),
            live.from_sql(),
            locator.matches("t"),
            null.join(" or "),
        );
        let doing = format!("looking for references of {} that are NULL", relation.child);
        let rows = self.live.ask(&doing, &sql, &[]).await?;
        let now: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let mut written = 0;
        for (n, child) in (1_i64..).zip(children) {
            let Some(record) = self.record(relation, child).filter(|_| now.contains(&n)) else {
                continue;
            };
            writer.relink(&record)?;
            written += 1;
        }
        Ok(written)
    }

    fn record(&self, relation: &Relation, child: &Child) -> Option<RelinkRecord> {
        let (table, _) = self.candidates.place(child.parent);
        Some(RelinkRecord {
            unit: self.units.unit_of(child.parent)?,
            parent: RowName {
                table: self.layout.places[table]?,
                key: self.candidates.key(child.parent),
            },
            table: relation.child.clone(),
            key: child.key.clone(),
            columns: relation.child_columns.clone(),
            values: child.values.clone(),
        })
    }
}
