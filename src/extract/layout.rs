//! The bundle's layout: which tables it holds in which order, and which relations, as the manifest numbers them.

use crate::bundle::{
    DroppedColumn, ManifestColumn, ManifestRelation, ManifestTable, RowIdentity, WantingColumn,
};
use crate::catalog::{Column, Comparable, Identity, Relation, Table};
use crate::closure::{Units, insertion_order};
use crate::ident::TableName;

use super::edges::References;
use crate::diff::Candidates;

/// Tables and relations as the manifest numbers them.
pub(super) struct Layout {
    /// Candidate table by manifest table.
    pub(super) order: Vec<usize>,
    /// Manifest table by candidate table.
    pub(super) places: Vec<Option<usize>>,
    pub(super) groups: Vec<Vec<usize>>,
    cyclic: Vec<bool>,
    pub(super) relations: Vec<ManifestRelation>,
    /// Manifest relation by relation.
    pub(super) relation_places: Vec<Option<usize>>,
}

impl Layout {
    /// Numbers the tables that have rows in a unit by insertion order, and the relations that touch them.
    pub(super) fn new(
        candidates: &Candidates,
        (relations, identities): (&[Relation], &[Option<RowIdentity>]),
        references: &References,
        units: &Units,
    ) -> Self {
        let used: Vec<usize> = (0..candidates.tables.len())
            .filter(|t| {
                (0..candidates.count(*t)).any(|r| units.unit_of(candidates.node(*t, r)).is_some())
            })
            .collect();
        let at = |name: &TableName| {
            candidates
                .table(name)
                .and_then(|t| used.iter().position(|u| *u == t))
        };
        let among: Vec<(usize, usize)> = relations
            .iter()
            .filter_map(|r| Some((at(&r.child)?, at(&r.parent)?)))
            .collect();
        let mut layout = Self {
            order: Vec::new(),
            places: vec![None; candidates.tables.len()],
            groups: Vec::new(),
            cyclic: Vec::new(),
            relations: Vec::new(),
            relation_places: vec![None; relations.len()],
        };
        for group in insertion_order(used.len(), &among) {
            let mut places = Vec::new();
            for member in group.tables {
                layout.places[used[member]] = Some(layout.order.len());
                places.push(layout.order.len());
                layout.order.push(used[member]);
                layout.cyclic.push(group.cyclic || group.self_reference);
            }
            layout.groups.push(places);
        }
        let needed: Vec<bool> = {
            let mut needed = vec![false; relations.len()];
            references
                .needs
                .iter()
                .for_each(|(_, r, _)| needed[usize::from(*r)] = true);
            needed
        };
        for (r, relation) in relations.iter().enumerate() {
            if at(&relation.child).is_some() && (at(&relation.parent).is_some() || needed[r]) {
                layout.relation_places[r] = Some(layout.relations.len());
                layout
                    .relations
                    .push(manifest_relation(relation, needed[r], &identities[r]));
            }
        }
        layout
    }

    /// The tables as the manifest describes them.
    pub(super) fn manifest_tables(&self, candidates: &Candidates) -> Vec<ManifestTable> {
        self.order
            .iter()
            .zip(&self.cyclic)
            .map(|(t, cyclic)| {
                let table = &candidates.tables[*t];
                ManifestTable {
                    table: table.snapshot.name.clone(),
                    file: String::new(),
                    columns: table.snapshot.columns.iter().map(manifest_column).collect(),
                    key: table.key.clone(),
                    rows: 0,
                    cyclic: *cyclic,
                    large_objects: large_object_columns(&table.snapshot),
                }
            })
            .collect()
    }

    /// Columns of live that the bundle lacks, and that must have a value.
    pub(super) fn wanting(&self, candidates: &Candidates) -> Vec<WantingColumn> {
        let tables = self.order.iter().map(|t| &candidates.tables[*t]);
        let of_table = |pair: &Comparable| {
            let snapshot = &pair.snapshot;
            let new = |c: &&Column| snapshot.column(&c.name).is_none_or(|s| s.generated);
            let wants = |c: &&Column| c.not_null && !c.has_default && !c.generated;
            let columns = pair.live.columns.iter().filter(new).filter(wants);
            let wanting = |c: &Column| WantingColumn {
                table: pair.live.name.clone(),
                column: c.name.clone(),
                type_name: c.type_name.clone(),
            };
            columns.map(wanting).collect::<Vec<_>>()
        };
        tables.flat_map(of_table).collect()
    }

    /// Columns of the bundle that live lacks, or computes by now.
    pub(super) fn dropped(&self, candidates: &Candidates) -> Vec<DroppedColumn> {
        let tables = self.order.iter().map(|t| &candidates.tables[*t]);
        let of_table = |pair: &Comparable| {
            let written = |c: &&Column| !c.generated;
            let taken = |c: &&Column| pair.live.column(&c.name).is_some_and(|l| !l.generated);
            let columns = pair.snapshot.columns.iter().filter(written);
            let dropped = |c: &Column| DroppedColumn {
                table: pair.live.name.clone(),
                column: c.name.clone(),
            };
            let gone = columns.filter(|c| !taken(c));
            gone.map(dropped).collect::<Vec<_>>()
        };
        tables.flat_map(of_table).collect()
    }
}

/// Columns whose values are stored in the bundle and can be numbers of large objects.
fn large_object_columns(table: &Table) -> Vec<String> {
    let columns = table.large_object_columns().filter(|c| !c.generated);
    columns.map(|c| c.name.clone()).collect()
}

fn manifest_column(column: &Column) -> ManifestColumn {
    ManifestColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        not_null: column.not_null,
        generated: column.generated,
        identity: column.identity.map(|i| match i {
            Identity::Always => "always".to_owned(),
            Identity::ByDefault => "by default".to_owned(),
        }),
    }
}

fn manifest_relation(
    relation: &Relation,
    needed: bool,
    identity: &Option<RowIdentity>,
) -> ManifestRelation {
    ManifestRelation {
        child: relation.child.clone(),
        child_columns: relation.child_columns.clone(),
        parent: relation.parent.clone(),
        parent_columns: relation.parent_columns.clone(),
        when: relation.when.clone(),
        declared: relation.declared,
        needed,
        identity: identity.clone().filter(|_| needed),
    }
}
