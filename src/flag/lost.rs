//! Who lost which file: the files that `blobs.jsonl` calls lost, joined with the people of `contacts.csv` by unit.
//!
//! Memory: the lost files, and a line for each of them and each person.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use crate::blobs::{State, blob_rows};
use crate::contacts::{neutral, original, rfc4180};
use crate::ident::UnitId;

use super::FlagError;

/// The columns of `lost.csv`.
const COLUMNS: [&str; 8] = [
    "contact",
    "owner_table",
    "owner_key",
    "attachment",
    "filename",
    "state",
    "blob_key",
    "unit",
];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WhoLost {
    /// People who lost a file, or may have.
    pub persons: u64,
    /// Records' files that are lost or corrupt.
    pub files: u64,
    /// Of which nobody can tell: their store would not say, or they are not as recorded.
    pub doubtful: u64,
    /// Files that concern nobody known.
    pub without_contact: u64,
    /// Files that are of no unit: `blobs.jsonl` is of all of live.
    pub of_no_unit: u64,
}

/// A line without its contact.
type Line = [String; 7];

/// Joins the two files of the case, and writes the outcome to `out`, by person.
pub fn who_lost(contacts: &Path, blobs: &Path, out: impl Write) -> Result<WhoLost, FlagError> {
    let mut found = WhoLost::default();
    let lost = lost(blobs, &mut found)?;
    let mut lines: BTreeSet<(String, Line)> = BTreeSet::new();
    let mut told: BTreeSet<UnitId> = BTreeSet::new();
    let mut people: BTreeSet<String> = BTreeSet::new();
    let unreadable = |e: csv::Error| FlagError::Read(format!("contacts.csv: {e}"));
    let mut reader = csv::Reader::from_path(contacts).map_err(unreadable)?;
    let head = reader.headers().map_err(unreadable)?.clone();
    let place = |name: &str| head.iter().position(|h| original(h) == name);
    let (Some(kind), Some(contact), Some(unit)) = (place("kind"), place("contact"), place("unit"))
    else {
        return Err(FlagError::Read(
            "contacts.csv has other columns than `contacts` writes".into(),
        ));
    };
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let cell = |at: usize| original(record.get(at).unwrap_or_default());
        let Ok(unit) = cell(unit).parse::<UnitId>() else {
            continue;
        };
        let contact = cell(contact);
        let (Some(files), "record", false) =
            (lost.get(&unit), cell(kind).as_str(), contact.is_empty())
        else {
            continue;
        };
        told.insert(unit);
        lines.extend(files.iter().map(|f| (contact.clone(), f.clone())));
        people.insert(contact);
    }
    let nobody = lost.iter().filter(|(unit, _)| !told.contains(unit));
    for (_, files) in nobody {
        found.without_contact += files.len() as u64;
        lines.extend(files.iter().map(|f| (String::new(), f.clone())));
    }
    found.persons = people.len() as u64;
    write(&lines, out)?;
    Ok(found)
}

/// The files that are lost, or may be, by unit.
fn lost(path: &Path, found: &mut WhoLost) -> Result<BTreeMap<UnitId, BTreeSet<Line>>, FlagError> {
    let failed = |e: String| FlagError::Read(e);
    let mut by_unit: BTreeMap<UnitId, BTreeSet<Line>> = BTreeMap::new();
    for row in blob_rows(path).map_err(|e| failed(e.to_string()))? {
        let row = row.map_err(|e| failed(e.to_string()))?;
        let gone = matches!(row.state, State::Lost | State::Corrupt);
        if row.derived || !(gone || row.suspicious) {
            continue;
        }
        for owner in &row.owners {
            let Some(unit) = owner.unit else {
                found.of_no_unit += 1;
                continue;
            };
            let of = &owner.record;
            let line = [
                of.table.to_string(),
                of.key.to_string(),
                of.name.clone().unwrap_or_default(),
                of.filename.clone().unwrap_or_default(),
                row.state.name().to_owned(),
                row.key.clone(),
                unit.to_string(),
            ];
            if by_unit.entry(unit).or_default().insert(line) {
                found.files += u64::from(gone);
                found.doubtful += u64::from(!gone);
            }
        }
    }
    Ok(by_unit)
}

fn write(lines: &BTreeSet<(String, Line)>, out: impl Write) -> Result<(), FlagError> {
    let failed = |e: csv::Error| FlagError::Write(e.into());
    let mut writer = rfc4180(out);
    writer.write_record(COLUMNS).map_err(failed)?;
    for (contact, line) in lines {
        let cells = std::iter::once(contact).chain(line);
        writer
            .write_record(cells.map(|c| neutral(c)))
            .map_err(failed)?;
    }
    writer.flush().map_err(FlagError::Write)
}
