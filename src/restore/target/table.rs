//! One table of the bundle as live has it: which columns are written, and how its lines become them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::bundle::ManifestTable;
use crate::catalog::{Locator, Schema, Table, TableKind};
use crate::ident::{Key, TableName, column_list, quote_ident};
use crate::pg::copy::{escape, raw_fields, unescape};
use crate::restore::RestoreError;
use crate::restore::conflict::Probe;
use crate::restore::fields::{self, Fields};
use crate::restore::fill::Fill;
use crate::restore::kept::Kept;
use crate::restore::retype::{Retyped, Rewrite};

/// One table of the bundle, in live.
pub struct TargetTable {
    /// Name.
    pub name: TableName,
    /// As live has it.
    pub live: Table,
    /// Columns that are written and compared: stored in the bundle, present and not generated in live.
    pub columns: Vec<String>,
    /// Their fields in the bundle's lines, and how each is written here; `None` when lines can be taken as they are.
    fields: Option<Vec<(usize, Rewrite)>>,
    /// Values for columns that the bundle has not.
    pub fills: Vec<Fill>,
    /// Columns of the bundle that live lacks: kept in the bundle, not written.
    pub dropped: Vec<String>,
    /// Columns that live computes by now, and the backup did not: kept in the bundle, not written.
    pub computed: Vec<String>,
    /// Columns that have another type in live.
    pub retyped: Vec<Retyped>,
    /// Key columns; empty for a bag of rows.
    pub key: Vec<String>,
    key_fields: Vec<(usize, Rewrite)>,
    /// Looks rows up by key.
    pub locator: Locator,
    /// Other unique constraints that can be looked up by their columns.
    pub uniques: Vec<TargetUnique>,
    /// Constraints that are asked about by the index's own expressions.
    pub(in crate::restore) probes: Vec<Probe>,
    /// Rows in the bundle.
    pub rows: u64,
    /// Fields of the bundle's lines that can be numbers of its large objects, of columns that live has; none where it has none.
    pub(in crate::restore) object_fields: Vec<usize>,
    /// What an undo left where it was.
    pub(in crate::restore) kept: Kept,
}

impl TargetTable {
    /// The line as live's columns take it.
    pub fn project(&self, line: &Bytes) -> Bytes {
        let Some(fields) = &self.fields else {
            return line.clone();
        };
        let all: Vec<&[u8]> = raw_fields(line).collect();
        let mut out = BytesMut::with_capacity(line.len());
        for (i, (field, rewrite)) in fields.iter().enumerate() {
            if i > 0 {
                out.put_u8(b'\t');
            }
            out.put_slice(&rewrite.apply(all.get(*field).copied().unwrap_or(b"\\N")));
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
    pub fn values_of(&self, line: &[u8], unique: &TargetUnique) -> Option<Key> {
        pick(line, &unique.fields)
            .into_iter()
            .collect::<Option<Vec<String>>>()
            .map(Key)
    }

    /// The field of the bundle's lines that a column takes, where it takes one.
    pub(in crate::restore) fn field(&self, column: &str) -> Option<usize> {
        let place = self.columns.iter().position(|c| c == column)?;
        match &self.fields {
            Some(fields) => fields.get(place).map(|(field, _)| *field),
            None => Some(place),
        }
    }

    /// The columns written and compared, as SQL.
    pub fn column_list(&self) -> String {
        column_list(&self.columns)
    }

    /// The same with those that the bundle has not, and as what each is selected from a staging table.
    pub(in crate::restore) fn inserted_list(&self) -> (String, String) {
        let own = self
            .columns
            .iter()
            .map(|c| (quote_ident(c), quote_ident(c)));
        let filled = self.fills.iter();
        let filled = filled.map(|f| (quote_ident(&f.column), f.literal()));
        let (into, from): (Vec<String>, Vec<String>) = own.chain(filled).unzip();
        (into.join(", "), from.join(", "))
    }

    /// What follows each line of [`Self::project`] where rows go in by COPY.
    pub(in crate::restore) fn line_end(&self) -> Vec<u8> {
        let mut end = Vec::new();
        for (i, fill) in self.fills.iter().enumerate() {
            if i > 0 || !self.columns.is_empty() {
                end.push(b'\t');
            }
            end.extend(escape(&fill.value));
        }
        end
    }

    /// Takes columns whose values cannot be compared, having another type, out of the comparison; returns their names.
    pub fn leave_out_incomparable(&mut self) -> Vec<String> {
        let Some(fields) = &mut self.fields else {
            return Vec::new();
        };
        let bad = |name: &String| {
            let retyped = self.retyped.iter().find(|r| r.column == *name);
            retyped.is_some_and(|r| !r.restorable)
        };
        let (out, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.columns)
            .into_iter()
            .zip(std::mem::take(fields))
            .partition(|(name, _)| bad(name));
        (self.columns, *fields) = kept.into_iter().unzip();
        out.into_iter().map(|(name, _)| name).collect()
    }

    /// Whether rows are told apart by a key.
    pub fn keyed(&self) -> bool {
        !self.key.is_empty()
    }
}

fn pick(line: &[u8], fields: &[(usize, Rewrite)]) -> Vec<Option<String>> {
    let all: Vec<&[u8]> = raw_fields(line).collect();
    fields
        .iter()
        .map(|(f, rewrite)| {
            all.get(*f)
                .and_then(|field| unescape(&rewrite.apply(field)))
        })
        .collect()
}

/// A unique constraint besides the key.
pub struct TargetUnique {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    fields: Vec<(usize, Rewrite)>,
}

pub(super) fn target_table(
    table: &ManifestTable,
    live: &Schema,
    fills: &[Fill],
) -> Result<TargetTable, RestoreError> {
    let name = table.table.clone();
    let fills: Vec<Fill> = fills.iter().filter(|f| f.table == name).cloned().collect();
    let refuse = |reason: String| {
        Err(RestoreError::Table {
            table: name.clone(),
            reason,
        })
    };
    let Some(found) = live.tables.get(&name) else {
        return refuse(format!(
            "live does not have this table; create it, or extract without it{}",
            fields::or_renamed(table, live)
        ));
    };
    if found.kind == TableKind::Foreign {
        return refuse("in live it is a foreign table, whose rows live in another database".into());
    }
    let fields = Fields::of(table, found);
    if let Some(missing) = table.key.iter().find(|k| found.column(k).is_none()) {
        return refuse(format!(
            "live lacks its key column {missing}; where it was renamed, say so: [[rename]] in reinstate.toml"
        ));
    }
    if let Some(reason) = fields.lacking(found, &fills) {
        return refuse(reason);
    }
    let Some(key_fields) = fields.all(&table.key) else {
        let retyped = fields
            .retyped
            .iter()
            .find(|r| table.key.contains(&r.column));
        return refuse(retyped.map_or_else(
            || "the bundle lacks a column of its key".to_owned(),
            |r| {
                format!(
                    "its key column {}, and not every value has one form in both",
                    r.describe()
                )
            },
        ));
    };
    let uniques = found
        .uniques
        .iter()
        .filter(|u| {
            !u.special && !u.nulls_not_distinct && !u.columns.is_empty() && u.columns != table.key
        })
        .filter_map(|u| {
            Some(TargetUnique {
                name: u.name.clone(),
                columns: u.columns.clone(),
                fields: fields.all(&u.columns)?,
            })
        })
        .collect();
    let columns = fields.writable(found);
    Ok(TargetTable {
        live: found.clone(),
        locator: Locator::by_names(found, &table.key),
        key_fields,
        key: table.key.clone(),
        fields: fields.taken(&columns),
        dropped: fields.dropped(found),
        computed: fields::computed(table, found),
        fills,
        retyped: fields.retyped,
        columns,
        uniques,
        probes: Vec::new(),
        rows: table.rows,
        object_fields: object_fields(table, found),
        kept: Kept::default(),
        name,
    })
}

/// Fields of the bundle's lines of a table that can be numbers of large objects, of columns that live has.
fn object_fields(table: &ManifestTable, live: &Table) -> Vec<usize> {
    let stored = table.stored_columns().enumerate();
    let can = |name: &String| table.large_objects.contains(name) && live.column(name).is_some();
    stored
        .filter(|(_, c)| can(&c.name))
        .map(|(n, _)| n)
        .collect()
}
