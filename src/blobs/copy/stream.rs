//! From one store to another through this machine, hashed on the way: what is not what it should be is never to be seen.

use crate::attachments::{Checksum, Hasher};
use crate::blobs::row::BlobRow;
use crate::blobs::wanted::Expected;
use crate::blobs::{Condition, Description, Fault, Sides, StoreError, Written};

use super::one::{From, NotWritten};
use super::parts::part_size;
use super::{Copying, MB, MEMORY};

impl Copying<'_> {
    pub(super) async fn stream(
        &self,
        sides: &Sides,
        row: &BlobRow,
        from: &From<'_>,
        condition: &Condition,
    ) -> Result<Written, NotWritten> {
        let recorded = recorded(row, from);
        let written = match from.size > self.options.streamed_whole {
            true => {
                self.in_parts(sides, row, from, recorded.as_ref(), condition)
                    .await?
            }
            false => {
                self.whole(sides, row, from, recorded.as_ref(), condition)
                    .await?
            }
        };
        // Where nothing is recorded, nothing was compared on the way.
        Ok(Written {
            as_sent: written.as_sent && recorded.is_some(),
            ..written
        })
    }

    /// Waits until so many bytes may be in memory.
    async fn room(&self, bytes: u64) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let megabytes = bytes.div_ceil(MB).clamp(1, MEMORY as u64);
        self.memory
            .acquire_many(u32::try_from(megabytes).unwrap_or(1))
            .await
            .ok()
    }

    async fn whole(
        &self,
        sides: &Sides,
        row: &BlobRow,
        from: &From<'_>,
        recorded: Option<&Checksum>,
        condition: &Condition,
    ) -> Result<Written, NotWritten> {
        let _room = self.room(from.size).await;
        let fetched = from
            .store
            .fetch(&from.path, from.version, (0, None), None)
            .await;
        let fetched = fetched.map_err(reading)?;
        let mut hashed = recorded.map(|r| Hasher::new(r.algorithm));
        if let Some(hasher) = &mut hashed {
            hasher.update(&fetched.bytes);
        }
        right(recorded, hashed, from, fetched.bytes.len() as u64)?;
        let description = from
            .store
            .with_tags(fetched.description, &from.path, from.version)
            .await?;
        let description = typed(description, row);
        let put = sides
            .primary
            .put(row.path(), fetched.bytes, &description, condition);
        Ok(put.await?)
    }

    async fn in_parts(
        &self,
        sides: &Sides,
        row: &BlobRow,
        from: &From<'_>,
        recorded: Option<&Checksum>,
        condition: &Condition,
    ) -> Result<Written, NotWritten> {
        let description = from.store.describe(&from.path, from.version).await?;
        let step = part_size(from.size, self.options.streamed_whole);
        self.upload(
            sides,
            row,
            &typed(description, row),
            condition,
            async |receiving| {
                let mut hashed = recorded.map(|r| Hasher::new(r.algorithm));
                let (mut at, mut etag) = (0, None);
                while at < from.size {
                    let to = (at + step).min(from.size);
                    let _room = self.room(to - at).await;
                    let window = (at, Some(to));
                    let piece = from
                        .store
                        .fetch(&from.path, from.version, window, etag.as_deref())
                        .await;
                    let piece = piece.map_err(reading)?;
                    if piece.bytes.len() as u64 != to - at {
                        return Err(NotWritten::Left(
                            "its copy changed while it was read; check again".to_owned(),
                        ));
                    }
                    if let Some(hasher) = &mut hashed {
                        hasher.update(&piece.bytes);
                    }
                    etag = piece.etag.or(etag);
                    sides
                        .primary
                        .add(row.path(), receiving, piece.bytes)
                        .await?;
                    at = to;
                }
                right(recorded, hashed, from, at)
            },
        )
        .await
    }
}

/// What the bytes must hash to; none where nothing is recorded, or where they are rewritten on their way in.
fn recorded(row: &BlobRow, from: &From<'_>) -> Option<Checksum> {
    let side = from.store.side();
    let rewritten = side.rewrites || side.stored_size.is_some();
    Expected::of(row).checksum?.ok().filter(|_| !rewritten)
}

/// Whether what was read is what was recorded.
fn right(
    recorded: Option<&Checksum>,
    hashed: Option<Hasher>,
    from: &From<'_>,
    bytes: u64,
) -> Result<(), NotWritten> {
    if bytes != from.size {
        return Err(NotWritten::Left(format!(
            "its copy in {} has {bytes} bytes by now, {} were found; check again",
            from.store.place(),
            from.size
        )));
    }
    let (Some(recorded), Some(hasher)) = (recorded, hashed) else {
        return Ok(());
    };
    let found = hasher.finish();
    match found == *recorded {
        true => Ok(()),
        false => Err(NotWritten::Left(format!(
            "its copy in {} was read, and is another file: its {} is {}, not {}; nothing was written",
            from.store.place(),
            found.algorithm,
            found.hex(),
            recorded.hex()
        ))),
    }
}

/// A file has no type: the application's word for it stands in.
fn typed(mut description: Description, row: &BlobRow) -> Description {
    if description.content_type.is_none() {
        description.content_type = row
            .owners
            .iter()
            .find_map(|o| o.record.content_type.clone());
    }
    description
}

/// A copy that became another one while it was read says nothing about the primary.
fn reading(e: StoreError) -> NotWritten {
    match e.fault {
        Fault::Replaced => NotWritten::Left(format!("{e}; check again")),
        _ => e.into(),
    }
}
