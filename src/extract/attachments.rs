//! The files that belong to the rows of the bundle: those whose owner is in it, or the row that ties them to their owner.

use std::collections::BTreeMap;

use crate::attachments::{AttachmentSource, AttachmentsError, FileRow, Meaning, Owners, each_file};
use crate::bundle::{AttachmentOwner, AttachmentRecord, BundleWriter, key_text};
use crate::catalog::Schema;
use crate::closure::Units;
use crate::diff::Candidates;
use crate::ident::{Key, TableName, UnitId};
use crate::pg::Session;

use super::ExtractError;

/// What tells whether a file belongs to the bundle.
pub(super) struct Asked<'a> {
    pub(super) session: &'a Session,
    pub(super) snapshot: &'a Schema,
    pub(super) candidates: &'a Candidates,
    pub(super) units: &'a Units,
}

/// What was found.
#[derive(Default)]
pub(super) struct Listed {
    /// Rows written.
    pub(super) attachments: u64,
    /// Names that are no table, and how many rows have them.
    unknown: BTreeMap<String, u64>,
}

impl Listed {
    /// What a person should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |(name, rows): (&String, &u64)| {
            format!(
                "{rows} files belong to `{name}`, which is no table of the snapshot: they were left out. Say its table in \
                 [[attachments]]: classes = {{ \"{name}\" = \"…\" }}"
            )
        };
        self.unknown.iter().map(note).collect()
    }
}

impl Asked<'_> {
    /// Asks each source, and writes what belongs to the bundle.
    pub(super) async fn write(
        &self,
        sources: &[AttachmentSource],
        writer: &mut BundleWriter,
    ) -> Result<Listed, ExtractError> {
        let mut listed = Listed::default();
        if sources.is_empty() {
            return Ok(listed);
        }
        let mut owners = Owners::new(self.snapshot);
        self.session.search_as_role(true).await?;
        for (i, source) in sources.iter().enumerate() {
            let entry = i + 1;
            each_file::<ExtractError>(self.session, entry, source, |row| {
                if let Some(record) = self.record(entry, source, row, &mut owners, &mut listed)? {
                    writer.attachment(&record)?;
                    listed.attachments += 1;
                }
                Ok(())
            })
            .await?;
        }
        self.session.search_as_role(false).await?;
        Ok(listed)
    }

    fn record(
        &self,
        entry: usize,
        source: &AttachmentSource,
        row: FileRow,
        owners: &mut Owners<'_>,
        listed: &mut Listed,
    ) -> Result<Option<AttachmentRecord>, ExtractError> {
        let mut table = |name: &str| match owners.meaning(entry, &source.classes, name) {
            Meaning::Table(table) => Ok(Some(table.clone())),
            Meaning::Unknown => Ok(None),
            Meaning::Several(tables) => Err(AttachmentsError::Ambiguous {
                entry,
                name: name.to_owned(),
                tables: tables.clone(),
            }),
        };
        let Some(owner) = table(&row.owner_table)? else {
            *listed.unknown.entry(row.owner_table).or_default() += 1;
            return Ok(None);
        };
        let tie = match &row.via {
            None => None,
            Some((name, key)) => table(name)?.map(|table| (table, key)),
        };
        let (key, mut unit) = self.find(&owner, &row.owner_key);
        if unit.is_none() {
            unit = tie.and_then(|(table, key)| self.find(&table, key).1);
        }
        Ok(unit.map(|unit| AttachmentRecord {
            unit,
            owner: AttachmentOwner {
                table: owner,
                key,
                name: row.name,
                filename: row.filename,
                content_type: row.content_type,
            },
            store: row.store,
            key: row.key,
            byte_size: row.byte_size,
            size_tolerance: source.size_tolerance,
            checksum: row.checksum,
            checksum_algorithm: row.algorithm.map(|a| a.to_string()),
            derived: row.derived,
        }))
    }

    /// The key of a row as the bundle writes it, and the unit that holds the row.
    fn find(&self, table: &TableName, text: &str) -> (Key, Option<UnitId>) {
        let as_it_is = || Key(vec![text.to_owned()]);
        let Some(place) = self.candidates.table(table) else {
            return (as_it_is(), None);
        };
        let columns = &self.candidates.tables[place].key;
        let Some(values) = key_text::values(text, columns.len()) else {
            return (as_it_is(), None);
        };
        let snapshot = &self.candidates.tables[place].snapshot;
        let typed = columns.iter().zip(&values.0).map(|(column, text)| {
            let column = snapshot.column(column);
            let type_name = column.map_or("", |c| c.type_name.as_str());
            key_text::value(type_name, text)
        });
        let key = Key(typed.collect());
        let node = self.candidates.find_key(place, &key);
        let node = node.or_else(|| self.candidates.find_key(place, &values));
        let unit = node.and_then(|node| self.units.unit_of(node));
        (key, unit)
    }
}
