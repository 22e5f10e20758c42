//! Writes large objects, one after another.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::bundle::BundleError;
use crate::bundle::digest::hex;
use crate::bundle::format::{LargeObjectGrant, LargeObjectRecord, ManifestFile};
use crate::bundle::frames::LineWriter;
use crate::bundle::names::{LARGE_OBJECT_CONTENT, LARGE_OBJECTS};
use crate::catalog::PIECE;
use crate::ident::UnitId;

/// Both files, being written.
pub(in crate::bundle) struct LargeObjectWriter {
    index: LineWriter,
    content: LineWriter,
    /// The frame at hand, and lines in it.
    frame: u64,
    lines: u64,
    count: u64,
    current: Option<Current>,
}

/// The object that has not ended.
struct Current {
    loid: u32,
    at: u64,
    skip: u64,
    size: u64,
    content: Sha256,
    pieces: Sha256,
    /// Its last piece has been written.
    ended: bool,
}

impl LargeObjectWriter {
    pub(in crate::bundle) fn create(dir: &Path, frame_bytes: u64) -> Result<Self, BundleError> {
        Ok(Self {
            index: LineWriter::create(dir, LARGE_OBJECTS, frame_bytes)?,
            content: LineWriter::create(dir, LARGE_OBJECT_CONTENT, frame_bytes)?,
            frame: 0,
            lines: 0,
            count: 0,
            current: None,
        })
    }

    /// How many have been written.
    pub(in crate::bundle) fn count(&self) -> u64 {
        self.count
    }

    /// Adds the next piece of an object, its first one included: of [`PIECE`] bytes, or fewer, and then it is the last.
    pub(in crate::bundle) fn piece(&mut self, loid: u32, data: &[u8]) -> Result<(), BundleError> {
        let full = data.len() as u64 == PIECE;
        let start = match &self.current {
            None => 0,
            Some(c) if c.loid == loid && !c.ended => c.size,
            Some(_) => return Err(BundleError::rejected("pieces of large objects are mixed")),
        };
        let mut line = format!("{loid}\t{start}\t\\\\x").into_bytes();
        for byte in data {
            let digit = |d: u8| b"0123456789abcdef"[usize::from(d)];
            line.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        if let Some(frame) = self.content.line(&line)? {
            (self.frame, self.lines) = (frame, 0);
        }
        let (at, skip) = (self.frame, self.lines);
        self.lines += 1;
        let current = self.current.get_or_insert_with(|| Current {
            loid,
            at,
            skip,
            size: 0,
            content: Sha256::new(),
            pieces: Sha256::new(),
            ended: false,
        });
        current.size += data.len() as u64;
        current.content.update(data);
        current.pieces.update(Sha256::digest(data));
        current.ended = !full;
        Ok(())
    }

    /// Ends the object whose pieces were just added.
    pub(in crate::bundle) fn end(
        &mut self,
        owner: String,
        grants: Vec<LargeObjectGrant>,
        units: Vec<UnitId>,
    ) -> Result<(), BundleError> {
        let Some(current) = self.current.take().filter(|c| c.ended) else {
            return Err(BundleError::rejected("a large object has no last piece"));
        };
        let record = LargeObjectRecord {
            loid: current.loid,
            size: current.size,
            sha256: hex(&current.content.finalize()),
            pieces_sha256: hex(&current.pieces.finalize()),
            owner,
            grants,
            units,
            at: current.at,
            skip: current.skip,
        };
        let line = serde_json::to_vec(&record).map_err(|e| BundleError::rejected(e.to_string()))?;
        self.index.line(&line)?;
        self.index.boundary()?;
        self.content.boundary()?;
        self.count += 1;
        Ok(())
    }

    pub(in crate::bundle) fn close(self) -> Result<[ManifestFile; 2], BundleError> {
        Ok([self.index.close()?, self.content.close()?])
    }
}
