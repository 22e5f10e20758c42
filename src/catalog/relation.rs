//! References between tables: foreign keys of both schemas, and those that only the configuration states.

use serde::Serialize;

use crate::ident::{TableName, quote_ident, quote_literal};

use super::model::{Column, ForeignKey, OnDelete, Schema, Table};

/// A reference: rows of `child` point at rows of `parent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// The referencing table.
    pub child: TableName,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The referenced table.
    pub parent: TableName,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// Holds only where these columns of the child have these values (a polymorphic reference).
    pub when: Vec<(String, String)>,
    /// Stated by the configuration, not by a foreign key.
    pub declared: bool,
    /// What the deletion of a parent does to the child.
    pub on_delete: OnDelete,
    /// Every child has a parent: all child columns are NOT NULL.
    pub required: bool,
}

/// What the configuration says of how rows of a table are told from others under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityRule {
    /// The table.
    pub table: TableName,
    /// A row is another one where any of these columns differs; without any, nothing tells.
    pub columns: Vec<String>,
}

impl From<&ForeignKey> for Relation {
    /// As the constraint states it; whether every child has a parent its columns tell.
    fn from(key: &ForeignKey) -> Self {
        Self {
            child: key.child.clone(),
            child_columns: key.child_columns.clone(),
            parent: key.parent.clone(),
            parent_columns: key.parent_columns.clone(),
            when: Vec::new(),
            declared: false,
            on_delete: key.on_delete,
            required: false,
        }
    }
}

impl Relation {
    /// How natural it is for the parent to own the child; lower is more natural. A cascade says so outright, a
    /// required reference nearly so; a declared one is usually the owner that nobody wrote down.
    pub fn rank(&self) -> u16 {
        match (self.on_delete, self.required, self.declared) {
            (OnDelete::Cascade, _, _) => 0,
            (_, true, true) => 1,
            (_, true, false) => 2,
            (_, false, _) => 3,
        }
    }

    /// The condition under which a row `c` of the child refers to a row `p` of the parent.
    pub fn refers(&self, child: &Table, parent: &Table) -> String {
        let pairs = self.child_columns.iter().zip(&self.parent_columns);
        let equal = pairs.map(|(c, p)| self.equal(child.column(c), parent.column(p), c, p));
        equal
            .chain(self.conditions())
            .collect::<Vec<_>>()
            .join(" and ")
    }

    /// What must hold of a row `c` of the child for the reference to count: nothing, unless it is polymorphic.
    pub fn conditions(&self) -> impl Iterator<Item = String> {
        self.when.iter().map(|(column, value)| {
            format!("c.{}::text = {}", quote_ident(column), quote_literal(value))
        })
    }

    /// How a column of the child `c` refers to one of the parent `p`: by the parent's own `=`. Nothing makes sure that a
    /// declared reference is between columns of one type (a polymorphic one holds the keys of several tables); as text,
    /// they compare whatever they are.
    fn equal(
        &self,
        child: Option<&Column>,
        parent: Option<&Column>,
        child_name: &str,
        parent_name: &str,
    ) -> String {
        let (c, p) = (quote_ident(child_name), quote_ident(parent_name));
        let (Some(child), Some(parent)) = (child, parent) else {
            return format!("p.{p} = c.{c}");
        };
        if self.declared && !comparable(child, parent) {
            return format!("p.{p}::text = c.{c}::text");
        }
        format!("p.{p} {} c.{c}", parent.equals())
    }

    /// Whether a row of the child refers to one of the parent exactly where the texts of their columns are the same.
    pub fn by_text(&self, child: &Table, parent: &Table) -> bool {
        let pairs = self.child_columns.iter().zip(&self.parent_columns);
        let mut columns = pairs.filter_map(|(c, p)| child.column(c).zip(parent.column(p)));
        columns.all(|(c, p)| {
            let whole = |c: &Column| {
                c.builtin
                    .as_deref()
                    .is_some_and(|b| FAMILIES[0][..3].contains(&b))
            };
            let strings = |c: &Column| {
                c.builtin
                    .as_deref()
                    .is_some_and(|b| FAMILIES[1].contains(&b))
            };
            let alike =
                c.type_name == p.type_name || (whole(c) && whole(p)) || (strings(c) && strings(p));
            (self.declared && !comparable(c, p)) || (alike && c.one_text() && p.one_text())
        })
    }

    /// Whether a foreign key that was checked for every row guards this very reference in `schema`.
    pub fn enforced_in(&self, schema: &Schema) -> bool {
        self.when.is_empty()
            && schema.foreign_keys.iter().any(|k| {
                k.validated
                    && k.child == self.child
                    && k.parent == self.parent
                    && same_pairs(
                        (&k.child_columns, &k.parent_columns),
                        (&self.child_columns, &self.parent_columns),
                    )
            })
    }

    /// Whether it is the same reference, wherever it is stated.
    pub fn same_reference(&self, other: &Self) -> bool {
        self.child == other.child
            && self.child_columns == other.child_columns
            && self.parent == other.parent
            && self.parent_columns == other.parent_columns
            && self.when == other.when
    }
}

/// Types that the server's own `=` compares with each other.
const FAMILIES: &[&[&str]] = &[
    &["int2", "int4", "int8", "numeric", "float4", "float8"],
    &["text", "varchar", "bpchar", "name"],
    &["date", "timestamp", "timestamptz"],
];

/// Whether the server's own `=` compares the two.
fn comparable(child: &Column, parent: &Column) -> bool {
    let family = |column: &Column| {
        let builtin = column.builtin.as_deref();
        FAMILIES
            .iter()
            .position(|f| builtin.is_some_and(|b| f.contains(&b)))
    };
    child.type_name == parent.type_name || family(child).is_some_and(|f| family(parent) == Some(f))
}

/// Whether the same columns are paired, in whatever order.
fn same_pairs(a: (&[String], &[String]), b: (&[String], &[String])) -> bool {
    let sorted = |(child, parent): (&[String], &[String])| {
        let pairs = child.iter().cloned().zip(parent.iter().cloned());
        let mut pairs: Vec<(String, String)> = pairs.collect();
        pairs.sort();
        pairs
    };
    sorted(a) == sorted(b)
}

/// The relations of a restore: foreign keys of the snapshot, those that only live has, and declared ones, each once,
/// as far as their tables and columns exist in the snapshot.
pub fn merge_relations(snapshot: &Schema, live: &Schema, declared: &[Relation]) -> Vec<Relation> {
    let mut merged: Vec<Relation> = Vec::new();
    let keys = |schema: &Schema| {
        schema
            .foreign_keys
            .iter()
            .map(Relation::from)
            .collect::<Vec<_>>()
    };
    let of_keys = [snapshot, live].into_iter().flat_map(keys);
    for mut relation in of_keys.chain(declared.iter().cloned()) {
        let (Some(child), Some(parent)) = (
            snapshot.tables.get(&relation.child),
            snapshot.tables.get(&relation.parent),
        ) else {
            continue;
        };
        let exists = relation
            .child_columns
            .iter()
            .all(|c| child.column(c).is_some())
            && relation
                .parent_columns
                .iter()
                .all(|c| parent.column(c).is_some());
        if !exists || merged.iter().any(|m| m.same_reference(&relation)) {
            continue;
        }
        relation.required = relation
            .child_columns
            .iter()
            .all(|c| child.column(c).is_some_and(|c| c.not_null));
        merged.push(relation);
    }
    merged
}
