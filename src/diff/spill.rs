//! Sets rows aside by the hash of their key, in memory while they are few and on disk when they are many, so that a
//! table of any size is compared a partition at a time.
//!
//! Source: the partitioning phase of a GRACE hash join (Kitsuregawa et al., 1983).

use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

/// Bytes that one side may hold in memory before its partitions go to disk.
const MEMORY: usize = 16 << 20;

/// Rows of one side, partitioned.
pub(super) struct Spill {
    partitions: Vec<SpooledTempFile>,
    bytes: Vec<u64>,
}

impl Spill {
    pub(super) fn new(partitions: usize) -> Self {
        let memory = MEMORY / partitions;
        Self {
            partitions: (0..partitions)
                .map(|_| SpooledTempFile::new(memory))
                .collect(),
            bytes: vec![0; partitions],
        }
    }

    /// Sets one row aside.
    pub(super) fn push(&mut self, partition: usize, key: &[u8], hash: u64) -> std::io::Result<()> {
        let mut record = Vec::with_capacity(key.len() + 12);
        record.extend_from_slice(&hash.to_le_bytes());
        record.extend_from_slice(
            &u32::try_from(key.len())
                .map_err(std::io::Error::other)?
                .to_le_bytes(),
        );
        record.extend_from_slice(key);
        self.bytes[partition] += record.len() as u64;
        self.partitions[partition].write_all(&record)
    }

    /// Bytes set aside in a partition.
    pub(super) fn bytes(&self, partition: usize) -> u64 {
        self.bytes[partition]
    }

    /// Gives the room of a partition back.
    pub(super) fn clear(&mut self, partition: usize) {
        self.partitions[partition] = SpooledTempFile::new(0);
        self.bytes[partition] = 0;
    }

    /// Reads those rows of one partition that are wanted, by key and hash.
    pub(super) fn read(
        &mut self,
        partition: usize,
        wanted: impl Fn(&[u8], u64) -> bool,
    ) -> std::io::Result<Vec<(Box<[u8]>, u64)>> {
        let file = &mut self.partitions[partition];
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::new(file);
        let mut rows = Vec::new();
        let mut head = [0u8; 12];
        loop {
            match input.read_exact(&mut head) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(rows),
                Err(e) => return Err(e),
            }
            let (hash, length) = head.split_at(8);
            let hash = u64::from_le_bytes(hash.try_into().map_err(std::io::Error::other)?);
            let length = u32::from_le_bytes(length.try_into().map_err(std::io::Error::other)?);
            let mut key = vec![0; length as usize];
            input.read_exact(&mut key)?;
            if wanted(&key, hash) {
                rows.push((key.into_boxed_slice(), hash));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_memory_and_from_disk() {
        let mut spill = Spill::new(2);
        let long = vec![b'x'; 1 << 20];
        for i in 0..20u64 {
            spill.push((i % 2) as usize, &long, i).unwrap();
        }
        spill.push(1, b"", 99).unwrap();
        assert!(spill.bytes(0) > 10 << 20);
        let even = spill.read(0, |_, _| true).unwrap();
        assert_eq!(
            even.iter().map(|r| r.1).collect::<Vec<_>>(),
            [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
        );
        assert!(even.iter().all(|r| r.0.len() == 1 << 20));
        let few = spill.read(0, |_, hash| hash > 15).unwrap();
        assert_eq!(few.iter().map(|r| r.1).collect::<Vec<_>>(), [16, 18]);
        assert_eq!(spill.read(1, |_, _| true).unwrap().last().unwrap().1, 99);
        spill.clear(1);
        assert!(spill.read(1, |_, _| true).unwrap().is_empty());
    }
}
