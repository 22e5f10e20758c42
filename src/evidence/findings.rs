//! What is known of all candidates. Many share the same knowledge, so each distinct finding is kept once, and a candidate
//! costs four bytes.

use std::collections::HashMap;

use super::{Finding, Interval, Testimony};

/// A testimony that contradicted what was known before.
#[derive(Debug, Clone, Copy)]
pub struct Contradiction {
    /// What was known.
    pub before: Finding,
    /// What was said then.
    pub testimony: Testimony,
}

/// What is known of every candidate.
#[derive(Debug)]
pub struct Findings {
    /// Distinct findings; the first is "nothing is known".
    distinct: Vec<Finding>,
    places: HashMap<Finding, u32>,
    /// By candidate.
    of: Vec<u32>,
    contradictions: Vec<Contradiction>,
}

impl Findings {
    /// Nothing is known of `candidates` rows but that they were deleted in `interval`.
    pub fn new(candidates: u32, interval: Interval) -> Self {
        let unknown = Finding::unknown(interval);
        Self {
            distinct: vec![unknown],
            places: HashMap::from([(unknown, 0)]),
            of: vec![0; candidates as usize],
            contradictions: Vec::new(),
        }
    }

    /// Takes a testimony in. One about a row that is no candidate is passed over.
    pub fn hear(&mut self, testimony: &Testimony) {
        let Some(place) = self.of.get_mut(testimony.node as usize) else {
            return;
        };
        let before = self.distinct[*place as usize];
        let after = before.hear(testimony);
        if after.contradicted() && !before.contradicted() {
            self.contradictions.push(Contradiction {
                before,
                testimony: *testimony,
            });
        }
        let next = self.distinct.len() as u32;
        *place = *self.places.entry(after).or_insert_with(|| {
            self.distinct.push(after);
            next
        });
    }

    /// What is known of a candidate.
    pub fn of(&self, node: u32) -> &Finding {
        &self.distinct[self.of[node as usize] as usize]
    }

    /// Of all candidates, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.of.iter().map(|place| &self.distinct[*place as usize])
    }

    /// Testimonies that contradicted what was known before, in the order in which they were heard.
    pub fn contradictions(&self) -> &[Contradiction] {
        &self.contradictions
    }

    /// What is known where nobody said anything: `[backup or unknown, now)`.
    pub fn unknown(&self) -> Interval {
        self.distinct[0].interval()
    }
}
