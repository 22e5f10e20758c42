//! A bundle in the types that live has by now: values that the server has cast stand in a scratch file; the bundle's own stay as they are.
//!
//! Guarantees that every reading of rows sees the cast values, and that the scratch file goes with the last copy of the bundle.
//! Memory: 8 bytes for each 256 rows of a table with such columns.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::frames::LineReader;
use super::{Bundle, BundleError};
use crate::pg::copy::raw_fields;

/// Rows between two places that are remembered.
const STEP: u64 = 256;

/// A column in another type than the backup's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recast {
    /// Place of the table in the manifest.
    pub table: usize,
    /// The column.
    pub column: String,
    /// Type in the backup, as SQL.
    pub from: String,
    /// Type in live, which the manifest names by now.
    pub to: String,
}

/// The cast fields of a table's rows, in the order of its file.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// Fields of the table's lines that they stand for.
    fields: Vec<usize>,
    file: Arc<NamedTempFile>,
    starts: Arc<Vec<u64>>,
}

/// Writes them.
#[derive(Debug)]
pub struct OverlayWriter {
    fields: Vec<usize>,
    file: BufWriter<NamedTempFile>,
    starts: Vec<u64>,
    rows: u64,
    at: u64,
}

impl OverlayWriter {
    /// For these fields of a table's lines.
    ///
    /// Errors: `Io`; `NoScratch` where there is no room for scratch files.
    pub fn create(fields: Vec<usize>) -> Result<Self, BundleError> {
        let file = NamedTempFile::new();
        let dir = std::env::temp_dir();
        let file = file.map_err(|e| BundleError::scratch("create a file in", &dir, e))?;
        Ok(Self {
            fields,
            file: BufWriter::new(file),
            starts: Vec::new(),
            rows: 0,
            at: 0,
        })
    }

    /// The fields of the next row, as COPY writes them.
    pub fn row(&mut self, fields: &[Bytes]) -> Result<(), BundleError> {
        if self.rows.is_multiple_of(STEP) {
            self.starts.push(self.at);
        }
        self.rows += 1;
        let mut line = fields.join(&b'\t');
        line.push(b'\n');
        self.at += line.len() as u64;
        let written = self.file.write_all(&line);
        written.map_err(|e| BundleError::scratch("write", self.file.get_ref().path(), e))
    }

    /// What was written.
    pub fn finish(self) -> Result<Overlay, BundleError> {
        let path = self.file.get_ref().path().to_owned();
        let file = self.file.into_inner();
        let file = file.map_err(|e| BundleError::scratch("write", &path, e.into_error()))?;
        Ok(Overlay {
            fields: self.fields,
            file: Arc::new(file),
            starts: Arc::new(self.starts),
        })
    }
}

impl Bundle {
    /// The rows of a table, a few at a time, in the order of its file.
    pub fn lines_of(&self, table: usize) -> Result<TableLines, BundleError> {
        let file = &self.manifest.tables[table].file;
        Ok(TableLines(LineReader::open(&self.dir, file, 0)?))
    }

    /// The same bundle with the values of an overlay, whose columns have live's types.
    #[must_use]
    pub fn recast(mut self, table: usize, overlay: Overlay, columns: Vec<Recast>) -> Self {
        for recast in &columns {
            let mut of_table = self.manifest.tables[table].columns.iter_mut();
            if let Some(column) = of_table.find(|c| c.name == recast.column) {
                column.type_name.clone_from(&recast.to);
            }
        }
        self.recasts.extend(columns);
        self.overlays.insert(table, overlay);
        self
    }
}

/// A table's rows, read forward.
pub struct TableLines(LineReader);

impl TableLines {
    /// The next rows: up to so many, or so many bytes; none at the end.
    pub fn take(&mut self, rows: usize, bytes: usize) -> Result<Vec<Bytes>, BundleError> {
        let (mut lines, mut size) = (Vec::new(), 0);
        while lines.len() < rows && size < bytes {
            let mut line = Vec::new();
            if !self.0.line(&mut line)? {
                break;
            }
            size += line.len();
            lines.push(Bytes::from(line));
        }
        Ok(lines)
    }
}

/// An overlay, being read beside its table's rows.
#[derive(Debug)]
pub(super) struct OverlayReader {
    overlay: Overlay,
    file: BufReader<File>,
    /// The row that comes next.
    next: u64,
}

impl OverlayReader {
    pub(super) fn open(overlay: &Overlay) -> Result<Self, BundleError> {
        let path = overlay.file.path();
        let file = overlay.file.reopen();
        let file = file.map_err(|e| BundleError::io("open", path, e))?;
        Ok(Self {
            overlay: overlay.clone(),
            file: BufReader::new(file),
            next: 0,
        })
    }

    /// Puts the cast fields into lines that begin with that row of the table.
    pub(super) fn lay_over(&mut self, first: u64, lines: &mut [Bytes]) -> Result<(), BundleError> {
        let path = self.overlay.file.path().to_owned();
        let failed = |e| BundleError::io("read", &path, e);
        self.go_to(first).map_err(failed)?;
        for line in lines {
            let cast = self.line().map_err(failed)?;
            *line = self.overlay.merged(line, &cast);
        }
        Ok(())
    }

    fn go_to(&mut self, row: u64) -> io::Result<()> {
        if row != self.next {
            let start = usize::try_from(row / STEP)
                .ok()
                .and_then(|n| self.overlay.starts.get(n));
            let start = start.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.file.seek(SeekFrom::Start(*start))?;
            self.next = row - row % STEP;
        }
        while self.next < row {
            self.line()?;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.file.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.next += 1;
        Ok(line)
    }
}

impl Overlay {
    fn merged(&self, line: &[u8], cast: &[u8]) -> Bytes {
        let cast: Vec<&[u8]> = raw_fields(cast).collect();
        let field = |(n, stored)| {
            let place = self.fields.iter().position(|f| *f == n);
            place.and_then(|p| cast.get(p).copied()).unwrap_or(stored)
        };
        let merged: Vec<&[u8]> = raw_fields(line).enumerate().map(field).collect();
        Bytes::from(merged.join(&b'\t'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn fields_are_laid_over_wherever_reading_begins() {
        let mut writer = OverlayWriter::create(vec![2, 0]).unwrap();
        for n in 0..1000 {
            writer
                .row(&[bytes(&format!("c{n}")), bytes("\\N")])
                .unwrap();
        }
        let overlay = writer.finish().unwrap();
        let mut reader = OverlayReader::open(&overlay).unwrap();
        for first in [0, 2, 700, 255, 256, 257, 998] {
            let mut lines = vec![bytes("a\tb\tc"), bytes("d\te\tf")];
            reader.lay_over(first, &mut lines).unwrap();
            let (one, two) = (
                format!("\\N\tb\tc{first}"),
                format!("\\N\te\tc{}", first + 1),
            );
            assert_eq!(lines, [bytes(&one), bytes(&two)]);
        }
        assert!(reader.lay_over(1000, &mut [bytes("a\tb\tc")]).is_err());
    }
}
