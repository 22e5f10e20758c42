//! Checks blobs against their stores, in bounded memory and many at once; results come in the order of the blobs.

mod blob;
mod judge;
mod listing;
mod sides;
mod tally;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::inventory::Listed;
use super::row::{BlobRow, Seen};
use super::{Blob, CheckError, Object, StoreError};
use sides::count;

pub(super) use blob::check_again;
pub(super) use judge::{Verdict, judge};
pub use sides::{Method, Sides};
pub use tally::{Counts, Tally};

/// Neighbouring blobs that are looked for together.
const STRETCH: usize = 1_000;
/// Stretches at work at the same time.
const AT_ONCE: usize = 4;
/// Listed blobs of a stretch whose headers are looked at for an expiry.
const SAMPLE: usize = 8;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Is it there?
    Exists,
    /// Has it the recorded size? Where it has not, its bytes are read.
    Size,
    /// Is it the recorded content?
    Checksum,
}

/// How to look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Listings where many neighbours are wanted.
    Auto,
    /// Listings.
    List,
    /// One by one.
    Head,
}

/// A check.
pub struct Checking<'a> {
    /// The stores that blobs name.
    pub stores: &'a BTreeMap<String, Sides>,
    /// How closely to look.
    pub level: Level,
    /// How to look for them.
    pub strategy: Strategy,
    /// Blobs at work at the same time.
    pub concurrency: usize,
    /// What vanishes before this moment is expiring.
    pub expiring_before: Timestamp,
}

/// A blob and what an inventory says of it.
type Inventoried = (Blob, Option<Object>);

impl Checking<'_> {
    /// Checks blobs, which are sorted, and hands on what is found, in the same order.
    pub async fn run(
        &self,
        blobs: impl Iterator<Item = Result<Blob, CheckError>>,
        inventory: Option<Listed>,
        mut take: impl FnMut(Vec<BlobRow>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let stretches = Stretches {
            blobs: blobs.peekable(),
            inventory,
        };
        let mut checked = stream::iter(stretches)
            .map(|stretch| async { self.stretch(stretch?).await })
            .buffered(AT_ONCE);
        while let Some(rows) = checked.try_next().await? {
            take(rows)?;
        }
        Ok(())
    }

    async fn stretch(&self, blobs: Vec<Inventoried>) -> Result<Vec<BlobRow>, CheckError> {
        let name = blobs
            .first()
            .map(|(b, _)| b.store.clone())
            .unwrap_or_default();
        let Some(sides) = self.stores.get(&name) else {
            return Err(CheckError::NoStore {
                unknown: vec![(name, blobs.len() as u64)],
            });
        };
        let failed = |cause: StoreError| CheckError::Store {
            store: name.clone(),
            cause: Box::new(cause),
        };
        let asked = blobs.iter().filter(|(_, known)| known.is_none());
        let paths: Vec<&str> = asked.map(|(b, _)| b.path.as_str()).collect();
        let mut found = listing::find(sides, &paths, self.strategy)
            .await
            .map_err(failed)?;
        let mut known = Vec::with_capacity(blobs.len());
        for (blob, inventoried) in blobs {
            let seen = match inventoried {
                Some(object) => {
                    count(&sides.asked.inventoried, 1);
                    Some((object, Seen::Inventory))
                }
                None => found.remove(&blob.path).map(|o| (o, Seen::Listing)),
            };
            known.push((blob, seen));
        }
        self.expiring(sides, &mut known).await.map_err(failed)?;
        stream::iter(known)
            .map(|(blob, seen)| blob::check(self, sides, blob, seen))
            .buffered(self.concurrency)
            .try_collect()
            .await
            .map_err(failed)
    }

    /// A listing does not say what expires: where some of a sample do, all of the stretch are asked for.
    async fn expiring(
        &self,
        sides: &Sides,
        known: &mut [(Blob, Option<(Object, Seen)>)],
    ) -> Result<(), StoreError> {
        let listed: Vec<usize> = (0..known.len())
            .filter(|i| matches!(known[*i].1, Some((_, Seen::Listing))))
            .collect();
        let step = listed.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<usize> = listed.iter().copied().step_by(step).collect();
        if self.ask(sides, known, &sample).await? {
            let sampled = |i: &usize| sample.contains(i);
            let rest: Vec<usize> = listed.into_iter().filter(|i| !sampled(i)).collect();
            self.ask(sides, known, &rest).await?;
        }
        Ok(())
    }

    /// Asks for some of them by name. Whether any expires.
    async fn ask(
        &self,
        sides: &Sides,
        known: &mut [(Blob, Option<(Object, Seen)>)],
        which: &[usize],
    ) -> Result<bool, StoreError> {
        let paths: Vec<(usize, String)> = which
            .iter()
            .map(|i| (*i, known[*i].0.path.clone()))
            .collect();
        let asked: Vec<(usize, Option<Object>)> = stream::iter(paths)
            .map(|(i, path)| async move {
                match blob::head(sides, &path, self.level).await {
                    // It is there, says the listing; nothing else is known, then.
                    Err(e) if e.is_about_object() => Ok((i, None)),
                    other => other.map(|object| (i, object)),
                }
            })
            .buffered(self.concurrency)
            .try_collect()
            .await?;
        let mut any = false;
        for (i, object) in asked {
            if let Some(object) = object {
                any |= object.expires.is_some();
                known[i].1 = Some((object, Seen::Head));
            }
        }
        Ok(any)
    }
}

/// Cuts sorted blobs into neighbours of one store, each with what the inventory says.
struct Stretches<I: Iterator> {
    blobs: std::iter::Peekable<I>,
    inventory: Option<Listed>,
}

impl<I: Iterator<Item = Result<Blob, CheckError>>> Iterator for Stretches<I> {
    type Item = Result<Vec<Inventoried>, CheckError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stretch: Vec<Inventoried> = Vec::new();
        loop {
            let store = stretch.first().map(|(b, _)| b.store.clone());
            let more = |next: &I::Item| match (next, &store) {
                (Ok(blob), Some(store)) => blob.store == *store,
                _ => true,
            };
            if stretch.len() == STRETCH {
                break;
            }
            let blob = match self.blobs.next_if(more) {
                None => break,
                Some(Err(e)) => return Some(Err(e)),
                Some(Ok(blob)) => blob,
            };
            let known = match &mut self.inventory {
                None => Ok(None),
                Some(listed) => listed.find(&blob.store, &blob.path),
            };
            match known {
                Ok(object) => stretch.push((blob, object)),
                Err(e) => return Some(Err(e)),
            }
        }
        (!stretch.is_empty()).then_some(Ok(stretch))
    }
}
