//! One blob: in the primary, in an older version of it, in the backup, or nowhere.

use super::judge::{Verdict, judge};
use super::sides::{Sides, count};
use super::{Checking, Level};
use crate::blobs::row::{BlobRow, CopySource, Proof, Seen, State};
use crate::blobs::{Blob, Expected, Fault, Object, Store, StoreError, Versioning};

/// Good copies apart from the primary's present object, and what kept us from looking everywhere.
#[derive(Default)]
struct Copies {
    source: Option<CopySource>,
    /// Why it cannot be said that there is none.
    doubt: Option<String>,
    /// Copies that are other files.
    wrong: Option<String>,
}

/// Checks one blob; `seen` is what a listing or an inventory shows of it.
pub(super) async fn check(
    checking: &Checking<'_>,
    sides: &Sides,
    blob: Blob,
    seen: Option<(Object, Seen)>,
) -> Result<BlobRow, StoreError> {
    let expected = blob.expected.clone();
    let mut row = BlobRow::of(blob);
    let path = row.path().to_owned();
    let (object, by) = match seen {
        Some((object, by)) => (Ok(Some(object)), by),
        None => (head(sides, &path, checking.level).await, Seen::Head),
    };
    let object = match object {
        Ok(object) => object,
        Err(e) if e.is_about_object() => {
            row.reason = Some(refused(sides, &e));
            row.suspicious = true;
            return Ok(row);
        }
        Err(e) => return Err(e),
    };
    let Some(object) = object else {
        let copies = copies(checking, sides, &row, &expected).await?;
        absent(&mut row, copies);
        return Ok(row);
    };
    row.seen = Some(by);
    row.size = Some(object.size);
    row.expires = object.expires.map(|t| t.to_string());
    let judged = judge(&sides.primary, &path, &object, &expected, checking.level).await;
    match judged.or_else(unreadable)? {
        Verdict::Good(proof) => {
            row.proof = Some(proof);
            row.state = State::Present;
            if object.expires.is_some_and(|t| t < checking.expiring_before) {
                row.state = State::PresentExpiring;
            }
        }
        Verdict::Unknown { reason, suspicious } => {
            row.reason = Some(reason);
            row.suspicious = suspicious;
        }
        Verdict::Bad(reason) => {
            row.state = State::Corrupt;
            row.proof = Some(Proof::Bytes);
            row.source = copies(checking, sides, &row, &expected).await?.source;
            row.reason = Some(reason);
        }
    }
    Ok(row)
}

/// Checks a blob anew that was checked before.
pub(in crate::blobs) async fn check_again(
    checking: &Checking<'_>,
    sides: &Sides,
    row: BlobRow,
) -> Result<BlobRow, StoreError> {
    let blob = Blob {
        expected: Expected::of(&row),
        path: row.path().to_owned(),
        store: row.store,
        key: row.key,
        derived: row.derived,
        owners: row.owners,
    };
    check(checking, sides, blob, None).await
}

pub(super) async fn head(
    sides: &Sides,
    path: &str,
    level: Level,
) -> Result<Option<Object>, StoreError> {
    count(&sides.asked.heads, 1);
    sides
        .primary
        .head(path, None, level == Level::Checksum)
        .await
}

/// Of an object that is there and cannot be read, nothing tells.
fn unreadable(e: StoreError) -> Result<Verdict, StoreError> {
    match e.is_about_object() {
        true => Ok(Verdict::Unknown {
            reason: e.to_string(),
            suspicious: false,
        }),
        false => Err(e),
    }
}

fn refused(sides: &Sides, e: &StoreError) -> String {
    match &e.fault {
        Fault::Forbidden(_) if sides.primary.is_bucket() && !sides.primary_lists => format!(
            "{e}: without the right to list, a missing object looks like this too; grant s3:ListBucket"
        ),
        _ => e.to_string(),
    }
}

fn absent(row: &mut BlobRow, copies: Copies) {
    row.source = copies.source;
    row.state = match (&row.source, &copies.doubt) {
        (Some(_), _) => State::Recoverable,
        (None, Some(_)) => State::Unverifiable,
        (None, None) => State::Lost,
    };
    if row.source.is_none() {
        row.suspicious = copies.doubt.is_some();
        row.reason = copies.doubt.or(copies.wrong);
    }
    row.proof = row.source.as_ref().and_then(|s| s.proof);
}

/// Looks for a good copy: older versions first, which need no transport, then the backup.
async fn copies(
    checking: &Checking<'_>,
    sides: &Sides,
    row: &BlobRow,
    expected: &crate::blobs::Expected,
) -> Result<Copies, StoreError> {
    let mut copies = Copies::default();
    if sides.versioning != Versioning::Never {
        let history = match sides.primary.history(row.path()).await {
            Ok(history) => history,
            Err(e) if matches!(e.fault, Fault::Unsupported(_)) => Default::default(),
            Err(e)
                if matches!(e.fault, Fault::Refused(_))
                    && sides.versioning == Versioning::Unknown =>
            {
                Default::default()
            }
            Err(e) if matches!(e.fault, Fault::Forbidden(_)) => {
                copies.doubt = Some(format!("{e}; grant s3:ListBucketVersions"));
                Default::default()
            }
            Err(e) => return Err(e),
        };
        for (i, version) in history.versions.iter().enumerate() {
            let judged = judge(
                &sides.primary,
                row.path(),
                version,
                expected,
                checking.level,
            );
            let judged = judged.await;
            let marker = history.marker.clone().filter(|_| i == 0);
            if copies.take("primary", version, marker, judged)? {
                return Ok(copies);
            }
        }
    }
    let Some(backup) = &sides.backup else {
        return Ok(copies);
    };
    let path = backup.side().layout.path(&row.key);
    match backup
        .head(&path, None, checking.level == Level::Checksum)
        .await
    {
        Ok(None) => {}
        Ok(Some(object)) => {
            let judged = judge(backup, &path, &object, expected, checking.level).await;
            // Whatever lies there now is what will be copied.
            let object = Object {
                version: None,
                ..object
            };
            copies.take("backup", &object, None, judged)?;
        }
        Err(e) if e.is_about_object() => copies.doubt = Some(doubt(backup, &e)),
        Err(e) => return Err(e),
    }
    Ok(copies)
}

fn doubt(backup: &Store, e: &StoreError) -> String {
    format!(
        "whether the backup {} has it cannot be said: {e}",
        backup.place()
    )
}

impl Copies {
    /// Takes a copy if it is good, or if nothing speaks against it.
    fn take(
        &mut self,
        side: &str,
        object: &Object,
        marker: Option<String>,
        judged: Result<Verdict, StoreError>,
    ) -> Result<bool, StoreError> {
        let proof = match judged.or_else(unreadable)? {
            Verdict::Good(proof) => Some(proof),
            Verdict::Unknown {
                suspicious: false, ..
            } => None,
            Verdict::Unknown { reason, .. } | Verdict::Bad(reason) => {
                self.wrong
                    .get_or_insert(format!("the copy in the {side} is another file: {reason}"));
                return Ok(false);
            }
        };
        self.source = Some(CopySource {
            side: side.to_owned(),
            version: object.version.clone(),
            marker,
            size: object.size,
            proof,
            archived: object.archived.clone(),
        });
        Ok(true)
    }
}
