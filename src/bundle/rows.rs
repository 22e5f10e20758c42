//! Walks a bundle forward: the rows of each unit from all files side by side, from the first unit or any other.
//!
//! Guarantees that every row belongs to the unit it is returned with, and that at the end no file has a row more or less
//! than the manifest says. Memory: one unit, or less with [`BundleRows::next_rows`] and [`BundleRows::take_rows`].

use bytes::Bytes;

use super::format::{ManifestTable, UnitLine, UnitRecord};
use super::frames::LineReader;
use super::recast::OverlayReader;
use super::{Bundle, BundleError, Units};
use crate::ident::UnitId;

/// A unit with its rows: place of the table in the manifest, and its lines (COPY text, without their newlines).
pub type UnitRows = (UnitRecord, Vec<(usize, Vec<Bytes>)>);

/// A walk through a bundle.
pub struct BundleRows {
    bundle: Bundle,
    units: Units,
    tables: Vec<TableRows>,
    /// Read while looking for the first unit asked for.
    first: Option<UnitRecord>,
    /// Tables of which the current unit still has rows that were not taken.
    touched: Vec<usize>,
    /// A unit of which [`next_rows`](Self::next_rows) has given some rows.
    begun: Option<UnitRecord>,
}

/// Where the walk stands in one table's file.
#[derive(Default)]
struct TableRows {
    /// Opened at the first row.
    lines: Option<LineReader>,
    /// Values in live's types, where it has some.
    over: Option<OverlayReader>,
    /// The last frame known to begin at or before this place.
    frame: u64,
    /// Rows between the frame's begin and this place, still to be skipped.
    skip: u64,
    /// Rows of the file before this place.
    passed: u64,
    /// Rows of the current unit that were not taken.
    left: u64,
}

impl BundleRows {
    /// Begins at `unit`, or at the end where the bundle has no such unit.
    pub(super) fn open(bundle: &Bundle, unit: UnitId) -> Result<Self, BundleError> {
        let mut units = Units::open(bundle)?;
        let mut tables: Vec<TableRows> = Vec::new();
        tables.resize_with(bundle.manifest.tables.len(), TableRows::default);
        let mut first = None;
        while let Some(UnitLine { record, at }) = units.next_line()? {
            for (table, offset) in at {
                (tables[table].frame, tables[table].skip) = (offset, 0);
            }
            if record.unit >= unit {
                first = Some(record);
                break;
            }
            for &(table, rows) in &record.rows {
                let t = &mut tables[table];
                t.skip = t.skip.saturating_add(rows);
                t.passed = t.passed.saturating_add(rows);
            }
        }
        Ok(Self {
            bundle: bundle.clone(),
            units,
            tables,
            first,
            touched: Vec::new(),
            begun: None,
        })
    }

    /// The next unit with all its rows; `None` at the end, when every file was read to its end and counted.
    pub fn next_unit(&mut self) -> Result<Option<UnitRows>, BundleError> {
        match self.next_record()? {
            Some(record) => Ok(Some(self.with_rows(record)?)),
            None => Ok(None),
        }
    }

    /// The next rows: a unit; or, one after another, slices of a unit with more than `limit` rows, table by table. Each has the unit's
    /// record, with the rows that it has itself; what the unit needs is said with the first.
    pub fn next_rows(&mut self, limit: u64) -> Result<Option<UnitRows>, BundleError> {
        let record = match self.begun.take() {
            Some(record) => record,
            None => match self.next_record()? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        let (mut slice, mut rest) = (record.clone(), record);
        slice.rows.clear();
        let (mut rows, mut room) = (Vec::new(), limit.max(1));
        while let Some((table, left)) = rest.rows.first().copied() {
            let lines = self.take_rows(table, left.min(room))?;
            let taken = left.min(room);
            room -= taken;
            slice.rows.push((table, taken));
            rows.push((table, lines));
            match taken == left {
                true => drop(rest.rows.remove(0)),
                false => rest.rows[0].1 -= taken,
            }
            if room == 0 {
                break;
            }
        }
        if !rest.rows.is_empty() {
            rest.needs.clear();
            self.begun = Some(rest);
        }
        Ok(Some((slice, rows)))
    }

    /// The current unit with all its rows that were not taken.
    pub fn with_rows(&mut self, record: UnitRecord) -> Result<UnitRows, BundleError> {
        let mut rows = Vec::with_capacity(record.rows.len());
        for &(table, _) in &record.rows {
            rows.push((table, self.take_rows(table, u64::MAX)?));
        }
        Ok((record, rows))
    }

    /// The next unit without its rows, to be had by [`take_rows`](Self::take_rows): for units that might not fit into
    /// memory. Rows of the unit before that were not taken are skipped.
    pub fn next_record(&mut self) -> Result<Option<UnitRecord>, BundleError> {
        for table in std::mem::take(&mut self.touched) {
            let t = &mut self.tables[table];
            t.skip = t.skip.saturating_add(t.left);
            t.left = 0;
        }
        let record = match self.first.take() {
            Some(record) => record,
            None => match self.units.next_line()? {
                Some(line) => line.record,
                None => return self.check_end().map(|()| None),
            },
        };
        for &(table, rows) in &record.rows {
            let t = &mut self.tables[table];
            t.left = rows;
            t.passed = t.passed.saturating_add(rows);
            self.touched.push(table);
        }
        Ok(Some(record))
    }

    /// Up to `limit` more rows of the current unit in the table at `table`; none once all are taken, or where the unit or
    /// the bundle has none.
    pub fn take_rows(&mut self, table: usize, limit: u64) -> Result<Vec<Bytes>, BundleError> {
        let (Some(t), Some(m)) = (
            self.tables.get_mut(table),
            self.bundle.manifest.tables.get(table),
        ) else {
            return Ok(Vec::new());
        };
        let rows = t.left.min(limit);
        if rows == 0 {
            return Ok(Vec::new());
        }
        let lines = t.lines(&self.bundle, m)?;
        // One allocation for all lines: they are cut from it without copying.
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            if !lines.line(&mut text)? {
                return Err(too_few(m));
            }
            ends.push(text.len());
        }
        let first = t.passed - t.left;
        t.left -= rows;
        let (text, mut begin) = (Bytes::from(text), 0);
        let cut = |end| text.slice(std::mem::replace(&mut begin, end)..end);
        let mut lines: Vec<Bytes> = ends.into_iter().map(cut).collect();
        if let Some(overlay) = self.bundle.overlays.get(&table) {
            let over = match &mut t.over {
                Some(over) => over,
                none => none.insert(OverlayReader::open(overlay)?),
            };
            over.lay_over(first, &mut lines)?;
        }
        Ok(lines)
    }

    /// Every file must end here, with as many rows as the manifest says.
    fn check_end(&mut self) -> Result<(), BundleError> {
        for (t, m) in self.tables.iter_mut().zip(&self.bundle.manifest.tables) {
            if t.passed != m.rows {
                return Err(BundleError::inconsistent(
                    &m.file,
                    format!(
                        "the units have {} rows of it, the manifest {}",
                        t.passed, m.rows
                    ),
                ));
            }
            if t.lines(&self.bundle, m)?.line(&mut Vec::new())? {
                return Err(BundleError::inconsistent(
                    &m.file,
                    format!("it has more than the {} rows of the manifest", m.rows),
                ));
            }
        }
        Ok(())
    }
}

impl TableRows {
    /// The file, at the next row wanted.
    fn lines(
        &mut self,
        bundle: &Bundle,
        manifest: &ManifestTable,
    ) -> Result<&mut LineReader, BundleError> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            none => none.insert(LineReader::open(&bundle.dir, &manifest.file, self.frame)?),
        };
        let mut line = Vec::new();
        while self.skip > 0 {
            line.clear();
            if !lines.line(&mut line)? {
                return Err(too_few(manifest));
            }
            self.skip -= 1;
        }
        Ok(lines)
    }
}

fn too_few(table: &ManifestTable) -> BundleError {
    BundleError::inconsistent(
        &table.file,
        format!("it ends before the {} rows of the manifest", table.rows),
    )
}
