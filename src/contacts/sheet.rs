//! `contacts.csv`: a row for each person, then a row for each record and each person whom it concerns. RFC 4180; no cell
//! that a spreadsheet would take for a formula.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::ContactsError;
use super::people::Person;

/// The file's own columns; further ones follow.
pub const OWN_COLUMNS: [&str; 6] = [
    "kind",
    "contact",
    "records",
    "owner_table",
    "owner_key",
    "unit",
];

/// What spreadsheets take for the beginning of a formula, or skip on the way to one; the wide forms in East Asian locales.
const TRIGGERS: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// What a spreadsheet may take for the end of a cell, by its locale or as its user says, quoted or not.
const SEPARATORS: &[char] = &[',', ';', '|', '\t', '\r', '\n'];

/// Whether a cell may still begin after `c`, where one might have begun before it.
fn begins_after(c: char, before: bool) -> bool {
    SEPARATORS.contains(&c) || before && (matches!(c, '"' | '\'') || c.is_whitespace())
}

/// A cell of which no spreadsheet evaluates anything: an apostrophe goes before each character that would begin a
/// formula, at the beginning or after what may be taken for a separator.
///
/// Source: OWASP, "CSV Injection".
pub fn neutral(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for c in text.chars() {
        if begins && TRIGGERS.contains(&c) {
            cell.push('\'');
        }
        cell.push(c);
        begins = begins_after(c, begins);
    }
    cell
}

/// What [`neutral`] was given.
pub fn original(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut begins = true;
    let mut chars = cell.chars().peekable();
    while let Some(c) = chars.next() {
        let before_trigger = chars.peek().is_some_and(|next| TRIGGERS.contains(next));
        if !(begins && c == '\'' && before_trigger) {
            text.push(c);
        }
        begins = begins_after(c, begins);
    }
    text
}

/// The file in the making: rows of records are set aside until all people are known.
pub(super) struct Sheet {
    extra: Vec<String>,
    records: csv::Writer<File>,
}

impl Sheet {
    /// Begins, with these further columns.
    pub(super) fn begin(extra: &[String], scratch: &Path) -> Result<Self, ContactsError> {
        // It has no name, so that nothing of it stays behind.
        let file = tempfile::tempfile_in(scratch)?;
        Ok(Self {
            extra: extra.to_vec(),
            records: rfc4180(file),
        })
    }

    /// Further columns.
    pub(super) fn extra(&self) -> usize {
        self.extra.len()
    }

    /// The place of a further column.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.extra.iter().position(|e| e == name)
    }

    /// Adds a record and somebody, or nobody, whom it concerns.
    pub(super) fn record(
        &mut self,
        contact: &str,
        table: &str,
        key: &str,
        unit: &str,
        extra: &[String],
    ) -> Result<(), ContactsError> {
        let own = ["record", contact, "", table, key, unit];
        let row = own.into_iter().chain(extra.iter().map(String::as_str));
        Ok(self.records.write_record(row.map(neutral))?)
    }

    /// Writes the people, and after them the records.
    pub(super) fn finish(
        self,
        people: impl Iterator<Item = (String, Person)>,
        mut out: impl Write,
    ) -> Result<(), ContactsError> {
        let mut writer = rfc4180(&mut out);
        let head = OWN_COLUMNS
            .into_iter()
            .chain(self.extra.iter().map(String::as_str));
        writer.write_record(head.map(neutral))?;
        for (contact, person) in people {
            let records = person.records.to_string();
            let own = ["person", &contact, &records, "", "", ""];
            let extra = person
                .extra
                .iter()
                .map(|e| e.as_deref().unwrap_or_default());
            writer.write_record(own.into_iter().chain(extra).map(neutral))?;
        }
        writer.flush()?;
        drop(writer);
        let mut records = self
            .records
            .into_inner()
            .map_err(|e| ContactsError::Write(e.into_error()))?;
        records.seek(SeekFrom::Start(0))?;
        std::io::copy(&mut records, &mut out)?;
        Ok(out.flush()?)
    }
}

/// Lines end in CR LF; every cell is quoted, so that other separators in it do no harm either.
pub fn rfc4180<W: Write>(to: W) -> csv::Writer<W> {
    csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_text() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+33 6", "'+33 6"),
            ("-5", "'-5"),
            ("@a", "'@a"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("'t Hooft", "'t Hooft"),
            ("a@b", "a@b"),
            ("", ""),
            ("'", "'"),
            (" =1", " '=1"),
            ("\"=1", "\"'=1"),
            ("x;=cmd|/c calc", "x;'=cmd|/c calc"),
            ("x;\" =cmd", "x;\" '=cmd"),
            ("x,+1;'-2\n@3", "x,'+1;''-2\n'@3"),
            ("x\t=1", "x\t'=1"),
            ("1 + 1 = 2; or - so", "1 + 1 = 2; or - so"),
            ("2020-01-21 16:40:00+01", "2020-01-21 16:40:00+01"),
        ] {
            assert_eq!(neutral(text), cell);
            assert_eq!(original(cell), text);
        }
    }

    proptest! {
        /// Written and read back, each cell is inert, and what it was can be had again.
        #[test]
        fn cells_come_back(rows in prop::collection::vec(
            prop::collection::vec("['\"=+@\t\r\n, ;|a＝é-]{0,8}", 3), 1..6)
        ) {
            let mut writer = rfc4180(Vec::new());
            for row in &rows {
                writer.write_record(row.iter().map(|c| neutral(c))).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
            let read: Vec<Vec<String>> = reader
                .records()
                .map(|r| r.unwrap().iter().map(str::to_owned).collect())
                .collect();
            for cell in read.iter().flatten() {
                prop_assert!(!cell.starts_with(TRIGGERS), "{cell:?}");
            }
            // Nor does anything else that a program which splits otherwise, or ignores quotes, takes for a cell.
            let text = String::from_utf8(bytes.clone()).unwrap();
            for part in text.split(SEPARATORS) {
                let part = part.trim_matches(|c: char| c == '"' || c.is_whitespace());
                prop_assert!(!part.starts_with(TRIGGERS), "{part:?} in {text:?}");
            }
            let back: Vec<Vec<String>> = read
                .iter()
                .map(|row| row.iter().map(|c| original(c)).collect())
                .collect();
            prop_assert_eq!(back, rows);
        }
    }
}
