//! The people concerned: each once, with how many records concern them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Everybody, by contact.
#[derive(Debug, Default)]
pub(super) struct People {
    by_contact: BTreeMap<String, Person>,
    /// Pairs of record and contact, and whole rows, that came already.
    seen: HashSet<u128>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// Records that concern them.
    pub(super) records: u64,
    /// Their particulars; none where their rows disagree.
    pub(super) extra: Vec<Option<String>>,
}

impl People {
    /// Adds somebody whom a record concerns; whether the row is new.
    pub(super) fn concerned(&mut self, record: u128, contact: &str, extra: &[String]) -> bool {
        if !self.seen.insert(fingerprint(&(record, contact, extra))) {
            return false;
        }
        let new_pair = self.seen.insert(fingerprint(&(record, contact)));
        let person = self.by_contact.entry(contact.to_owned()).or_default();
        person.records += u64::from(new_pair);
        if person.extra.is_empty() {
            person.extra = extra.iter().cloned().map(Some).collect();
        }
        for (known, value) in person.extra.iter_mut().zip(extra) {
            match known {
                Some(text) if text.is_empty() => text.clone_from(value),
                Some(text) if !value.is_empty() && text != value => *known = None,
                _ => {}
            }
        }
        true
    }

    pub(super) fn len(&self) -> u64 {
        self.by_contact.len() as u64
    }

    /// Everybody, in the order of their contacts.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (String, Person)> {
        self.by_contact.into_iter()
    }
}

/// 128 bits that stand for a value: two rows never meet by chance.
pub(super) fn fingerprint(value: &impl Hash) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_once_with_what_is_known_of_them() {
        let mut people = People::default();
        let row = |name: &str, role: &str| vec![name.to_owned(), role.to_owned()];
        assert!(people.concerned(1, "a@x", &row("", "owner")));
        assert!(!people.concerned(1, "a@x", &row("", "owner")), "twice");
        assert!(people.concerned(1, "a@x", &row("Ann", "official")));
        assert!(people.concerned(2, "a@x", &row("Ann", "owner")));
        assert!(people.concerned(2, "b@x", &row("", "")));
        assert_eq!(people.len(), 2);
        let all: Vec<_> = people.into_iter().collect();
        assert_eq!((all[0].1.records, all[1].1.records), (2, 1));
        assert_eq!(all[0].1.extra, [Some("Ann".to_owned()), None]);
    }
}
