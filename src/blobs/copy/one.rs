//! One file: written by its means, then looked at again.

use crate::blobs::check::{Verdict, check_again, judge};
use crate::blobs::row::{BlobRow, CopySource, Proof, State};
use crate::blobs::wanted::Expected;
use crate::blobs::{
    CheckError, Condition, Fault, Level, Object, Sides, Store, StoreError, Written,
};

use super::{Copied, Copying, Means, Outcome, failed};

/// Where a copy comes from.
pub(super) struct From<'a> {
    pub(super) store: &'a Store,
    pub(super) path: String,
    pub(super) version: Option<&'a str>,
    pub(super) size: u64,
}

/// Why a file was not written.
pub(super) enum NotWritten {
    /// What is there is not what was there.
    Changed,
    /// This file cannot be brought back.
    Left(String),
    /// The store does not answer, or not to us.
    Store(StoreError),
}

impl std::convert::From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        match error.fault {
            Fault::Replaced => Self::Changed,
            _ if error.is_about_object() => Self::Left(error.to_string()),
            _ => Self::Store(error),
        }
    }
}

impl Copying<'_> {
    /// Brings one file back.
    pub(super) async fn one(&self, row: BlobRow) -> Result<Copied, CheckError> {
        let sides = self.sides(&row.store)?;
        let store = row.store.clone();
        let written = self.write(sides, &row).await;
        let ended = match written {
            Ok((means, written)) => self.look(sides, row, means, written).await,
            Err(NotWritten::Changed) => self.changed(sides, row).await,
            Err(NotWritten::Left(reason)) => Ok(left(row, reason)),
            Err(NotWritten::Store(e)) => Err(e),
        };
        ended.map_err(|e| failed(&store, e))
    }

    async fn write(&self, sides: &Sides, row: &BlobRow) -> Result<(Means, Written), NotWritten> {
        let means = Means::of(row, sides).map_err(NotWritten::Left)?;
        let Some(source) = &row.source else {
            return Err(NotWritten::Left("no good copy of it is known".to_owned()));
        };
        if means == Means::Undelete {
            undelete(sides, row, source).await?;
            return Ok((means, Written::default()));
        }
        let condition = self.condition(sides, row).await?;
        let from = origin(sides, row, source);
        if means == Means::Streamed {
            let written = self.stream(sides, row, &from, &condition).await?;
            return Ok((means, written));
        }
        let otherwise = match self.copy(sides, row, &from, &condition).await {
            Ok(written) => return Ok((means, written)),
            Err(e) => e,
        };
        // Each side may have a user of its own: then the bytes go through this machine.
        let refused = match &otherwise {
            NotWritten::Store(e) => cannot(e),
            NotWritten::Left(_) => true,
            NotWritten::Changed => false,
        };
        match refused && means == Means::ServerSide {
            true => {
                let written = self.stream(sides, row, &from, &condition).await?;
                Ok((Means::Streamed, written))
            }
            false => Err(otherwise),
        }
    }

    /// Under which condition the primary may be written to.
    async fn condition(&self, sides: &Sides, row: &BlobRow) -> Result<Condition, NotWritten> {
        if row.state != State::Corrupt {
            return Ok(Condition::Absent);
        }
        let path = row.path();
        let object = sides
            .primary
            .head(path, None, true)
            .await?
            .ok_or(NotWritten::Changed)?;
        let expected = Expected::of(row);
        match judge(&sides.primary, path, &object, &expected, Level::Checksum).await? {
            Verdict::Bad(_) => Ok(Condition::Still(object.etag)),
            _ => Err(NotWritten::Changed),
        }
    }

    /// Lets the store copy, in parts where the file is too large for one go.
    async fn copy(
        &self,
        sides: &Sides,
        row: &BlobRow,
        from: &From<'_>,
        condition: &Condition,
    ) -> Result<Written, NotWritten> {
        let source = from.store.copy_source(&from.path, from.version)?;
        if from.size > self.options.copied_whole {
            return self
                .copy_in_parts(sides, row, from, &source, condition)
                .await;
        }
        let copied = sides
            .primary
            .copy(&source, row.path(), from.size, condition);
        Ok(copied.await?)
    }

    /// Looks at what was written before it counts.
    async fn look(
        &self,
        sides: &Sides,
        mut row: BlobRow,
        means: Means,
        written: Written,
    ) -> Result<Copied, StoreError> {
        let path = row.path().to_owned();
        let Some(object) = sides.primary.head(&path, None, true).await? else {
            return Ok(left(
                row,
                "it was written, and the store says that it is not there".to_owned(),
            ));
        };
        let size = row.source.as_ref().map_or(object.size, |s| s.size);
        // Hashed on the way here, and the store has what was sent.
        let sent = written.as_sent && object.etag == written.etag && object.size == size;
        let proof = match sent {
            true => Proof::Bytes,
            false => match proven(sides, &row, &object, size).await? {
                Ok(proof) => proof,
                Err((corrupt, reason)) => {
                    if corrupt {
                        row.state = State::Corrupt;
                        row.size = Some(object.size);
                    }
                    return Ok(left(row, reason));
                }
            },
        };
        row.state = State::Restored;
        row.size = Some(object.size);
        row.proof = Some(proof);
        row.source = None;
        Ok(Copied {
            row,
            outcome: Outcome::Back(means),
        })
    }

    /// Something else is there than was found: looks anew, and leaves it alone.
    async fn changed(&self, sides: &Sides, row: BlobRow) -> Result<Copied, StoreError> {
        let row = check_again(&self.checking, sides, row).await?;
        let outcome = match row.state {
            State::Recoverable | State::Lost => Outcome::Left,
            _ => Outcome::Appeared,
        };
        Ok(Copied { row, outcome })
    }
}

/// What proves that the object that was written is the right one, of `size` bytes; or whether it is corrupt, and why it does not count.
async fn proven(
    sides: &Sides,
    row: &BlobRow,
    object: &Object,
    size: u64,
) -> Result<Result<Proof, (bool, String)>, StoreError> {
    let expected = Expected::of(row);
    let judged = judge(
        &sides.primary,
        row.path(),
        object,
        &expected,
        Level::Checksum,
    )
    .await?;
    Ok(match judged {
        Verdict::Good(proof) => Ok(proof),
        Verdict::Unknown { .. } if object.size == size => Ok(Proof::Size),
        Verdict::Unknown { reason, .. } => Err((
            false,
            format!(
                "after it was written it has {} bytes instead of {size}: {reason}",
                object.size
            ),
        )),
        Verdict::Bad(reason) => Err((
            true,
            format!("it was written, and then read back: {reason}"),
        )),
    })
}

/// Whether another way may do what this one cannot.
fn cannot(e: &StoreError) -> bool {
    matches!(
        e.fault,
        Fault::Forbidden(_) | Fault::Unsupported(_) | Fault::Refused(_)
    )
}

/// Where the good copy of a row is.
fn origin<'a>(sides: &'a Sides, row: &BlobRow, source: &'a CopySource) -> From<'a> {
    let version = source.version.as_deref();
    match &sides.backup {
        Some(backup) if source.side == "backup" => From {
            store: backup,
            path: backup.side().layout.path(&row.key),
            version,
            size: source.size,
        },
        _ => From {
            store: &sides.primary,
            path: row.path().to_owned(),
            version,
            size: source.size,
        },
    }
}

/// Takes the delete marker off, if it still is what hides the file.
async fn undelete(sides: &Sides, row: &BlobRow, source: &CopySource) -> Result<(), NotWritten> {
    let history = sides.primary.history(row.path()).await?;
    match &history.marker {
        Some(marker) if Some(marker) == source.marker.as_ref() => {
            Ok(sides.primary.undelete(row.path(), marker).await?)
        }
        _ => Err(NotWritten::Changed),
    }
}

pub(super) fn left(mut row: BlobRow, reason: String) -> Copied {
    row.reason = Some(reason);
    Copied {
        row,
        outcome: Outcome::Left,
    }
}
