//! The large objects that the bundle's rows point at: whether live has them, with the content of the backup.

use std::collections::HashMap;

use serde::Serialize;

use super::LISTED;
use crate::bundle::LargeObject;
use crate::pg::{PgError, Session};
use crate::restore::{ObjectState, Targets, objects_of, states};

/// Objects that one question is about.
const OBJECTS_A_LOOK: usize = 200;

/// Objects by state: of rows that are in live as in the backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectVerdicts {
    /// As in the bundle.
    pub identical: u64,
    /// Another content.
    pub other: u64,
    /// Not in live.
    pub missing: u64,
    /// This role may not read them.
    pub unreadable: u64,
    /// Rows that point at one that is not identical.
    pub rows_without: u64,
    /// Those objects, at most a hundred: number and state.
    pub named: Vec<String>,
}

impl ObjectVerdicts {
    /// Whether something is not as it was.
    pub fn lost(&self) -> u64 {
        self.missing + self.unreadable
    }
}

/// What is known so far. Memory: five bytes or so an object.
#[derive(Default)]
pub(super) struct Objects {
    states: HashMap<u32, ObjectState>,
    pub(super) verdicts: ObjectVerdicts,
}

impl Objects {
    /// Looks at what rows of a table point at, which are in live as in the bundle.
    pub(super) async fn look(
        &mut self,
        session: &Session,
        targets: &Targets,
        table: usize,
        lines: &[&[u8]],
    ) -> Result<(), PgError> {
        let lines = lines.iter();
        let each: Vec<Vec<&LargeObject>> =
            lines.map(|line| objects_of(targets, table, line)).collect();
        let mut new: Vec<&LargeObject> = each.iter().flatten().copied().collect();
        new.retain(|o| !self.states.contains_key(&o.loid));
        new.sort_by_key(|o| o.loid);
        new.dedup_by_key(|o| o.loid);
        for chunk in new.chunks(OBJECTS_A_LOOK) {
            for (loid, state) in states(session, chunk).await? {
                self.count(loid, state);
            }
        }
        let identical = |o: &&LargeObject| self.states.get(&o.loid) == Some(&ObjectState::Same);
        let without = each.iter().filter(|row| !row.iter().all(identical));
        self.verdicts.rows_without += without.count() as u64;
        Ok(())
    }

    fn count(&mut self, loid: u32, state: ObjectState) {
        self.states.insert(loid, state);
        let verdicts = &mut self.verdicts;
        let (counter, word) = match state {
            ObjectState::Same => (&mut verdicts.identical, None),
            ObjectState::Other => (&mut verdicts.other, Some("other content")),
            ObjectState::Absent => (&mut verdicts.missing, Some("missing")),
            ObjectState::Unreadable => (&mut verdicts.unreadable, Some("may not be read")),
        };
        *counter += 1;
        if let Some(word) = word.filter(|_| verdicts.named.len() < LISTED) {
            verdicts.named.push(format!("{loid}: {word}"));
        }
    }
}
