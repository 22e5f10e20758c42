//! Lines in zstd frames, written and read.
//!
//! A frame ends only where the caller says there is a boundary, and only once it holds enough, so that small units share
//! one and a reader can begin at a boundary; the concatenated frames are one zstd file. Each carries zstd's checksum,
//! for those who read with `zstdcat`. Memory: at most about 1 MiB for each file, whatever the size of a unit, and its
//! longest row.
//!
//! Source: RFC 8878, 3 "Compression Algorithm".

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zstd::stream::raw::CParameter;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::BundleError;
use super::digest::{HashedFile, open_file};
use super::format::ManifestFile;

/// Uncompressed bytes from which on a frame ends at the next boundary.
pub(super) const FRAME_BYTES: u64 = 256 << 10;
/// Compression level; higher ones cost more than the disk they save.
const LEVEL: i32 = 3;
/// Window of 256 KiB, as most frames are not much longer: each file that is read keeps one.
const WINDOW_LOG: u32 = 18;
/// Bytes kept before they are compressed: a file that gets few rows keeps these, and no compressor.
const PENDING: usize = 256 << 10;

/// A file of lines, being written.
pub(super) struct LineWriter {
    file: HashedFile,
    /// The frame, once some of it is compressed; its output is moved to the file each time.
    frame: Option<Encoder<'static, Vec<u8>>>,
    /// The end of the frame, not yet compressed.
    pending: Vec<u8>,
    /// Uncompressed bytes of the frame.
    held: u64,
    frame_bytes: u64,
}

impl LineWriter {
    /// Creates `name` in the bundle at `dir`, with frames of about `frame_bytes`.
    pub(super) fn create(dir: &Path, name: &str, frame_bytes: u64) -> Result<Self, BundleError> {
        Ok(Self {
            file: HashedFile::create(dir, name)?,
            frame: None,
            pending: Vec::new(),
            held: 0,
            frame_bytes,
        })
    }

    /// Appends a line and its newline. Returns the offset of the frame, where the line begins a new one.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<u64>, BundleError> {
        let begun = (self.held == 0).then(|| self.file.bytes());
        self.pending.extend_from_slice(line);
        self.pending.push(b'\n');
        self.held += line.len() as u64 + 1;
        if self.pending.len() >= PENDING {
            self.compress()?;
        }
        Ok(begun)
    }

    /// Says that a reader may begin here: ends the frame if it holds enough.
    pub(super) fn boundary(&mut self) -> Result<(), BundleError> {
        if self.held < self.frame_bytes {
            return Ok(());
        }
        self.end_frame()
    }

    /// Ends the file, which is never empty: `zstdcat` wants at least one frame.
    pub(super) fn close(mut self) -> Result<ManifestFile, BundleError> {
        if self.held > 0 || self.file.bytes() == 0 {
            self.end_frame()?;
        }
        self.file.close()
    }

    fn end_frame(&mut self) -> Result<(), BundleError> {
        self.compress()?;
        self.held = 0;
        let Some(frame) = self.frame.take() else {
            return Ok(());
        };
        let rest = frame.finish().map_err(|e| failed(&self.file, e))?;
        self.file.write(&rest)
    }

    /// Moves what is pending through the compressor into the file.
    fn compress(&mut self) -> Result<(), BundleError> {
        let frame = match &mut self.frame {
            Some(frame) => frame,
            none => none.insert(new_frame().map_err(|e| failed(&self.file, e))?),
        };
        frame
            .write_all(&self.pending)
            .map_err(|e| failed(&self.file, e))?;
        // What an uncommonly long row took is given back.
        self.pending.clear();
        self.pending.shrink_to(PENDING);
        let out = frame.get_mut();
        self.file.write(out)?;
        out.clear();
        Ok(())
    }
}

fn new_frame() -> io::Result<Encoder<'static, Vec<u8>>> {
    let mut frame = Encoder::new(Vec::new(), LEVEL)?;
    frame.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    frame.include_checksum(true)?;
    Ok(frame)
}

fn failed(file: &HashedFile, cause: io::Error) -> BundleError {
    BundleError::io("compress", file.path(), cause)
}

/// A file of lines, being read forward.
pub(super) struct LineReader {
    name: String,
    path: PathBuf,
    lines: BufReader<Decoder<'static, BufReader<File>>>,
}

impl LineReader {
    /// Opens `name` of the bundle at `dir` at `offset`, where a frame begins.
    pub(super) fn open(dir: &Path, name: &str, offset: u64) -> Result<Self, BundleError> {
        let path = dir.join(name);
        let mut file = open_file(&path)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| BundleError::io("seek in", &path, e))?;
        let decoder = Decoder::new(file).map_err(|e| BundleError::unreadable(name, &path, e))?;
        Ok(Self {
            name: name.to_owned(),
            path,
            lines: BufReader::new(decoder),
        })
    }

    /// Appends the next line to `out`, without its newline; `false` at the end of the file.
    pub(super) fn line(&mut self, out: &mut Vec<u8>) -> Result<bool, BundleError> {
        let before = out.len();
        self.lines
            .read_until(b'\n', out)
            .map_err(|e| BundleError::unreadable(&self.name, &self.path, e))?;
        if out.len() == before {
            return Ok(false);
        }
        if out.pop() != Some(b'\n') {
            return Err(BundleError::Malformed {
                file: self.name.clone(),
                cause: "the last line has no end".to_owned(),
            });
        }
        Ok(true)
    }
}
