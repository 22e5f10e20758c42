//! References from the bundle's rows, as its lines hold them.

use bytes::Bytes;

use crate::bundle::{Bundle, ManifestRelation, ManifestTable};
use crate::catalog::{OnDelete, Relation, Schema};
use crate::ident::{Key, TableName};
use crate::pg::copy::{raw_fields, unescape};

/// A relation whose child is a table of the bundle.
#[derive(Debug, Clone)]
pub(in crate::restore) struct Reference {
    pub(in crate::restore) relation: Relation,
    pub(in crate::restore) child: usize,
    pub(in crate::restore) child_fields: Vec<usize>,
    /// Polymorphic: fields and the values that they must have.
    when: Vec<(usize, String)>,
    /// The parent's place and fields, where it is a table of the bundle too.
    pub(in crate::restore) parent: Option<usize>,
    parent_fields: Vec<usize>,
    /// Its place in the manifest.
    pub(in crate::restore) manifest: Option<usize>,
    /// The same text on both sides is the same value, and no other is.
    pub(in crate::restore) by_text: bool,
}

impl Reference {
    /// What a row refers to; `None` where it does not.
    pub(in crate::restore) fn referred(&self, line: &Bytes) -> Option<Key> {
        let holds = |(field, value): &(usize, String)| {
            pick(line, &[*field])
                .first()
                .is_some_and(|v| v.as_ref() == Some(value))
        };
        match self.when.iter().all(holds) {
            true => values(line, &self.child_fields),
            false => None,
        }
    }

    /// By what a row of the parent is referred to.
    pub(in crate::restore) fn referable(&self, line: &Bytes) -> Option<Key> {
        values(line, &self.parent_fields)
    }
}

/// The relations of the manifest, live's foreign keys, and declared ones, each once.
pub(in crate::restore) fn relations(
    bundle: &Bundle,
    live: &Schema,
    declared: &[Relation],
) -> Vec<Relation> {
    let mut relations: Vec<Relation> = bundle.manifest.relations.iter().map(relation).collect();
    let keys = live.foreign_keys.iter().map(Relation::from);
    for more in keys.chain(declared.iter().cloned()) {
        if !relations.iter().any(|r| r.same_reference(&more)) {
            relations.push(more);
        }
    }
    relations
}

fn relation(r: &ManifestRelation) -> Relation {
    Relation {
        child: r.child.clone(),
        child_columns: r.child_columns.clone(),
        parent: r.parent.clone(),
        parent_columns: r.parent_columns.clone(),
        when: r.when.clone(),
        declared: r.declared,
        on_delete: OnDelete::Refuse,
        required: false,
    }
}

/// Those of `relations`, the manifest's first, whose child is in the bundle.
pub(in crate::restore) fn references(
    bundle: &Bundle,
    live: &Schema,
    relations: &[Relation],
) -> Vec<Reference> {
    let tables = &bundle.manifest.tables;
    let at = |name: &TableName| tables.iter().position(|t| t.table == *name);
    let known = bundle.manifest.relations.len();
    let reference = |(n, r): (usize, &Relation)| {
        let child = at(&r.child)?;
        let place = |column: &String| fields(&tables[child], std::slice::from_ref(column));
        let when = r
            .when
            .iter()
            .map(|(column, value)| Some((*place(column)?.first()?, value.clone())));
        let parent = at(&r.parent).and_then(|p| Some((p, fields(&tables[p], &r.parent_columns)?)));
        let sides = live.tables.get(&r.child).zip(live.tables.get(&r.parent));
        Some(Reference {
            child,
            child_fields: fields(&tables[child], &r.child_columns)?,
            when: when.collect::<Option<Vec<_>>>()?,
            parent: parent.as_ref().map(|(p, _)| *p),
            parent_fields: parent.map(|(_, fields)| fields).unwrap_or_default(),
            manifest: (n < known).then_some(n),
            by_text: sides.is_none_or(|(c, p)| r.by_text(c, p)),
            relation: r.clone(),
        })
    };
    relations.iter().enumerate().filter_map(reference).collect()
}

/// Where columns stand in a table's lines; none where one does not.
fn fields(table: &ManifestTable, columns: &[String]) -> Option<Vec<usize>> {
    let place = |column: &String| table.stored_columns().position(|c| c.name == *column);
    columns.iter().map(place).collect()
}

fn values(line: &Bytes, fields: &[usize]) -> Option<Key> {
    pick(line, fields)
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .map(Key)
}

/// Fields of a line, as the bundle has them.
fn pick(line: &[u8], fields: &[usize]) -> Vec<Option<String>> {
    let all: Vec<&[u8]> = raw_fields(line).collect();
    let value = |field: &usize| all.get(*field).and_then(|f| unescape(f));
    fields.iter().map(value).collect()
}
