//! The tables that a restore wrote to, as live has them, and everything that can refer to their rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::Bundle;
use crate::catalog::{Locator, Relation, Schema, Table, TableKind};
use crate::ident::TableName;

use super::UndoError;

/// The way out where it was only given another name.
const RENAMED: &str = "; where it was renamed, say so: [[rename]] in reinstate.toml";

/// A table that a restore wrote to.
pub(super) struct UndoTable {
    pub(super) name: TableName,
    pub(super) live: Table,
    /// Rows are told apart by a key, not by their place.
    pub(super) keyed: bool,
    pub(super) locator: Locator,
}

impl UndoTable {
    /// The journal has counts of it, and no places.
    pub(super) fn only_counted(&self) -> bool {
        !self.keyed && self.live.kind == TableKind::Partitioned
    }
}

/// A reference to rows of one of the tables.
pub(super) struct Reference {
    pub(super) relation: Relation,
    /// The table referenced, by place in [`Scope::tables`].
    pub(super) parent: usize,
    /// The referencing table, as live has it.
    pub(super) child_table: Table,
    /// A foreign key guards it: nobody can refer to a row that we have locked.
    pub(super) guarded: bool,
}

/// All of them.
pub(super) struct Scope {
    pub(super) tables: Vec<UndoTable>,
    pub(super) references: Vec<Reference>,
    by_name: BTreeMap<String, usize>,
}

impl Scope {
    /// The tables of which a run inserted rows (`written`, as shown), in insertion order, with the foreign keys of live
    /// and the relations of the bundle and of the configuration that lead to them.
    ///
    /// Errors: `Tables` for one that is gone.
    pub(super) fn new(
        bundle: &Bundle,
        declared: &[Relation],
        live: &Schema,
        written: &BTreeSet<String>,
    ) -> Result<Self, UndoError> {
        let (mut tables, mut missing) = (Vec::new(), Vec::new());
        for table in &bundle.manifest.tables {
            if !written.contains(&table.table.to_string()) {
                continue;
            }
            let name = table.table.clone();
            match live.tables.get(&name) {
                None => missing.push((name, format!("live does not have it any more{RENAMED}"))),
                Some(found) if table.key.iter().any(|k| found.column(k).is_none()) => {
                    missing.push((name, format!("live lacks a column of its key{RENAMED}")));
                }
                Some(found) => tables.push(UndoTable {
                    name,
                    live: found.clone(),
                    keyed: !table.key.is_empty(),
                    locator: Locator::of(found, &table.key),
                }),
            }
        }
        if !missing.is_empty() {
            return Err(UndoError::Tables(missing));
        }
        let names = tables.iter().enumerate();
        let by_name = names.map(|(i, t)| (t.name.to_string(), i)).collect();
        let mut scope = Self {
            tables,
            references: Vec::new(),
            by_name,
        };
        scope.references = relations(bundle, declared, live)
            .into_iter()
            .filter_map(|relation| scope.reference(relation, live))
            .collect();
        Ok(scope)
    }

    /// The place of a table, as shown.
    pub(super) fn place(&self, table: &str) -> Option<usize> {
        self.by_name.get(table).copied()
    }

    fn reference(&self, relation: Relation, live: &Schema) -> Option<Reference> {
        let parent = self.place(&relation.parent.to_string())?;
        let child_table = live.tables.get(&relation.child)?.clone();
        let when = relation.when.iter().map(|(column, _)| column);
        let mut child_columns = relation.child_columns.iter().chain(when);
        let parent_columns = &relation.parent_columns;
        let there = child_columns.all(|c| child_table.column(c).is_some())
            && parent_columns
                .iter()
                .all(|c| self.tables[parent].live.column(c).is_some());
        there.then(|| Reference {
            parent,
            guarded: relation.when.is_empty()
                && live.foreign_keys.iter().any(|k| {
                    k.child == relation.child
                        && k.parent == relation.parent
                        && k.child_columns == relation.child_columns
                        && k.parent_columns == relation.parent_columns
                }),
            child_table,
            relation,
        })
    }
}

/// Every reference that is known, each once.
fn relations(bundle: &Bundle, declared: &[Relation], live: &Schema) -> Vec<Relation> {
    let of_keys = live.foreign_keys.iter().map(Relation::from);
    let of_bundle = bundle.manifest.relations.iter().map(|r| Relation {
        child: r.child.clone(),
        child_columns: r.child_columns.clone(),
        parent: r.parent.clone(),
        parent_columns: r.parent_columns.clone(),
        when: r.when.clone(),
        // Compared as what they are declared for: nothing makes sure that live still has a foreign key here.
        declared: true,
        on_delete: crate::catalog::OnDelete::Refuse,
        required: false,
    });
    let mut all: Vec<Relation> = Vec::new();
    for relation in of_keys.chain(of_bundle).chain(declared.iter().cloned()) {
        let same = |known: &Relation| {
            known.child == relation.child
                && known.child_columns == relation.child_columns
                && known.parent == relation.parent
                && known.parent_columns == relation.parent_columns
                && known.when == relation.when
        };
        if !all.iter().any(same) {
            all.push(relation);
        }
    }
    all
}
