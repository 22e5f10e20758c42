//! Large files: uploads in parts, which nobody sees before they are complete, and which are given up where they cannot be.

use crate::blobs::row::BlobRow;
use crate::blobs::{Condition, Description, Receiving, Sides, Written};

use super::one::{From, NotWritten};
use super::{Copying, MB};

/// S3 takes no more. Source: Amazon S3 User Guide, "Multipart upload limits".
const MOST_PARTS: u64 = 10_000;
/// Parts of copies that the store makes by itself.
const COPIED_PART: u64 = 512 * MB;

/// Bytes of a part of a file of `size`, of about `wanted`.
pub(super) fn part_size(size: u64, wanted: u64) -> u64 {
    wanted.max(1).max(size.div_ceil(MOST_PARTS))
}

impl Copying<'_> {
    /// An upload, which `fill` fills: completed, or given up.
    pub(super) async fn upload(
        &self,
        sides: &Sides,
        row: &BlobRow,
        description: &Description,
        condition: &Condition,
        fill: impl AsyncFnOnce(&mut Receiving) -> Result<(), NotWritten>,
    ) -> Result<Written, NotWritten> {
        let path = row.path();
        let mut receiving = sides.primary.receive(path, description).await?;
        let upload = receiving.upload().map(str::to_owned);
        if let (Some(upload), Ok(mut journal)) = (&upload, self.journal.lock()) {
            journal
                .upload(row, upload)
                .map_err(|e| NotWritten::Left(format!("cannot write the journal: {e}")))?;
        }
        let done = match fill(&mut receiving).await {
            Ok(()) => sides
                .primary
                .settle(path, receiving, condition)
                .await
                .map_err(NotWritten::from),
            Err(e) => Err(e),
        };
        if let (Err(_), Some(upload)) = (&done, &upload) {
            // What cannot be given up now is in the journal, and given up by the next run.
            let _ = sides.primary.drop_upload(path, upload).await;
        }
        done
    }

    /// A copy that the store makes by itself, of a file too large for one go.
    pub(super) async fn copy_in_parts(
        &self,
        sides: &Sides,
        row: &BlobRow,
        from: &From<'_>,
        source: &str,
        condition: &Condition,
    ) -> Result<Written, NotWritten> {
        let description = from.store.describe(&from.path, from.version).await?;
        let etag = from
            .store
            .head(&from.path, from.version, false)
            .await?
            .and_then(|o| o.etag);
        let step = part_size(from.size, self.options.copied_whole.min(COPIED_PART));
        self.upload(sides, row, &description, condition, async |receiving| {
            let mut at = 0;
            while at < from.size {
                let to = (at + step).min(from.size);
                let primary = &sides.primary;
                primary
                    .add_copied(row.path(), receiving, source, (at, to), etag.as_deref())
                    .await?;
                at = to;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_too_many_parts() {
        assert_eq!(part_size(100 * MB, 8 * MB), 8 * MB);
        for size in [1, 80_000 * MB, 80_000 * MB + 1, 5 << 40] {
            assert!(
                size.div_ceil(part_size(size, 8 * MB)) <= MOST_PARTS,
                "{size}"
            );
        }
    }
}
