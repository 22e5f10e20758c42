//! References that the deletion set to NULL (`ON DELETE SET NULL`, or the application before it deleted) or to their default
//! (`ON DELETE SET DEFAULT`): rows that are still there, and pointed at a row that comes back when the backup was made.
//!
//! They are listed with what tells, later, who did it: when the parent was deleted, which transaction last wrote the row, and a
//! hash of what else it held. `restore` decides; who set them to NULL on purpose is asked there.

mod reference;

use std::collections::BTreeMap;

use crate::bundle::{BundleWriter, RelinkRecord, RowName};
use crate::catalog::{COMMITTED, Locator, OnDelete, Relation, Schema, Table, content_digest};
use crate::closure::{Node, Units};
use crate::diff::Candidates;
use crate::evidence::Findings;
use crate::ident::{Key, quote_ident};
use crate::pg::copy::{CopyLines, raw_fields, unescape};
use crate::pg::{PgError, Session};

use reference::{Child, Now, Reference};

use super::edges::ROWS_A_QUESTION;
use super::layout::Layout;
use super::{ExtractError, dates};

/// What was listed.
#[derive(Debug, Default)]
pub(super) struct Relinks {
    /// References that are NULL.
    pub(super) listed: u64,
    /// References that hold their default.
    pub(super) set_default: u64,
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
    pub(super) findings: &'a Findings,
}

impl Looking<'_> {
    /// Lists what pointed at the rows of the units and is NULL, or its default, in live, along every relation.
    pub(super) async fn list(
        &self,
        relations: &[Relation],
        writer: &mut BundleWriter,
    ) -> Result<Relinks, ExtractError> {
        let mut relinks = Relinks::default();
        let timed = self.timed().await?;
        for relation in relations {
            let (Some(parent), Some(child)) = (
                self.candidates.table(&relation.parent),
                self.candidates.table(&relation.child),
            ) else {
                continue;
            };
            let may_change = |table: &&Table| {
                let mut columns = relation.child_columns.iter();
                relation.on_delete == OnDelete::SetDefault
                    || columns.any(|c| table.column(c).is_some_and(|c| !c.not_null))
            };
            let Some(live) = self.schema.tables.get(&relation.child).filter(may_change) else {
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
            let mut reference = self.reference(relation, (parent, child), live);
            let others = self.other_references(relations, relation);
            reference.compared.retain(|c| !others.contains(c));
            reference.timed = timed;
            reference.defaults = self.defaults(&reference).await?;
            for chunk in nodes.chunks(ROWS_A_QUESTION) {
                self.along(&reference, chunk, writer, &mut relinks).await?;
            }
        }
        Ok(relinks)
    }

    /// Whether live keeps commit timestamps.
    async fn timed(&self) -> Result<bool, PgError> {
        let sql = "select current_setting('track_commit_timestamp') = 'on'";
        let rows = self.live.ask("asking what live keeps", sql, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    fn reference<'a>(
        &self,
        relation: &'a Relation,
        (parent, child): (usize, usize),
        live: &'a Table,
    ) -> Reference<'a> {
        let mut columns = relation.child_columns.clone();
        columns.extend(relation.when.iter().map(|(column, _)| column.clone()));
        let others = self.candidates.tables[child].snapshot.columns.iter();
        let compared = others
            .filter(|c| !c.generated && !columns.contains(&c.name))
            .filter(|c| live.column(&c.name).is_some_and(|l| !l.generated))
            .map(|c| c.name.clone())
            .collect();
        Reference {
            relation,
            parent,
            child,
            live,
            columns,
            compared,
            defaults: BTreeMap::new(),
            timed: false,
        }
    }

    /// Columns by which rows of the same table refer to rows that may come back too: the deletion may have emptied them as well.
    fn other_references(&self, relations: &[Relation], of: &Relation) -> Vec<String> {
        let lost = |r: &&Relation| {
            let parent = self.candidates.table(&r.parent);
            r.child == of.child && parent.is_some_and(|t| self.candidates.count(t) > 0)
        };
        let columns = |r: &Relation| {
            let when = r.when.iter().map(|(column, _)| column.clone());
            r.child_columns
                .iter()
                .cloned()
                .chain(when)
                .collect::<Vec<_>>()
        };
        relations.iter().filter(lost).flat_map(columns).collect()
    }

    /// What `ON DELETE SET DEFAULT` sets each column to; one whose default is drawn from a sequence has no value to look for.
    async fn defaults(
        &self,
        reference: &Reference<'_>,
    ) -> Result<BTreeMap<String, String>, PgError> {
        if reference.relation.on_delete != OnDelete::SetDefault {
            return Ok(BTreeMap::new());
        }
        let sql = "select a.attname::text, pg_get_expr(d.adbin, d.adrelid)
                     from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
                    where d.adrelid = $1::regclass and not a.attisdropped";
        let table = reference.live;
        let doing = format!("reading the defaults of {}", table.name);
        let rows = self.live.ask(&doing, sql, &[&table.name.sql()]).await?;
        let all = rows.iter().map(|row| (row.get(0), row.get(1)));
        let fixed = |name: &String| table.column(name).is_some_and(|c| !c.drawn);
        Ok(all
            .filter(|(name, _)| reference.relation.child_columns.contains(name) && fixed(name))
            .collect())
    }

    async fn along(
        &self,
        reference: &Reference<'_>,
        parents: &[Node],
        writer: &mut BundleWriter,
        relinks: &mut Relinks,
    ) -> Result<(), ExtractError> {
        let before = (relinks.listed, relinks.set_default);
        match self.with(reference, parents, true, writer, relinks).await {
            Err(ExtractError::Pg(e))
                if e.is_too_long() && before == (relinks.listed, relinks.set_default) =>
            {
                relinks.notes.push(format!(
                    "rows of {} are too long for a hash of all that they hold: --relinks all will not fill their references",
                    reference.relation.child
                ));
                self.with(reference, parents, false, writer, relinks).await
            }
            done => done,
        }
    }

    async fn with(
        &self,
        reference: &Reference<'_>,
        parents: &[Node],
        hashed: bool,
        writer: &mut BundleWriter,
        relinks: &mut Relinks,
    ) -> Result<(), ExtractError> {
        let doing = format!("looking for what referenced {}", reference.relation.parent);
        let sql = self.question(reference, parents, hashed);
        let width = self.candidates.tables[reference.child].key.len();
        let mut lines = CopyLines::start(self.snapshot, &doing, &sql).await?;
        let mut waiting = Vec::new();
        while let Some(line) = lines.next().await? {
            let mut fields = raw_fields(&line).map(unescape);
            let n = fields.next().flatten();
            let n: usize = n.and_then(|n| n.parse().ok()).unwrap_or(1);
            let content = fields.next().flatten();
            let mut texts = fields.map(Option::unwrap_or_default);
            let key = Key(texts.by_ref().take(width).collect());
            // What was deleted itself comes back as it was, or not at all.
            if self.candidates.find_key(reference.child, &key).is_none() {
                waiting.push(Child {
                    parent: parents[n - 1],
                    key,
                    content,
                    values: texts.collect(),
                });
            }
            if waiting.len() == ROWS_A_QUESTION {
                self.write(reference, &waiting, writer, relinks).await?;
                waiting.clear();
            }
        }
        self.write(reference, &waiting, writer, relinks).await
    }

    /// The rows of the snapshot that reference the parents: number of the parent, hash, key, what the reference holds.
    fn question(&self, reference: &Reference<'_>, parents: &[Node], hashed: bool) -> String {
        let (of_parent, of_child) = (
            &self.candidates.tables[reference.parent].snapshot,
            &self.candidates.tables[reference.child].snapshot,
        );
        let keys: Vec<Key> = parents.iter().map(|n| self.candidates.key(*n)).collect();
        let locator = self.candidates.locator(reference.parent);
        let mut columns = vec![match hashed {
            true => content_digest("c", &reference.compared),
            false => "null".to_owned(),
        }];
        columns.extend(self.candidates.locator(reference.child).texts("c"));
        let referring = reference.columns.iter();
        columns.extend(referring.map(|c| format!("c.{}::text", quote_ident(c))));
        format!(
            "copy (select k.n, {} from {} join {} p on {} join {} c on {}) to stdout",
            columns.join(", "),
            locator.list(keys.iter()),
            of_parent.from_sql(),
            locator.matches("p"),
            of_child.from_sql(),
            reference.relation.refers(of_child, of_parent),
        )
    }

    /// Writes those whose reference is NULL, or its default, in live.
    async fn write(
        &self,
        reference: &Reference<'_>,
        children: &[Child],
        writer: &mut BundleWriter,
        relinks: &mut Relinks,
    ) -> Result<(), ExtractError> {
        let now = self.now(reference, children).await?;
        for (n, child) in (1_i64..).zip(children) {
            let Some(now) = now.get(&n) else { continue };
            let Some(set_default) = reference.emptied(child, now) else {
                continue;
            };
            let Some(record) = self.record(reference, child, now, set_default) else {
                continue;
            };
            writer.relink(&record)?;
            match set_default {
                true => relinks.set_default += 1,
                false => relinks.listed += 1,
            }
        }
        Ok(())
    }

    /// What live has of these children, by their number from 1.
    async fn now(
        &self,
        reference: &Reference<'_>,
        children: &[Child],
    ) -> Result<BTreeMap<i64, Now>, PgError> {
        let (live, pair) = (reference.live, &self.candidates.tables[reference.child]);
        let locator = Locator::across(&pair.snapshot, live, &pair.key);
        let mut columns = vec![
            match reference.timed {
                true => COMMITTED,
                false => "null::text",
            }
            .to_owned(),
        ];
        for name in &reference.columns {
            let Some(column) = live.column(name) else {
                return Ok(BTreeMap::new());
            };
            let own = format!("t.{}::text", quote_ident(name));
            let default = reference.defaults.get(name).map_or_else(
                || "false".to_owned(),
                |d| format!("{own} = (({d})::{})::text", column.type_name),
            );
            columns.push(own);
            columns.push(format!("coalesce({default}, false)"));
        }
        let sql = format!(
            "select k.n, t.xmin::text, {} from {} join {} t on {}",
            columns.join(", "),
            locator.list(children.iter().map(|c| &c.key)),
            live.from_sql(),
            locator.matches("t"),
        );
        let doing = format!("looking at references of {}", live.name);
        let rows = self.live.ask(&doing, &sql, &[]).await?;
        let read = |row: &crate::pg::Row| {
            let values = (0..reference.columns.len())
                .map(|i| (row.get(3 + 2 * i), row.get(4 + 2 * i)))
                .collect();
            let now = Now {
                xmin: row.get::<_, &str>(1).parse().ok(),
                committed: row.get(2),
                values,
            };
            (row.get(0), now)
        };
        Ok(rows.iter().map(read).collect())
    }

    fn record(
        &self,
        reference: &Reference<'_>,
        child: &Child,
        now: &Now,
        set_default: bool,
    ) -> Option<RelinkRecord> {
        let (table, _) = self.candidates.place(child.parent);
        Some(RelinkRecord {
            unit: self.units.unit_of(child.parent)?,
            parent: RowName {
                table: self.layout.places[table]?,
                key: self.candidates.key(child.parent),
            },
            table: reference.relation.child.clone(),
            key: child.key.clone(),
            key_columns: self.candidates.tables[reference.child].key.clone(),
            columns: reference.columns.clone(),
            values: child.values.clone(),
            parent_columns: reference.relation.parent_columns.clone(),
            set_default,
            evidence: Some(dates::evidence(self.findings.of(child.parent))),
            xmin: now.xmin,
            committed: now.committed.clone(),
            compared: reference.compared.clone(),
            content: child.content.clone(),
        })
    }
}
