//! The bundle's tables as live has them: which columns are written and compared, and how rows are looked up.

use bytes::{BufMut, Bytes, BytesMut};

use crate::bundle::{Bundle, ManifestRelation, ManifestTable};
use crate::catalog::{Locator, Schema, Table, TableKind};
use crate::ident::{Key, TableName, column_list};
use crate::pg::copy::{raw_fields, unescape};

use super::RestoreError;

/// One table of the bundle, in live.
pub struct TargetTable {
    /// Name.
    pub name: TableName,
    /// As live has it.
    pub live: Table,
    /// Columns that are written and compared: stored in the bundle, present and not generated in live.
    pub columns: Vec<String>,
    /// Their fields in the bundle's lines; `None` when lines can be taken as they are.
    fields: Option<Vec<usize>>,
    /// Columns of the bundle that live lacks: kept in the bundle, not written.
    pub dropped: Vec<String>,
    /// Key columns; empty for a bag of rows.
    pub key: Vec<String>,
    key_fields: Vec<usize>,
    /// Looks rows up by key.
    pub locator: Locator,
    /// Other unique constraints that can be looked up: name, columns, their fields.
    pub uniques: Vec<(String, Vec<String>, Vec<usize>)>,
    /// Rows in the bundle.
    pub rows: u64,
}

impl TargetTable {
    /// The line as live's columns take it.
    pub fn project(&self, line: &Bytes) -> Bytes {
        let Some(fields) = &self.fields else {
            return line.clone();
        };
        let all: Vec<&[u8]> = raw_fields(line).collect();
        let mut out = BytesMut::with_capacity(line.len());
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                out.put_u8(b'\t');
            }
            out.put_slice(all.get(*field).copied().unwrap_or(b"\\N"));
        }
        out.freeze()
    }

    /// The row's key.
    pub fn key_of(&self, line: &[u8]) -> Key {
        // A key is never NULL.
        Key(pick(line, &self.key_fields)
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect())
    }

    /// Its values under another unique constraint; `None` where one is NULL, and so in nobody's way.
    pub fn values_of(&self, line: &[u8], fields: &[usize]) -> Option<Key> {
        pick(line, fields)
            .into_iter()
            .collect::<Option<Vec<String>>>()
            .map(Key)
    }

    /// The columns written, as SQL.
    pub fn column_list(&self) -> String {
        column_list(&self.columns)
    }

    /// Whether rows are told apart by a key.
    pub fn keyed(&self) -> bool {
        !self.key.is_empty()
    }
}

pub(super) fn pick(line: &[u8], fields: &[usize]) -> Vec<Option<String>> {
    let all: Vec<&[u8]> = raw_fields(line).collect();
    fields
        .iter()
        .map(|f| all.get(*f).and_then(|field| unescape(field)))
        .collect()
}

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
}

/// All tables and relations of a bundle, in live.
pub struct Targets {
    /// Tables, as the manifest numbers them.
    pub tables: Vec<TargetTable>,
    /// Relations, as the manifest numbers them; `None` where live lacks the parent table or its columns.
    pub relations: Vec<Option<TargetRelation>>,
    /// Insertion order.
    pub groups: Vec<Vec<usize>>,
}

impl Targets {
    /// Finds the bundle's tables in live.
    ///
    /// Errors: `Table` for one that is missing or cannot hold the rows, naming the reason.
    pub fn find(bundle: &Bundle, live: &Schema) -> Result<Self, RestoreError> {
        let manifest = &bundle.manifest;
        let tables = manifest
            .tables
            .iter()
            .map(|t| target_table(t, live))
            .collect::<Result<Vec<_>, _>>()?;
        let relations = manifest
            .relations
            .iter()
            .map(|r| target_relation(r, live))
            .collect();
        Ok(Self {
            tables,
            relations,
            groups: manifest.insertion_order.clone(),
        })
    }
}

impl Targets {
    /// Whether a table's rows go through a staging table: in one statement with the tables it forms a cycle with, or to
    /// learn where rows without a key came to lie.
    pub(super) fn staged(&self, table: usize) -> bool {
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
        })
}

fn target_table(table: &ManifestTable, live: &Schema) -> Result<TargetTable, RestoreError> {
    let name = table.table.clone();
    let refuse = |reason: String| {
        Err(RestoreError::Table {
            table: name.clone(),
            reason,
        })
    };
    let Some(found) = live.tables.get(&name) else {
        return refuse("live does not have this table; create it, or extract without it".into());
    };
    if found.kind == TableKind::Foreign {
        return refuse("in live it is a foreign table, whose rows live in another database".into());
    }
    let stored: Vec<&str> = table.stored_columns().map(|c| c.name.as_str()).collect();
    let place = |column: &str| stored.iter().position(|s| *s == column);
    let writable = |column: &str| found.column(column).is_some_and(|c| !c.generated);
    let columns: Vec<String> = stored
        .iter()
        .filter(|c| writable(c))
        .map(|c| (*c).to_owned())
        .collect();
    let lacking: Vec<&str> = found
        .columns
        .iter()
        .filter(|c| c.not_null && !c.has_default && !c.generated && place(&c.name).is_none())
        .map(|c| c.name.as_str())
        .collect();
    if !lacking.is_empty() {
        return refuse(format!(
            "live has NOT NULL columns without a default that the backup did not have: {}; give them a default",
            lacking.join(", ")
        ));
    }
    if let Some(missing) = table.key.iter().find(|k| !writable(k)) {
        return refuse(format!("live lacks its key column {missing}"));
    }
    let identical = columns.len() == stored.len();
    let fields: Vec<usize> = columns.iter().filter_map(|c| place(c)).collect();
    let uniques = found
        .uniques
        .iter()
        .filter(|u| !u.special && !u.columns.is_empty() && u.columns != table.key)
        .filter_map(|u| {
            let fields: Option<Vec<usize>> = u.columns.iter().map(|c| place(c)).collect();
            Some((u.name.clone(), u.columns.clone(), fields?))
        })
        .collect();
    Ok(TargetTable {
        live: found.clone(),
        locator: Locator::by_names(found, &table.key),
        key_fields: table.key.iter().filter_map(|k| place(k)).collect(),
        key: table.key.clone(),
        fields: (!identical).then_some(fields),
        dropped: stored
            .iter()
            .filter(|c| found.column(c).is_none())
            .map(|c| (*c).to_owned())
            .collect(),
        columns,
        uniques,
        rows: table.rows,
        name,
    })
}
