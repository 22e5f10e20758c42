//! The records of a bundle: which rows it has, in which unit, and which of them concern somebody.

use std::collections::HashMap;

use crate::bundle::{Bundle, BundleError, ManifestTable, UnitRecord, key_text};
use crate::catalog::Rename;
use crate::ident::{Key, TableName};
use crate::pg::copy::{raw_fields, unescape};

use super::people::fingerprint;
use super::{ContactsError, OfTable};

/// Rows of a unit taken at once.
const ROWS_AT_ONCE: u64 = 10_000;

/// The rows of a bundle that have a key.
pub(super) struct Records {
    tables: Vec<TableKey>,
    /// Both names of each table that was renamed.
    renamed: Vec<(TableName, TableName)>,
    /// By fingerprint: the unit, and whether the row concerns somebody.
    rows: HashMap<u128, (u64, bool)>,
}

/// A table of the bundle, and where its lines hold the key.
struct TableKey {
    name: TableName,
    /// Places among the fields of a line, with the types; none where rows cannot be told apart.
    key: Vec<(usize, String)>,
    spoken_of: bool,
}

/// A row of the bundle.
pub(super) struct Owner {
    pub(super) id: u128,
    pub(super) table: usize,
    /// As the file shows it.
    pub(super) key: String,
    pub(super) unit: u64,
}

impl TableKey {
    fn of(table: &ManifestTable) -> Self {
        let stored: Vec<_> = table.stored_columns().collect();
        let place = |name: &String| {
            let place = stored.iter().position(|c| c.name == *name)?;
            Some((place, stored[place].type_name.clone()))
        };
        let key: Option<Vec<_>> = table.key.iter().map(place).collect();
        Self {
            name: table.table.clone(),
            key: key.unwrap_or_default(),
            spoken_of: false,
        }
    }

    /// The key of a line of COPY text.
    fn of_line(&self, line: &[u8]) -> Key {
        let fields: Vec<&[u8]> = raw_fields(line).collect();
        let value = |(place, type_name): &(usize, String)| {
            let text = fields.get(*place).and_then(|f| unescape(f));
            key_text::value(type_name, &text.unwrap_or_default())
        };
        Key(self.key.iter().map(value).collect())
    }

    fn canonical(&self, key: &Key) -> Key {
        let pairs = self.key.iter().zip(&key.0);
        Key(pairs
            .map(|((_, t), text)| key_text::value(t, text))
            .collect())
    }
}

impl Records {
    /// Reads every row of the bundle.
    pub(super) fn read(bundle: &Bundle, renames: &[Rename]) -> Result<Self, BundleError> {
        let tables: Vec<TableKey> = bundle.manifest.tables.iter().map(TableKey::of).collect();
        let mut rows = HashMap::new();
        walk::<BundleError>(bundle, |unit, table, line| {
            if !tables[table].key.is_empty() {
                let id = fingerprint(&(table, tables[table].of_line(line)));
                rows.insert(id, (unit.unit, false));
            }
            Ok(())
        })?;
        let both = |rename: &Rename| match rename {
            Rename::Table { from, to } => Some((from.clone(), to.clone())),
            Rename::Column { .. } => None,
        };
        Ok(Self {
            tables,
            renamed: renames.iter().filter_map(both).collect(),
            rows,
        })
    }

    /// The tables of the bundle that a name can mean: by the name that the bundle has for them, else by another one.
    pub(super) fn tables(&self, name: &str) -> Vec<usize> {
        let meant = |t: &usize| self.tables[*t].name.is_meant_by(name);
        let meant: Vec<usize> = (0..self.tables.len()).filter(meant).collect();
        if !meant.is_empty() {
            return meant;
        }
        let renamed = |t: &usize| {
            let here = &self.tables[*t].name;
            self.renamed.iter().any(|(from, to)| {
                (from == here && to.is_meant_by(name)) || (to == here && from.is_meant_by(name))
            })
        };
        (0..self.tables.len()).filter(renamed).collect()
    }

    /// All names of tables that were renamed.
    pub(super) fn other_names(&self) -> impl Iterator<Item = &TableName> {
        self.renamed.iter().flat_map(|(from, to)| [from, to])
    }

    pub(super) fn name(&self, table: usize) -> &TableName {
        &self.tables[table].name
    }

    /// From now on every row of the table is a record.
    pub(super) fn spoken_of(&mut self, table: usize) {
        self.tables[table].spoken_of = true;
    }

    /// The row of that key, as an operator's SQL writes it.
    pub(super) fn find(&self, table: usize, key: &str) -> Option<Owner> {
        let of = &self.tables[table];
        let key = of.canonical(&key_text::values(key, of.key.len())?);
        let id = fingerprint(&(table, &key));
        let (unit, _) = self.rows.get(&id)?;
        Some(Owner {
            id,
            table,
            key: key_text::shown(&key),
            unit: *unit,
        })
    }

    /// Notes that a row concerns somebody.
    pub(super) fn concerns_somebody(&mut self, owner: &Owner) {
        if let Some(row) = self.rows.get_mut(&owner.id) {
            row.1 = true;
        }
    }

    /// Counts the records of each table, and hands on those that concern nobody.
    pub(super) fn count(
        &self,
        bundle: &Bundle,
        nobody: &mut dyn FnMut(&Owner) -> Result<(), ContactsError>,
    ) -> Result<Vec<OfTable>, ContactsError> {
        let mut counted = vec![OfTable::default(); self.tables.len()];
        // A root without a key is one line of its table, whichever.
        let mut bag_root_of = 0;
        walk::<ContactsError>(bundle, |unit, place, line| {
            let table = &self.tables[place];
            let asked_for = unit.root.table == place && unit.reason.is_none();
            let owner = if table.key.is_empty() {
                if !asked_for || bag_root_of == unit.unit {
                    return Ok(());
                }
                bag_root_of = unit.unit;
                Owner {
                    id: 0,
                    table: place,
                    key: key_text::shown(&unit.root.key),
                    unit: unit.unit,
                }
            } else {
                let key = table.of_line(line);
                let root = asked_for && key == table.canonical(&unit.root.key);
                if !root && !table.spoken_of {
                    return Ok(());
                }
                Owner {
                    id: fingerprint(&(place, &key)),
                    table: place,
                    key: key_text::shown(&key),
                    unit: unit.unit,
                }
            };
            counted[place].records += 1;
            if !self.rows.get(&owner.id).is_some_and(|row| row.1) {
                counted[place].without_contact += 1;
                nobody(&owner)?;
            }
            Ok(())
        })?;
        Ok(counted)
    }
}

/// Hands every row on, with its unit and its table.
fn walk<E: From<BundleError>>(
    bundle: &Bundle,
    mut take: impl FnMut(&UnitRecord, usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = bundle.read()?;
    while let Some(unit) = rows.next_record()? {
        for (table, _) in &unit.rows {
            loop {
                let lines = rows.take_rows(*table, ROWS_AT_ONCE)?;
                if lines.is_empty() {
                    break;
                }
                for line in &lines {
                    take(&unit, *table, line)?;
                }
            }
        }
    }
    Ok(())
}
