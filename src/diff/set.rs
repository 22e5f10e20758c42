//! Compares two collections of rows, as sets by key or as bags by content. Pure.

use std::cmp::Ordering;

use super::Change;

/// Compares sets of `(key, row hash)`: what is only in `snapshot`, only in `live`, or in both with another hash.
/// The order of the input does not matter; the output is sorted by key.
pub(super) fn compare_sets<K: Ord>(
    mut snapshot: Vec<(K, u64)>,
    mut live: Vec<(K, u64)>,
) -> Vec<(Change, K)> {
    snapshot.sort();
    live.sort();
    merge(snapshot.into_iter(), live.into_iter())
}

/// The same, of rows that come sorted by key.
pub(super) fn merge<K: Ord>(
    mut snapshot: impl Iterator<Item = (K, u64)>,
    mut live: impl Iterator<Item = (K, u64)>,
) -> Vec<(Change, K)> {
    let mut found = Vec::new();
    let (mut a, mut b) = (snapshot.next(), live.next());
    loop {
        (a, b) = match (a, b) {
            (Some(x), Some(y)) => match x.0.cmp(&y.0) {
                Ordering::Equal => {
                    if x.1 != y.1 {
                        found.push((Change::Changed, x.0));
                    }
                    (snapshot.next(), live.next())
                }
                Ordering::Less => {
                    found.push((Change::Deleted, x.0));
                    (snapshot.next(), Some(y))
                }
                Ordering::Greater => {
                    found.push((Change::Inserted, y.0));
                    (Some(x), live.next())
                }
            },
            (Some(x), None) => {
                found.push((Change::Deleted, x.0));
                (snapshot.next(), None)
            }
            (None, Some(y)) => {
                found.push((Change::Inserted, y.0));
                (None, live.next())
            }
            (None, None) => return found,
        };
    }
}

/// Rows of one content of which one side has more than the other.
#[derive(Debug)]
pub(super) struct Surplus<K> {
    pub(super) change: Change,
    /// The hash of their content.
    pub(super) hash: u64,
    /// How many the snapshot has.
    pub(super) snapshot: usize,
    /// Where those lie that are too many. Which of several equal rows is named does not matter, for they are equal.
    pub(super) places: Vec<K>,
}

/// Compares bags of `(place, row hash)` by hash: where the snapshot has more rows of one content, the surplus was
/// deleted; where live has more, inserted.
pub(super) fn compare_bags<K: Ord>(
    mut snapshot: Vec<(K, u64)>,
    mut live: Vec<(K, u64)>,
) -> Vec<Surplus<K>> {
    let by_content = |x: &(K, u64), y: &(K, u64)| (x.1, &x.0).cmp(&(y.1, &y.0));
    snapshot.sort_by(by_content);
    live.sort_by(by_content);
    let mut found = Vec::new();
    let (mut a, mut b) = (snapshot.into_iter().peekable(), live.into_iter().peekable());
    while let Some(hash) = a.peek().into_iter().chain(b.peek()).map(|x| x.1).min() {
        let mut a: Vec<K> =
            std::iter::from_fn(|| a.next_if(|x| x.1 == hash).map(|x| x.0)).collect();
        let mut b: Vec<K> =
            std::iter::from_fn(|| b.next_if(|x| x.1 == hash).map(|x| x.0)).collect();
        let (in_snapshot, in_live) = (a.len(), b.len());
        let (change, places) = match in_snapshot.cmp(&in_live) {
            Ordering::Equal => continue,
            Ordering::Greater => (Change::Deleted, a.split_off(in_live)),
            Ordering::Less => (Change::Inserted, b.split_off(in_snapshot)),
        };
        found.push(Surplus {
            change,
            hash,
            snapshot: in_snapshot,
            places,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = BTreeMap<u8, u64>> {
        prop::collection::btree_map(any::<u8>(), 0u64..4, 0..60)
    }

    proptest! {
        #[test]
        fn sets_agree_with_lookup(a in rows(), b in rows(), seed in any::<u64>()) {
            let shuffled = |m: &BTreeMap<u8, u64>| {
                let mut v: Vec<_> = m.iter().map(|(k, h)| (*k, *h)).collect();
                v.sort_by_key(|(k, _)| u64::from(*k).wrapping_mul(seed | 1));
                v
            };
            let found = compare_sets(shuffled(&a), shuffled(&b));
            for key in 0..=u8::MAX {
                let expected = match (a.get(&key), b.get(&key)) {
                    (Some(_), None) => Some(Change::Deleted),
                    (None, Some(_)) => Some(Change::Inserted),
                    (Some(x), Some(y)) if x != y => Some(Change::Changed),
                    _ => None,
                };
                let got: Vec<_> = found.iter().filter(|(_, k)| *k == key).map(|(c, _)| *c).collect();
                prop_assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn bags_agree_with_counting(a in prop::collection::vec(0u64..6, 0..40),
                                    b in prop::collection::vec(0u64..6, 0..40)) {
            let placed = |v: &[u64]| v.iter().enumerate().map(|(i, h)| (i, *h)).collect::<Vec<_>>();
            let found = compare_bags(placed(&a), placed(&b));
            for hash in 0..6 {
                let count = |v: &[u64]| v.iter().filter(|h| **h == hash).count();
                let places = |change: Change, of: &[u64]| {
                    let all = found.iter().filter(|s| s.change == change && s.hash == hash);
                    let places: Vec<usize> = all.flat_map(|s| s.places.clone()).collect();
                    assert!(places.iter().all(|i| of[*i] == hash));
                    places.len()
                };
                prop_assert_eq!(places(Change::Deleted, &a), count(&a).saturating_sub(count(&b)));
                prop_assert_eq!(places(Change::Inserted, &b), count(&b).saturating_sub(count(&a)));
                let surplus = found.iter().find(|s| s.hash == hash);
                prop_assert!(surplus.is_none_or(|s| s.snapshot == count(&a)));
            }
        }
    }
}
