//! What a part of a unit needs of live, of all that the unit needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bundle::{Need, UnitRecord, UnitRows};
use crate::ident::Key;
use crate::restore::excluded::reference::Reference;

/// The needs of one unit, by relation and key.
pub(in crate::restore) struct Needs<'a> {
    by_relation: BTreeMap<usize, HashMap<&'a Key, Vec<&'a Need>>>,
}

impl<'a> Needs<'a> {
    /// Of a unit.
    pub(in crate::restore) fn of(unit: &'a UnitRecord) -> Self {
        let mut by_relation: BTreeMap<usize, HashMap<&Key, Vec<&Need>>> = BTreeMap::new();
        for need in &unit.needs {
            let keys = by_relation.entry(need.relation).or_default();
            keys.entry(&need.key).or_default().push(need);
        }
        Self { by_relation }
    }

    /// Gives a part those that its rows have.
    pub(in crate::restore) fn give(&self, part: &mut UnitRows, references: &[Reference]) {
        let mut needs: Vec<Need> = Vec::new();
        for (relation, by_key) in &self.by_relation {
            let reference = references.iter().find(|r| r.manifest == Some(*relation));
            let Some(reference) = reference else { continue };
            let lines = part.1.iter().filter(|(t, _)| *t == reference.child);
            let lines = lines.flat_map(|(_, lines)| lines);
            let mut referred: BTreeSet<Key> = lines.filter_map(|l| reference.referred(l)).collect();
            if !referred.is_empty() && !reference.by_text {
                // One value has several texts: which of them the need was written in, the line does not tell.
                referred = by_key.keys().map(|k| (*k).clone()).collect();
            }
            let found = referred.iter().filter_map(|key| by_key.get(key));
            needs.extend(found.flatten().map(|need| (*need).clone()));
        }
        part.0.needs = needs;
    }
}
