//! Reads the content of large objects, piece by piece.

use std::path::PathBuf;

use super::LargeObject;
use crate::bundle::BundleError;
use crate::bundle::frames::LineReader;
use crate::bundle::names::LARGE_OBJECT_CONTENT;
use crate::catalog::PIECE;

/// Reads objects, cheapest in the order in which they lie in the file.
pub struct LargeObjectContent {
    dir: PathBuf,
    lines: Option<LineReader>,
    /// The frame in which it began to read, and lines read since.
    frame: u64,
    passed: u64,
    buffer: Vec<u8>,
}

impl LargeObjectContent {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            lines: None,
            frame: 0,
            passed: 0,
            buffer: Vec::new(),
        }
    }

    /// Goes to an object's first piece.
    pub fn begin(&mut self, object: &LargeObject) -> Result<(), BundleError> {
        let ahead = self.frame == object.at && self.passed <= object.skip;
        if self.lines.is_none() || !ahead {
            self.lines = Some(LineReader::open(
                &self.dir,
                LARGE_OBJECT_CONTENT,
                object.at,
            )?);
            (self.frame, self.passed) = (object.at, 0);
        }
        while self.passed < object.skip {
            self.line(object)?;
        }
        Ok(())
    }

    /// The piece of the object that starts at `start`; pieces are asked for in their order. The last is shorter than the others.
    pub fn piece(&mut self, object: &LargeObject, start: u64) -> Result<Vec<u8>, BundleError> {
        self.line(object)?;
        let head = format!("{}\t{start}\t\\\\x", object.loid);
        let data = self.buffer.strip_prefix(head.as_bytes()).and_then(unhex);
        let expected = object.size.saturating_sub(start).min(PIECE);
        let data = data.filter(|d| d.len() as u64 == expected);
        data.ok_or_else(|| {
            BundleError::inconsistent(
                LARGE_OBJECT_CONTENT,
                format!(
                    "large object {} is not where {} says, from byte {start} on",
                    object.loid,
                    crate::bundle::names::LARGE_OBJECTS
                ),
            )
        })
    }

    fn line(&mut self, object: &LargeObject) -> Result<(), BundleError> {
        self.buffer.clear();
        self.passed += 1;
        let found = match &mut self.lines {
            Some(lines) => lines.line(&mut self.buffer)?,
            None => false,
        };
        match found {
            true => Ok(()),
            false => Err(BundleError::inconsistent(
                LARGE_OBJECT_CONTENT,
                format!("it ends before large object {} does", object.loid),
            )),
        }
    }
}

/// Bytes that lower-case hex stands for; none where it is something else.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}
