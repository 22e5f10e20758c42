//! Keys of one table's candidates, packed: their text and four bytes each, sorted, found by binary search.

use std::cmp::Ordering;

use crate::ident::Key;

/// Between the values of a key; PostgreSQL's text cannot hold it.
const SEPARATOR: char = '\0';

/// Keys, sorted once all are in.
#[derive(Debug, Default)]
pub(super) struct KeyStore {
    text: String,
    /// Where each key ends in `text`.
    ends: Vec<usize>,
}

impl KeyStore {
    /// Sorts and packs.
    pub(super) fn new(mut keys: Vec<Key>) -> Self {
        keys.sort_by(natural);
        let mut store = Self::default();
        for key in keys {
            for (i, value) in key.0.iter().enumerate() {
                if i > 0 {
                    store.text.push(SEPARATOR);
                }
                store.text.push_str(value);
            }
            store.ends.push(store.text.len());
        }
        store
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key at a position.
    pub(super) fn get(&self, i: usize) -> Key {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        Key(self.text[start..self.ends[i]]
            .split(SEPARATOR)
            .map(str::to_owned)
            .collect())
    }

    /// The position of a key.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match natural(&self.get(middle), key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

/// Numbers by value, before everything else by its bytes: so that units come in the order a person expects.
fn natural(a: &Key, b: &Key) -> Ordering {
    let value = |text: &str| text.parse::<i128>().ok().filter(|n| n.to_string() == text);
    for (x, y) in a.0.iter().zip(&b.0) {
        let order = match (value(x), value(y)) {
            (Some(x), Some(y)) => x.cmp(&y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.0.len().cmp(&b.0.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_found_where_it_lies(keys in prop::collection::btree_set(
            (any::<i16>().prop_map(|n| n.to_string()), "[a-z0-9]{0,3}"), 0..50)) {
            let keys: Vec<Key> = keys.into_iter().map(|(a, b)| Key(vec![a, b])).collect();
            let store = KeyStore::new(keys.clone());
            prop_assert_eq!(store.len(), keys.len());
            for key in &keys {
                prop_assert_eq!(&store.get(store.find(key).unwrap()), key);
            }
            prop_assert_eq!(store.find(&Key(vec!["x".into(), "no such".into()])), None);
        }
    }

    #[test]
    fn numbers_sort_by_value() {
        let key = |s: &str| Key(vec![s.into()]);
        let store = KeyStore::new(vec![key("10"), key("a"), key("9"), key("-1"), key("010")]);
        let sorted: Vec<String> = (0..5).map(|i| store.get(i).to_string()).collect();
        assert_eq!(sorted, ["-1", "9", "10", "010", "a"]);
    }
}
