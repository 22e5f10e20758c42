//! Writes a bundle, forward, unit by unit.
//!
//! Guarantees that the target is a whole bundle or is not there, whatever happens, and that no bundle is written which
//! [`Bundle`](super::Bundle) would refuse. Refuses records that do not count the rows they were given.

use std::collections::BTreeMap;
use std::path::Path;

use super::digest::{sha256, write_file};
use super::format::{
    AttachmentRecord, FORMAT, LargeObjectGrant, Manifest, ManifestDraft, ManifestFile,
    ManifestTable, RelinkRecord, UnitLine, UnitRecord,
};
use super::frames::{FRAME_BYTES, LineWriter};
use super::large_objects::LargeObjectWriter;
use super::names::{
    ATTACHMENTS, LISTINGS, MANIFEST, MANIFEST_DIGEST, RELINKS, RESTORE, UNITS, table_file,
};
use super::partial::Partial;
use super::reader::digest_line;
use super::units::{need_fault, unit_fault};
use super::{BundleError, BundleId, check, restore_text};
use crate::ident::UnitId;

/// Writes one bundle: [`add_tables`](Self::add_tables), then for each unit its rows and
/// [`end_unit`](Self::end_unit), then [`finish`](Self::finish). Dropped before that, it leaves nothing behind.
pub struct BundleWriter {
    // Closed before `partial` removes them.
    tables: Vec<TableFile>,
    units: LineWriter,
    listings: Vec<LineWriter>,
    /// Once there is one.
    large_objects: Option<LargeObjectWriter>,
    frame_bytes: u64,
    unit_count: u64,
    row_count: u64,
    /// Tables with rows of the unit that has not ended.
    touched: Vec<usize>,
    /// Relations that units need rows by, and how many values they gave for each.
    needed: BTreeMap<usize, usize>,
    partial: Partial,
}

struct TableFile {
    manifest: ManifestTable,
    /// Fields of a line.
    fields: usize,
    lines: LineWriter,
    /// Rows of the unit that has not ended.
    unit_rows: u64,
    /// Where the frame lies that these rows began, if they did.
    begun: Option<u64>,
}

impl BundleWriter {
    /// Begins a bundle that will stand at `target`, in a directory `.bundle-….partial` beside it (mode 0700).
    ///
    /// Errors: `TargetExists` for anything at the target, a link to nowhere included; `Full`, `Io`.
    pub fn create(target: &Path) -> Result<Self, BundleError> {
        Self::with_frames(target, FRAME_BYTES)
    }

    /// Same, with frames of about `frame_bytes` uncompressed.
    pub(super) fn with_frames(target: &Path, frame_bytes: u64) -> Result<Self, BundleError> {
        let partial = Partial::create(target)?;
        let dir = partial.path();
        let listing = |name| LineWriter::create(dir, name, frame_bytes);
        Ok(Self {
            tables: Vec::new(),
            units: listing(UNITS)?,
            listings: LISTINGS
                .into_iter()
                .map(listing)
                .collect::<Result<_, _>>()?,
            large_objects: None,
            frame_bytes,
            unit_count: 0,
            row_count: 0,
            touched: Vec::new(),
            needed: BTreeMap::new(),
            partial,
        })
    }

    /// Adds tables after those there are, in insertion order, and creates their files. `file` and `rows` of each are
    /// chosen here, whatever they hold.
    pub fn add_tables(&mut self, tables: Vec<ManifestTable>) -> Result<(), BundleError> {
        for mut table in tables {
            table.file = table_file(self.tables.len(), &table.table);
            table.rows = 0;
            self.tables.push(TableFile {
                fields: table.stored_columns().count(),
                lines: LineWriter::create(self.partial.path(), &table.file, self.frame_bytes)?,
                manifest: table,
                unit_rows: 0,
                begun: None,
            });
        }
        Ok(())
    }

    /// Adds a row of the current unit: a line of PostgreSQL's COPY text format without its newline, a field for each of
    /// the table's [stored columns](ManifestTable::stored_columns).
    ///
    /// Errors: `Rejected` where that is not what it is; `Full`, `Io`.
    pub fn row(&mut self, table: usize, line: &[u8]) -> Result<(), BundleError> {
        let tables = self.tables.len();
        let t = self.tables.get_mut(table).ok_or_else(|| {
            BundleError::rejected(format!("a row of table {table}, where there are {tables}"))
        })?;
        if let Some(cause) = line_fault(line, t.fields) {
            return Err(BundleError::rejected(format!(
                "a row of {} {cause}",
                t.manifest.table
            )));
        }
        if let Some(offset) = t.lines.line(line)? {
            t.begun = Some(offset);
        }
        if t.unit_rows == 0 {
            self.touched.push(table);
        }
        t.unit_rows += 1;
        Ok(())
    }

    /// Ends the unit whose rows were just added.
    ///
    /// Errors: `Rejected` where the record does not have the next number, depends on what is not before it, or counts
    /// other rows than those added; `Full`, `Io`.
    pub fn end_unit(&mut self, unit: UnitRecord) -> Result<(), BundleError> {
        if let Some(cause) = unit_fault(&unit, self.unit_count + 1).or(self.count_fault(&unit)) {
            return Err(BundleError::rejected(cause));
        }
        for need in &unit.needs {
            let width = need.key.0.len();
            if *self.needed.entry(need.relation).or_insert(width) != width {
                return Err(BundleError::rejected(need_fault(need.relation, width)));
            }
        }
        self.touched.sort_unstable();
        let mut at = Vec::new();
        for table in self.touched.drain(..) {
            let t = &mut self.tables[table];
            at.extend(t.begun.take().map(|offset| (table, offset)));
            t.manifest.rows += t.unit_rows;
            self.row_count += t.unit_rows;
            t.unit_rows = 0;
            t.lines.boundary()?;
        }
        self.unit_count += 1;
        self.units.line(&json(&UnitLine { record: unit, at })?)?;
        self.units.boundary()
    }

    /// Adds a reference that the deletion set to NULL.
    ///
    /// Errors: `Full`, `Io`.
    pub fn relink(&mut self, relink: &RelinkRecord) -> Result<(), BundleError> {
        let line = serde_json::to_vec(relink).map_err(|e| BundleError::rejected(e.to_string()))?;
        self.listed(RELINKS, &line)
    }

    /// Adds a file that rows of the bundle point at.
    ///
    /// Errors: `Full`, `Io`.
    pub fn attachment(&mut self, record: &AttachmentRecord) -> Result<(), BundleError> {
        let line = serde_json::to_vec(record).map_err(|e| BundleError::rejected(e.to_string()))?;
        self.listed(ATTACHMENTS, &line)
    }

    fn listed(&mut self, listing: usize, line: &[u8]) -> Result<(), BundleError> {
        let listing = &mut self.listings[listing];
        listing.line(line)?;
        listing.boundary()
    }

    /// Adds the next piece of a large object that rows point at, its first one included: of [`PIECE`](crate::catalog::PIECE) bytes, or
    /// fewer, and then it is the last.
    ///
    /// Errors: `Rejected` for pieces of several objects mixed; `Full`, `Io`.
    pub fn large_object_piece(&mut self, loid: u32, data: &[u8]) -> Result<(), BundleError> {
        let (dir, frame_bytes) = (self.partial.path(), self.frame_bytes);
        let writer = match &mut self.large_objects {
            Some(writer) => writer,
            none => none.insert(LargeObjectWriter::create(dir, frame_bytes)?),
        };
        writer.piece(loid, data)
    }

    /// Ends the large object whose pieces were just added: whose it was, who else had rights on it, which units point at it.
    ///
    /// Errors: `Rejected` where its last piece is lacking; `Full`, `Io`.
    pub fn end_large_object(
        &mut self,
        owner: String,
        grants: Vec<LargeObjectGrant>,
        units: Vec<UnitId>,
    ) -> Result<(), BundleError> {
        match &mut self.large_objects {
            Some(writer) => writer.end(owner, grants, units),
            None => Err(BundleError::rejected("a large object has no piece")),
        }
    }

    /// Completes the bundle and puts it at its place, durably. Returns its id.
    ///
    /// Errors: `Rejected` where `draft` does not fit what was written; `TargetExists`, `Full`, `Io`. Nothing is at the
    /// target then, unless the failure was to make the last step, the rename, durable.
    pub fn finish(self, draft: ManifestDraft) -> Result<BundleId, BundleError> {
        self.check_draft(&draft)?;
        let dir = self.partial.path();
        let (mut tables, mut files) = (Vec::new(), Vec::new());
        for table in self.tables {
            files.push(table.lines.close()?);
            tables.push(table.manifest);
        }
        files.push(self.units.close()?);
        for listing in self.listings {
            files.push(listing.close()?);
        }
        if let Some(writer) = self.large_objects {
            files.extend(writer.close()?);
        }
        let text = restore_text::render(&tables, &draft);
        files.push(write_file(dir, RESTORE, text.as_bytes())?);
        let id = write_manifest(dir, complete(draft, tables, files))?;
        self.partial.publish()?;
        Ok(id)
    }

    /// Whether `unit` counts the rows that were added.
    fn count_fault(&self, unit: &UnitRecord) -> Option<String> {
        let n = unit.unit;
        if unit.root.table >= self.tables.len() {
            return Some(format!("unit {n} has its root in no table of the bundle"));
        }
        let said = |table| unit.rows.iter().find(|r| r.0 == table).map_or(0, |r| r.1);
        let told = unit.rows.iter().map(|r| r.0);
        for table in told.chain(self.touched.iter().copied()) {
            let Some(t) = self.tables.get(table) else {
                return Some(format!("unit {n} has rows in no table of the bundle"));
            };
            if t.unit_rows != said(table) {
                return Some(format!(
                    "unit {n} says {} rows of {}, {} were written",
                    said(table),
                    t.manifest.table,
                    t.unit_rows
                ));
            }
        }
        None
    }

    /// Whether `draft` fits what was written; the rest is seen by the check of the manifest itself.
    fn check_draft(&self, draft: &ManifestDraft) -> Result<(), BundleError> {
        let totals = (draft.totals.units, draft.totals.rows);
        if !self.touched.is_empty() {
            return Err(BundleError::rejected("the last unit was not ended"));
        }
        if totals != (self.unit_count, self.row_count) {
            return Err(BundleError::rejected(format!(
                "the totals are {} units and {} rows, {} and {} were written",
                totals.0, totals.1, self.unit_count, self.row_count
            )));
        }
        let large_objects = self.large_objects.as_ref().map_or(0, |w| w.count());
        if draft.totals.large_objects != large_objects {
            return Err(BundleError::rejected(format!(
                "the totals have {} large objects, {large_objects} were written",
                draft.totals.large_objects
            )));
        }
        for (&relation, &width) in &self.needed {
            let columns = draft
                .relations
                .get(relation)
                .map(|r| r.parent_columns.len());
            if columns != Some(width) {
                return Err(BundleError::rejected(need_fault(relation, width)));
            }
        }
        match check::order_fault(&draft.insertion_order, self.tables.len()) {
            None => Ok(()),
            Some(cause) => Err(BundleError::rejected(cause)),
        }
    }
}

/// What keeps a line from being one row of COPY text with `fields` fields.
fn line_fault(line: &[u8], fields: usize) -> Option<String> {
    if line.contains(&b'\n') || line == b"\\." {
        return Some("is no single line of COPY text".to_owned());
    }
    let has = match (fields, line) {
        // COPY writes an empty line for a row without columns.
        (0, b"") => 0,
        _ => 1 + line.iter().filter(|b| **b == b'\t').count(),
    };
    (has != fields).then(|| format!("has {has} fields, its table {fields} stored columns"))
}

fn complete(
    draft: ManifestDraft,
    tables: Vec<ManifestTable>,
    files: Vec<ManifestFile>,
) -> Manifest {
    Manifest {
        format: FORMAT,
        tool: draft.tool,
        created: draft.created,
        source: draft.source,
        window: draft.window,
        settings_digest: draft.settings_digest,
        schema_fingerprint: draft.schema_fingerprint,
        renames: draft.renames,
        attachment_sources: draft.attachment_sources,
        roots: draft.roots,
        tables,
        insertion_order: draft.insertion_order,
        relations: draft.relations,
        totals: draft.totals,
        left_out: draft.left_out,
        evidence: draft.evidence,
        unknowable: draft.unknowable,
        doubtful_parents: draft.doubtful_parents,
        exclusions: draft.exclusions,
        files,
    }
}

/// Writes the manifest and its digest, both last.
fn write_manifest(dir: &Path, manifest: Manifest) -> Result<BundleId, BundleError> {
    check::manifest(&manifest).map_err(|e| match e {
        BundleError::Inconsistent { cause, .. } => BundleError::rejected(cause),
        other => other,
    })?;
    let mut text =
        serde_json::to_vec_pretty(&manifest).map_err(|e| BundleError::rejected(e.to_string()))?;
    text.push(b'\n');
    let id = sha256(&text);
    write_file(dir, MANIFEST, &text)?;
    write_file(dir, MANIFEST_DIGEST, digest_line(&id).as_bytes())?;
    Ok(id)
}

fn json(line: &UnitLine) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(line).map_err(|e| BundleError::rejected(e.to_string()))
}
