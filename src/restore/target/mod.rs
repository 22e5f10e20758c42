//! The bundle's tables as live has them: which columns are written and compared, and how rows are looked up.

mod table;

pub use table::{TargetTable, TargetUnique};

use crate::bundle::{Bundle, LargeObjects, ManifestRelation, RowIdentity};
use crate::catalog::{IdentityRule, Locator, Schema};
use crate::ident::TableName;

use super::fill::{self, Fill};
use super::{Batch, RestoreError};
use table::target_table;

/// A relation whose parents live has.
pub struct TargetRelation {
    /// The referenced table.
    pub parent: TableName,
    /// Its columns that are referenced.
    pub columns: Vec<String>,
    /// Rows of it are locked.
    pub needed: bool,
    /// As SQL, with ONLY where that is right.
    pub parent_from: String,
    /// Looks parents up by the columns referenced.
    pub locator: Locator,
    /// What tells a parent from another row under its key, as far as live has the columns; none where nothing does.
    pub identity: Option<RowIdentity>,
    /// A parent's values in its columns, as SQL over `t`.
    pub identity_texts: String,
}

/// All tables and relations of a bundle, in live.
pub struct Targets {
    /// Tables, as the manifest numbers them.
    pub tables: Vec<TargetTable>,
    /// Relations, as the manifest numbers them; `None` where live lacks the parent table or its columns.
    pub relations: Vec<Option<TargetRelation>>,
    /// Insertion order.
    pub groups: Vec<Vec<usize>>,
    /// The large objects that the bundle's rows point at, where it has any.
    pub(crate) objects: Option<LargeObjects>,
}

impl Targets {
    /// Finds the bundle's tables in live.
    ///
    /// Errors: `Table` for one that is missing or cannot hold the rows, naming the reason; `Fill`.
    pub fn find(bundle: &Bundle, live: &Schema, fills: &[Fill]) -> Result<Self, RestoreError> {
        let manifest = &bundle.manifest;
        fill::check(fills, bundle, live)?;
        let tables = manifest
            .tables
            .iter()
            .map(|t| target_table(t, live, fills))
            .collect::<Result<Vec<_>, _>>()?;
        let objects = bundle.large_objects()?;
        let mut tables = tables;
        if objects.is_none() {
            tables.iter_mut().for_each(|t| t.object_fields.clear());
        }
        let relations = manifest
            .relations
            .iter()
            .map(|r| target_relation(r, live))
            .collect();
        Ok(Self {
            tables,
            relations,
            groups: manifest.insertion_order.clone(),
            objects,
        })
    }

    /// Tells parents apart as the configuration says.
    ///
    /// Errors: `Identity` for a table that live lacks, or a column that the bundle does not have of it.
    pub(in crate::restore) fn identify_by(
        &mut self,
        rules: &[IdentityRule],
        bundle: &Bundle,
        live: &Schema,
    ) -> Result<(), RestoreError> {
        for rule in rules {
            let wrong = |reason: String| RestoreError::Identity {
                table: rule.table.clone(),
                reason,
            };
            let parent = live.tables.get(&rule.table);
            let parent = parent.ok_or_else(|| {
                let hint = bundle.by_now(&rule.table).unwrap_or_default();
                wrong(format!("live has no such table{hint}"))
            })?;
            let relations = bundle.manifest.relations.iter().zip(&mut self.relations);
            let needed = relations.filter(|(r, _)| r.needed && r.parent == rule.table);
            for (relation, target) in needed {
                let Some(target) = target else { continue };
                target.identity = None;
                let Some(first) = rule.columns.first() else {
                    continue;
                };
                let recorded = relation.identity.as_ref().ok_or_else(|| first.clone());
                let by = recorded.and_then(|identity| identity.by(&rule.columns));
                let lacking = |column: String| {
                    wrong(format!(
                        "the bundle does not say what {column} held in the backup; extract again with this entry"
                    ))
                };
                target.identity = by.map_err(lacking)?.within(parent);
            }
        }
        Ok(())
    }

    /// Tables of parents outside the bundle that a batch needs, and of which nothing tells whether they are the rows that they
    /// were.
    pub(in crate::restore) fn untold<'b>(
        &'b self,
        batch: &'b Batch,
    ) -> impl Iterator<Item = TableName> + 'b {
        let needs = batch.units.iter().flat_map(|u| &u.needs);
        let outside = needs.filter(|n| n.unit.is_none());
        outside.filter_map(|need| {
            let target = self.relations.get(need.relation)?.as_ref()?;
            let told = target.identity.is_some() && !need.identity.is_empty();
            (!told).then(|| target.parent.clone())
        })
    }

    /// Whether a table's rows go through a staging table: in one statement with the tables it forms a cycle with, or to
    /// learn where rows without a key came to lie.
    pub(in crate::restore) fn staged(&self, table: usize) -> bool {
        let together = self
            .groups
            .iter()
            .any(|g| g.len() > 1 && g.contains(&table));
        together || !self.tables[table].keyed()
    }
}

fn target_relation(relation: &ManifestRelation, live: &Schema) -> Option<TargetRelation> {
    let parent = live.tables.get(&relation.parent)?;
    relation
        .parent_columns
        .iter()
        .all(|c| parent.column(c).is_some())
        .then(|| TargetRelation {
            parent: relation.parent.clone(),
            columns: relation.parent_columns.clone(),
            needed: relation.needed,
            parent_from: parent.from_sql(),
            locator: Locator::by_names(parent, &relation.parent_columns),
            identity: relation.identity.as_ref().and_then(|i| i.within(parent)),
            identity_texts: relation
                .identity
                .as_ref()
                .map_or_else(|| "array[]::text[]".to_owned(), |i| i.texts(parent)),
        })
}
