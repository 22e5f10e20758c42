//! Finds neighbouring paths in a store's listing, joined in byte order; gives up where asking for each costs less.
//!
//! A listing is a short cut and never a proof of absence: what it does not show is asked for by name. So an order that is not the
//! expected one, or an object that appears meanwhile, costs requests and no truth.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::Strategy;
use super::sides::{Sides, count};
use crate::blobs::{Object, StoreError};

/// Wanted paths on a page of 1,000 below which asking for each is cheaper. A page costs as much as 12.5 HEADs at AWS, and as much time
/// as 29 to 77 of them.
const DENSE: u64 = 30;

/// What listings show of paths that are wanted.
pub(super) type Found = HashMap<String, Object>;

/// Looks for `paths`, which are sorted.
pub(super) async fn find(
    sides: &Sides,
    paths: &[&str],
    strategy: Strategy,
) -> Result<Found, StoreError> {
    let sparse = strategy == Strategy::Auto && (paths.len() as u64) < DENSE;
    let asked = &sides.asked;
    let mut found = Found::new();
    if strategy == Strategy::Head || sparse || !sides.primary_lists {
        count(&asked.ranges_headed, 1);
        return Ok(found);
    }
    let mut walk = Walk {
        sides,
        budgeted: strategy == Strategy::Auto,
        pages: 0,
        found: &mut found,
    };
    let whole = match asked.unsorted.load(Ordering::Relaxed) {
        true => walk.unsorted(paths).await?,
        false => match walk.in_order(paths).await? {
            Some(whole) => whole,
            None => {
                asked.unsorted.store(true, Ordering::Relaxed);
                walk.unsorted(paths).await?
            }
        },
    };
    let counter = if whole {
        &asked.ranges_listed
    } else {
        &asked.ranges_headed
    };
    count(counter, 1);
    count(&asked.listed, found.len() as u64);
    Ok(found)
}

struct Walk<'a> {
    sides: &'a Sides,
    /// Whether to give up where it does not pay.
    budgeted: bool,
    pages: u64,
    found: &'a mut Found,
}

impl Walk<'_> {
    /// Joins the listing with the paths. Whether it was read to the last of them; none where it is not in byte order.
    async fn in_order(&mut self, paths: &[&str]) -> Result<Option<bool>, StoreError> {
        let (Some(first), Some(last)) = (paths.first(), paths.last()) else {
            return Ok(Some(true));
        };
        let mut wanted = paths.iter().copied().peekable();
        let mut passed = 0;
        let mut previous = String::new();
        let (after, mut next) = (before(first), None);
        loop {
            let page = self.page("", Some(&after), next.as_deref()).await?;
            for (path, object) in page.objects {
                if path <= previous {
                    return Ok(None);
                }
                while wanted.next_if(|w| **w < *path).is_some() {
                    passed += 1;
                }
                if wanted.next_if(|w| **w == *path).is_some() {
                    passed += 1;
                    self.found.insert(path.clone(), object);
                }
                previous = path;
            }
            next = page.next;
            if next.is_none() || previous.as_str() >= *last {
                return Ok(Some(true));
            }
            if self.budgeted && passed < self.pages * DENSE {
                return Ok(Some(false));
            }
        }
    }

    /// Reads everything that begins as all the paths do, in whatever order it comes.
    async fn unsorted(&mut self, paths: &[&str]) -> Result<bool, StoreError> {
        let wanted: HashSet<&str> = paths.iter().copied().collect();
        let prefix = common(paths);
        let mut next = None;
        loop {
            let page = self.page(prefix, None, next.as_deref()).await?;
            let ours = page
                .objects
                .into_iter()
                .filter(|(p, _)| wanted.contains(p.as_str()));
            self.found.extend(ours);
            next = page.next;
            if next.is_none() || self.found.len() == wanted.len() {
                return Ok(true);
            }
            // Nothing says how much is still to come: no more pages than asking for each would be worth.
            if self.budgeted && self.pages * DENSE > wanted.len() as u64 {
                return Ok(false);
            }
        }
    }

    async fn page(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<crate::blobs::Page, StoreError> {
        self.pages += 1;
        count(&self.sides.asked.pages, 1);
        self.sides.primary.list(prefix, after, next).await
    }
}

/// What comes before `path`, and after nearly all that does.
fn before(path: &str) -> String {
    let mut chars: Vec<char> = path.chars().collect();
    let last = chars.pop();
    let mut text: String = chars.into_iter().collect();
    // What XML cannot hold is left out: more is listed than needed, then.
    if let Some(previous) = last
        .filter(|c| *c > '!')
        .and_then(|c| char::from_u32(c as u32 - 1))
    {
        text.push(previous);
        text.push('\u{FFFD}');
    }
    text
}

/// What all of sorted paths begin with.
fn common<'a>(paths: &[&'a str]) -> &'a str {
    let (Some(first), Some(last)) = (paths.first(), paths.last()) else {
        return "";
    };
    let same = first
        .char_indices()
        .zip(last.chars())
        .find(|((_, a), b)| a != b);
    let shorter = first.len().min(last.len());
    &first[..same.map_or(shorter, |((at, _), _)| at)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_begins_just_before() {
        for path in [
            "a",
            "abc",
            "é",
            "a b",
            "x!",
            "k/1",
            "\u{1F600}",
            "a\u{E000}",
        ] {
            let start = before(path);
            assert!(start.as_str() < path, "{path}");
        }
        assert!(before("abc").as_str() > "abb!");
    }

    #[test]
    fn what_paths_have_in_common() {
        assert_eq!(common(&["a/b1", "a/b2", "a/c"]), "a/");
        assert_eq!(common(&["é1", "é2"]), "é");
        assert_eq!(common(&["a", "ab"]), "a");
        assert_eq!(common(&["a", "b"]), "");
        assert_eq!(common(&["same"]), "same");
    }
}
