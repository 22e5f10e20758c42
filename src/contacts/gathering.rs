//! The work: streams each source, keeps what concerns the bundle, and writes the file at the end.

use std::io::Write;

use crate::bundle::Bundle;
use crate::ident::{TableName, quote_ident};
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

use super::people::People;
use super::records::{Owner, Records};
use super::sheet::Sheet;
use super::{ASKED_FOR, ContactsError, Gathered, Source};

pub(super) struct Gathering {
    pub(super) records: Records,
    pub(super) people: People,
    pub(super) sheet: Sheet,
    pub(super) found: Gathered,
    /// The tables of the snapshot.
    pub(super) names: Vec<TableName>,
}

impl Gathering {
    /// Streams one source.
    pub(super) async fn ask(
        &mut self,
        session: &Session,
        source: &Source,
    ) -> Result<(), ContactsError> {
        let failed = |cause| ContactsError::Sql {
            entry: source.entry,
            cause,
        };
        let columns: Vec<String> = ASKED_FOR
            .into_iter()
            .chain(source.extra.iter().map(String::as_str))
            .map(|c| format!("c.{}::text collate \"C\"", quote_ident(c)))
            .collect();
        let columns = columns.join(", ");
        // Ordered, so that the file is the same each time.
        let sql = format!(
            "copy (select {columns} from ({}\n) c order by {columns}) to stdout",
            source.sql,
        );
        let places: Vec<usize> = source
            .extra
            .iter()
            .filter_map(|name| self.sheet.place(name))
            .collect();
        let mut lines = CopyLines::start(session, "asking for contacts", &sql)
            .await
            .map_err(failed)?;
        while let Some(line) = lines.next().await.map_err(failed)? {
            let fields: Vec<Option<String>> = raw_fields(&line).map(unescape).collect();
            self.take(source.entry, fields, &places)?;
        }
        Ok(())
    }

    /// One row of a source.
    fn take(
        &mut self,
        entry: usize,
        fields: Vec<Option<String>>,
        places: &[usize],
    ) -> Result<(), ContactsError> {
        let mut fields = fields.into_iter();
        let mut next = || fields.next().flatten();
        let (table, key, contact) = (next(), next(), next());
        let (Some(table), Some(key)) = (table, key) else {
            self.found.elsewhere += 1;
            return Ok(());
        };
        let Some(place) = self.table(entry, &table)? else {
            self.found.elsewhere += 1;
            return Ok(());
        };
        let Some(owner) = self.records.find(place, &key) else {
            self.found.elsewhere += 1;
            return Ok(());
        };
        let contact = contact.map(|c| c.trim().to_owned()).unwrap_or_default();
        if contact.is_empty() {
            self.found.empty += 1;
            return Ok(());
        }
        let mut extra = vec![String::new(); self.sheet.extra()];
        for (place, value) in places.iter().zip(fields) {
            extra[*place] = value.unwrap_or_default();
        }
        self.keep(&owner, &contact, extra)
    }

    /// A record of the bundle, and somebody whom it concerns.
    fn keep(
        &mut self,
        owner: &Owner,
        contact: &str,
        extra: Vec<String>,
    ) -> Result<(), ContactsError> {
        self.records.concerns_somebody(owner);
        if self.people.concerned(owner.id, contact, &extra) {
            let table = self.records.name(owner.table).to_string();
            self.sheet
                .record(contact, &table, &owner.key, &owner.unit.to_string(), &extra)?;
        }
        Ok(())
    }

    /// The table of the bundle that a name stands for. Names of no table at all are remembered.
    fn table(&mut self, entry: usize, name: &str) -> Result<Option<usize>, ContactsError> {
        match self.records.tables(name).as_slice() {
            [one] => {
                self.records.spoken_of(*one);
                Ok(Some(*one))
            }
            [] => {
                let renamed = self.records.other_names();
                let known = self
                    .names
                    .iter()
                    .chain(renamed)
                    .any(|t| t.is_meant_by(name));
                if !known {
                    self.unknown(name);
                }
                Ok(None)
            }
            several => {
                let tables = several.iter().map(|t| self.records.name(*t).to_string());
                Err(ContactsError::Ambiguous {
                    entry,
                    name: name.to_owned(),
                    tables: tables.collect::<Vec<_>>().join(", "),
                })
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        match self.found.unknown.iter_mut().find(|(n, _)| n == name) {
            Some((_, rows)) => *rows += 1,
            None => self.found.unknown.push((name.to_owned(), 1)),
        }
    }

    /// Adds the records that concern nobody, and writes everything.
    pub(super) fn finish(
        mut self,
        bundle: &Bundle,
        out: impl Write,
    ) -> Result<Gathered, ContactsError> {
        let nothing = vec![String::new(); self.sheet.extra()];
        let (records, sheet) = (&self.records, &mut self.sheet);
        let counted = records.count(bundle, &mut |owner| {
            let table = records.name(owner.table).to_string();
            sheet.record("", &table, &owner.key, &owner.unit.to_string(), &nothing)
        })?;
        self.found.tables = counted
            .into_iter()
            .enumerate()
            .filter(|(_, t)| t.records > 0)
            .map(|(place, t)| (self.records.name(place).clone(), t))
            .collect();
        self.found.persons = self.people.len();
        let people = self.people.into_iter();
        self.sheet.finish(people, out)?;
        Ok(self.found)
    }
}
