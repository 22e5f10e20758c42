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
    /// Adds a key, packed from the start: millions of them are held before they can be sorted.
    pub(super) fn push(&mut self, key: &Key) {
        for (i, value) in key.0.iter().enumerate() {
            if i > 0 {
                self.text.push(SEPARATOR);
            }
            self.text.push_str(value);
        }
        self.ends.push(self.text.len());
    }

    /// Sorts.
    pub(super) fn sorted(self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by(|a, b| natural(self.values(*a), self.values(*b)));
        let mut sorted = Self {
            text: String::with_capacity(self.text.len()),
            ends: Vec::with_capacity(self.ends.len()),
        };
        for place in order {
            sorted.text.push_str(self.slice(place));
            sorted.ends.push(sorted.text.len());
        }
        sorted
    }

    fn slice(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }

    fn values(&self, i: usize) -> impl Iterator<Item = &str> {
        self.slice(i).split(SEPARATOR)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key at a position.
    pub(super) fn get(&self, i: usize) -> Key {
        Key(self.values(i).map(str::to_owned).collect())
    }

    /// The position of a key.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match natural(self.values(middle), key.0.iter().map(String::as_str)) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

/// Numbers by value, before everything else by its bytes: so that units come in the order a person expects.
fn natural<'a>(
    mut a: impl Iterator<Item = &'a str>,
    mut b: impl Iterator<Item = &'a str>,
) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (number(x), number(y)) {
                (Some(x), Some(y)) => x.cmp(&y),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The value of an integer as the server writes it; anything else is text.
fn number(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let written_so = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    text.parse().ok().filter(|_| written_so)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(keys: &[Key]) -> KeyStore {
        let mut store = KeyStore::default();
        keys.iter().for_each(|key| store.push(key));
        store.sorted()
    }

    proptest! {
        #[test]
        fn every_key_is_found_where_it_lies(keys in prop::collection::btree_set(
            (any::<i16>().prop_map(|n| n.to_string()), "[a-z0-9]{0,3}"), 0..50)) {
            let keys: Vec<Key> = keys.into_iter().map(|(a, b)| Key(vec![a, b])).collect();
            let store = stored(&keys);
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
        let store = stored(&[
            key("10"),
            key("a"),
            key("9"),
            key("-1"),
            key("010"),
            key("-0"),
        ]);
        let sorted: Vec<String> = (0..6).map(|i| store.get(i).to_string()).collect();
        assert_eq!(sorted, ["-1", "9", "10", "-0", "010", "a"]);
    }
}
