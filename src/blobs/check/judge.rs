//! Whether an object is the one that was recorded. What costs least is asked first; nothing but bytes that were hashed condemns.

use super::Level;
use crate::attachments::Checksum;
use crate::blobs::row::Proof;
use crate::blobs::wanted::Expected;
use crate::blobs::{Object, Side, Store, StoreError};

/// What an object is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::blobs) enum Verdict {
    /// The right one.
    Good(Proof),
    /// Another one: its bytes were hashed.
    Bad(String),
    /// Nothing tells.
    Unknown {
        reason: String,
        /// It is not as recorded in some respect.
        suspicious: bool,
    },
}

/// How a size compares.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Size {
    Same,
    /// The size that a file of the recorded one has once it was encrypted on the way in.
    Encrypted,
    NotRecorded,
    Differs(String),
}

fn size(side: &Side, expected: &Expected, found: u64) -> Size {
    let Some(recorded) = expected.size else {
        return Size::NotRecorded;
    };
    if recorded.abs_diff(found) <= expected.tolerance {
        return Size::Same;
    }
    match side.stored_size.as_ref().and_then(|f| f.of(recorded)) {
        Some(stored) if stored == found => Size::Encrypted,
        _ => Size::Differs(format!("it has {found} bytes, {recorded} are recorded")),
    }
}

fn unknown(reason: impl Into<String>, suspicious: bool) -> Verdict {
    Verdict::Unknown {
        reason: reason.into(),
        suspicious,
    }
}

/// Judges the object at `path`.
pub(in crate::blobs) async fn judge(
    store: &Store,
    path: &str,
    object: &Object,
    expected: &Expected,
    level: Level,
) -> Result<Verdict, StoreError> {
    if level == Level::Exists {
        return Ok(Verdict::Good(Proof::Exists));
    }
    if let Some(what) = expected.disagreement {
        let reason = format!("the rows that point at it disagree about its {what}");
        return Ok(unknown(reason, true));
    }
    let size = size(store.side(), expected, object.size);
    match (level, &size) {
        (Level::Size, Size::Same | Size::Encrypted) => Ok(Verdict::Good(Proof::Size)),
        (Level::Size, Size::NotRecorded) => Ok(unknown("no size is recorded", false)),
        _ => content(store, path, object, expected, &size).await,
    }
}

async fn content(
    store: &Store,
    path: &str,
    object: &Object,
    expected: &Expected,
    size: &Size,
) -> Result<Verdict, StoreError> {
    let differs = match size {
        Size::Differs(how) => Some(how.as_str()),
        _ => None,
    };
    let with_size = |reason: &str| match differs {
        Some(how) => unknown(format!("{how}; {reason}"), true),
        None => unknown(reason, false),
    };
    let recorded = match &expected.checksum {
        None => return Ok(with_size("no checksum is recorded")),
        Some(Err(why)) => {
            return Ok(with_size(&format!(
                "what is recorded is no checksum: {why}"
            )));
        }
        Some(Ok(checksum)) => checksum,
    };
    if let Some(proof) = stored(store, path, object, recorded).await? {
        return Ok(Verdict::Good(proof));
    }
    if *size == Size::Encrypted {
        return Ok(unknown(
            "it is encrypted on its way in, so that its bytes tell nothing",
            false,
        ));
    }
    if let Some(class) = &object.archived {
        return Ok(with_size(&format!(
            "it is archived ({class}) and cannot be read"
        )));
    }
    let version = object.version.as_deref();
    let (found, bytes) = store.hash(path, version, recorded.algorithm).await?;
    if found == *recorded {
        return Ok(Verdict::Good(Proof::Bytes));
    }
    let side = store.side();
    if side.rewrites || side.stored_size.is_some() {
        return Ok(with_size(
            "its bytes are not those recorded, as may be where they are rewritten on their way in",
        ));
    }
    let (algorithm, found, recorded) = (found.algorithm, found.hex(), recorded.hex());
    let differs = differs.map_or_else(String::new, |how| format!("{how}; "));
    Ok(Verdict::Bad(format!(
        "{differs}its {bytes} bytes were read, and their {algorithm} is {found}, not {recorded}"
    )))
}

/// What the store itself says of the content; only equality says something.
async fn stored(
    store: &Store,
    path: &str,
    object: &Object,
    recorded: &Checksum,
) -> Result<Option<Proof>, StoreError> {
    if object.etag_md5().as_ref() == Some(recorded) {
        return Ok(Some(Proof::Etag));
    }
    if object.checksums.contains(recorded) {
        return Ok(Some(Proof::StoredChecksum));
    }
    // A listing does not say which checksums there are.
    if !object.listed || !store.is_bucket() {
        return Ok(None);
    }
    let asked = store.head(path, object.version.as_deref(), true).await?;
    let kept = asked.is_some_and(|o| o.checksums.contains(recorded));
    Ok(kept.then_some(Proof::StoredChecksum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Location;

    #[test]
    fn sizes() {
        let mut side = Side::at(Location::Directory("/".into()));
        side.stored_size = "n + 80".parse().ok();
        let mut expected = Expected {
            size: Some(1_000),
            ..Expected::default()
        };
        assert_eq!(size(&side, &expected, 1_000), Size::Same);
        assert_eq!(size(&side, &expected, 1_080), Size::Encrypted);
        assert!(matches!(size(&side, &expected, 1_005), Size::Differs(_)));
        expected.tolerance = 5;
        assert_eq!(size(&side, &expected, 1_005), Size::Same);
        assert!(matches!(size(&side, &expected, 1_006), Size::Differs(_)));
        expected.size = None;
        assert_eq!(size(&side, &expected, 1_005), Size::NotRecorded);
    }
}
