//! A bundle in the names that live has by now: tables and columns that were renamed after the bundle was made.
//!
//! Its files stay as they are. What the manifest says was renamed before is not renamed again.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Names, Rename, Renames, Schema, by_now};
use crate::diff::Unknowable;
use crate::ident::TableName;

use super::format::{Manifest, ManifestRename};
use super::{Bundle, BundleError, ManifestRelation, ManifestTable, RowIdentity};

/// The names that a bundle has: of a table that is not its own, those of columns by which references know it.
struct InBundle<'a> {
    manifest: &'a Manifest,
    relinked: BTreeMap<TableName, BTreeSet<String>>,
}

impl Names for InBundle<'_> {
    fn columns(&self, table: &TableName) -> Option<Vec<&str>> {
        let own = self.manifest.tables.iter().filter(|t| t.table == *table);
        let own = own.flat_map(|t| t.columns.iter().map(|c| &c.name));
        let relations = self.manifest.relations.iter();
        let child = relations.clone().filter(|r| r.child == *table);
        let child = child.flat_map(|r| r.child_columns.iter().chain(r.when.iter().map(|w| &w.0)));
        let parent = relations.filter(|r| r.parent == *table);
        let parent = parent.flat_map(|r| {
            let told = r.identity.iter().flat_map(|i| &i.columns);
            r.parent_columns.iter().chain(told.map(|c| &c.0))
        });
        let relinked = self.relinked.get(table).into_iter().flatten();
        let all = own.chain(child).chain(parent).chain(relinked);
        let columns: Vec<&str> = all.map(String::as_str).collect();
        (!columns.is_empty()).then_some(columns)
    }
}

impl Bundle {
    /// The bundle in the names of `live`.
    ///
    /// Errors: `Rename` for an entry that leads nowhere in live, or of which nobody can say whether the bundle means what live calls
    /// so; as reading the listing of relinks has them.
    pub fn renamed(mut self, entries: &[Rename], live: &Schema) -> Result<Self, BundleError> {
        let before = InBundle {
            manifest: &self.manifest,
            relinked: self.relinked()?,
        };
        let known = &self.manifest.renames;
        let is_known = |entry: &Rename| known.iter().any(|k| k.is(entry));
        let renames = Renames::check_since(entries, &before, live, is_known)?;
        self.manifest.rename(&renames);
        self.renames = renames;
        Ok(self)
    }

    /// Columns of tables that need not be in the manifest: references of theirs were set to NULL.
    fn relinked(&self) -> Result<BTreeMap<TableName, BTreeSet<String>>, BundleError> {
        let mut names: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
        for record in self.relinks()? {
            let record = record?;
            let columns = names.entry(record.table).or_default();
            columns.extend(record.key_columns);
            columns.extend(record.columns);
            columns.extend(record.compared);
        }
        Ok(names)
    }

    /// What to add where a table is looked for by the name that the snapshot had, or the bundle has, and live has not.
    pub fn by_now(&self, old: &TableName) -> Option<String> {
        let known = self.manifest.renames.iter();
        let mut known = known.filter(|r| r.column.is_none() && r.table == *old);
        let in_bundle = known.next().and_then(|r| r.to.parse().ok());
        let in_bundle: &TableName = in_bundle.as_ref().unwrap_or(old);
        let now = self.renames.table(in_bundle);
        (now != old).then(|| by_now(now))
    }

    /// What the snapshot called a table of the manifest, and those of its columns that it called otherwise: its name, live's.
    pub fn names_in_snapshot(&self, table: &ManifestTable) -> (TableName, Vec<(String, String)>) {
        let mut tables = self.renames.tables();
        let renamed = tables.find(|(_, now)| **now == table.table);
        let in_bundle = renamed.map_or(&table.table, |(before, _)| before);
        let known = &self.manifest.renames;
        let mut of_tables = known.iter().filter(|r| r.column.is_none());
        let of_table = of_tables.find(|r| r.to == in_bundle.to_string());
        let before = of_table.map_or(in_bundle, |r| &r.table);
        let column = |now: &str| {
            let mut since = self.renames.columns();
            let since = since.find(|(t, _, to)| *t == in_bundle && *to == now);
            let bundled = since.map_or(now, |(_, from, _)| from);
            let mut earlier = known
                .iter()
                .filter(|r| r.table == *before && r.to == bundled);
            let earlier = earlier.find_map(|r| r.column.clone());
            earlier.unwrap_or_else(|| bundled.to_owned())
        };
        let all = table.columns.iter();
        let columns = all.map(|c| (column(&c.name), c.name.clone()));
        let renamed = columns.filter(|(before, now)| before != now);
        (before.clone(), renamed.collect())
    }

    /// The manifest's tables, as the bundle's files name them.
    pub(super) fn names_before(&self) -> impl Iterator<Item = TableName> {
        self.manifest.tables.iter().map(|t| {
            let mut renamed = self.renames.tables();
            let before = renamed.find(|(_, now)| **now == t.table);
            before.map_or_else(|| t.table.clone(), |(before, _)| before.clone())
        })
    }
}

impl Manifest {
    fn rename(&mut self, renames: &Renames) {
        if renames.is_empty() {
            return;
        }
        let table = |name: &mut TableName| *name = renames.table(name).clone();
        self.tables.iter_mut().for_each(|t| of_table(t, renames));
        self.relations
            .iter_mut()
            .for_each(|r| of_relation(r, renames));
        self.left_out.iter_mut().for_each(|l| table(&mut l.table));
        self.exclusions.iter_mut().for_each(|e| table(&mut e.table));
        self.roots.iter_mut().for_each(|r| table(&mut r.table));
        for parent in &mut self.doubtful_parents {
            renames.rename_all(&parent.parent, &mut parent.columns);
            table(&mut parent.child);
            table(&mut parent.parent);
        }
        self.unknowable
            .iter_mut()
            .for_each(|u| of_unknowable(u, renames));
    }
}

fn of_table(table: &mut ManifestTable, renames: &Renames) {
    let name = &table.table;
    for column in &mut table.columns {
        column.name = renames.column(name, &column.name).to_owned();
    }
    renames.rename_all(name, &mut table.key);
    renames.rename_all(name, &mut table.large_objects);
    table.table = renames.table(name).clone();
}

fn of_relation(relation: &mut ManifestRelation, renames: &Renames) {
    let (child, parent) = (&relation.child, &relation.parent);
    renames.rename_all(child, &mut relation.child_columns);
    renames.rename_all(parent, &mut relation.parent_columns);
    for (column, _) in &mut relation.when {
        *column = renames.column(child, column).to_owned();
    }
    if let Some(RowIdentity { columns, .. }) = &mut relation.identity {
        for (column, _) in columns {
            *column = renames.column(parent, column).to_owned();
        }
    }
    relation.child = renames.table(child).clone();
    relation.parent = renames.table(parent).clone();
}

/// Its tables are for people: found again by their names as shown.
fn of_unknowable(unknowable: &mut Unknowable, renames: &Renames) {
    let rename = |text: &mut String| {
        if let Ok(name) = text.parse::<TableName>() {
            *text = renames.table(&name).to_string();
        }
    };
    unknowable
        .born_and_gone
        .iter_mut()
        .for_each(|b| rename(&mut b.table));
    unknowable
        .may_be_stale
        .iter_mut()
        .for_each(|s| rename(&mut s.table));
}

impl From<Rename> for ManifestRename {
    fn from(rename: Rename) -> Self {
        match rename {
            Rename::Table { from, to } => Self {
                table: from,
                column: None,
                to: to.to_string(),
            },
            Rename::Column { table, from, to } => Self {
                table,
                column: Some(from),
                to,
            },
        }
    }
}

impl ManifestRename {
    /// Whether it is what an entry says that names its table as the snapshot did.
    pub fn is(&self, entry: &Rename) -> bool {
        *self == Self::from(entry.clone())
    }
}
