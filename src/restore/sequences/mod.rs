//! Sequences that stand before keys that come back: the next numbers that the application draws would be taken. They are
//! moved past these keys before the first row is inserted, and never backwards.
//!
//! A sequence cannot be locked. Over a small distance it is moved by `nextval`, which cannot go wrong; over a large one by
//! `setval`, in the statement that has just seen it a long way before ([`advance`]). It keeps to its own steps: where two
//! servers draw even and odd numbers from it, they go on doing so.
//!
//! Not moved, and named: one that cycles, one that the default computes with, one that this role may not move; and none is
//! moved into the last tenth of its range, where a number set by hand (2147483647) would end it for everybody.

mod advance;
mod find;

use serde::Serialize;

use crate::bundle::{Bundle, UnitRows};
use crate::ident::{TableName, quote_ident};
use crate::pg::copy::raw_fields;
use crate::pg::{PgError, Session};

use super::excluded::{self, Excluded};
use super::prepare::Prepared;
use super::{RestoreError, Targets};

pub(super) use advance::advance;
pub(super) use find::find;

/// Rows of one unit that are in memory at once.
const ROWS_AT_ONCE: u64 = 10_000;
/// Steps that `nextval` takes one by one; a larger distance is one for `setval`.
const SMALL: i128 = 100_000;

/// A sequence that numbers columns of the tables written to.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) name: TableName,
    columns: Vec<Numbered>,
    /// In the direction in which it counts; see [`Sequence::along`].
    increment: i128,
    descending: bool,
    least: i128,
    greatest: i128,
    cycles: bool,
    cache: i64,
    /// A default computes with it.
    computed: bool,
    rights: Rights,
    /// The farthest key that comes back, but for those in the last tenth of the range; and the farthest of those.
    reach: Option<i128>,
    beyond: Option<i128>,
}

#[derive(Debug, Clone)]
struct Numbered {
    table: usize,
    /// `public.t (id)`.
    shown: String,
    /// Field of the bundle's lines.
    field: usize,
}

#[derive(Debug, Clone, Copy)]
struct Rights {
    select: bool,
    usage: bool,
    update: bool,
}

/// Where a sequence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    last_value: i64,
    is_called: bool,
}

/// A sequence that stands before keys that come back, or of which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SequenceMove {
    /// The sequence, as shown.
    pub sequence: String,
    /// The columns that it numbers: `public.t (id)`.
    pub columns: Vec<String>,
    /// The farthest key that comes back.
    pub key: i64,
    /// Where it stands (its `last_value`), where that is known.
    pub from: Option<i64>,
    /// Where it would be moved to, or was; none where it is not moved.
    pub to: Option<i64>,
    /// Why it is not moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Numbers that a session of the application keeps in stock (CACHE), where that is more than one: those it goes on
    /// handing out, wherever the sequence stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<i64>,
}

impl Sequence {
    /// A number as the sequence counts: greater is later.
    fn along(&self, number: i128) -> i128 {
        if self.descending { -number } else { number }
    }

    /// A number again, from how the sequence counts.
    fn number(&self, along: i128) -> i64 {
        let number = if self.descending { -along } else { along };
        i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// Takes the key of a row into account.
    fn meet(&mut self, key: i64) {
        let key = self.along(i128::from(key));
        if key < self.least || key > self.greatest {
            return;
        }
        let last_tenth = self.greatest - (self.greatest - self.least) / 10;
        let farthest = match key > last_tenth {
            true => &mut self.beyond,
            false => &mut self.reach,
        };
        *farthest = (*farthest).max(Some(key));
    }

    /// Whether a number at or before `key` is still to be handed out.
    fn before(&self, position: Position, key: i128) -> bool {
        let last = self.along(i128::from(position.last_value));
        let next = if position.is_called {
            last + self.increment
        } else {
            last
        };
        next <= key
    }

    /// The first of its own numbers from which on nothing at or before `key` is handed out, and the steps to it.
    fn goal(&self, position: Position, key: i128) -> (i128, i128) {
        let last = self.along(i128::from(position.last_value));
        let steps = (key - last).max(0);
        let steps = steps / self.increment + i128::from(steps % self.increment != 0);
        let goal = last + steps * self.increment;
        (goal, steps + i128::from(!position.is_called))
    }

    /// Steps that are too many for `nextval`. Sessions that keep numbers in stock move it by as many at once.
    fn margin(&self) -> i128 {
        SMALL * i128::from(self.cache.clamp(1, 10))
    }

    fn described(&self, key: i128) -> SequenceMove {
        SequenceMove {
            sequence: self.name.to_string(),
            columns: self.columns.iter().map(|c| c.shown.clone()).collect(),
            key: self.number(key),
            from: None,
            to: None,
            reason: None,
            cache: None,
        }
    }

    /// What is to be done about it, with its position where that can be read.
    fn decide(&self, position: Option<Position>, role: &str) -> Vec<SequenceMove> {
        let farthest = self.reach.max(self.beyond);
        let Some(farthest) = farthest else {
            return Vec::new();
        };
        let not_moved = |key: i128, reason: String| SequenceMove {
            from: position.map(|p| p.last_value),
            reason: Some(reason),
            ..self.described(key)
        };
        if self.computed {
            let reason = "the default computes with it, so that its numbers are not the keys";
            return vec![not_moved(farthest, reason.to_owned())];
        }
        let Some(position) = position else {
            let reason = format!(
                "where it stands may not be read: {}",
                self.grant("SELECT, USAGE, UPDATE", role)
            );
            return vec![not_moved(farthest, reason)];
        };
        if self.cycles {
            let behind = self.before(position, farthest);
            let reason = "it cycles, and comes upon every key again in any case".to_owned();
            return behind
                .then(|| not_moved(farthest, reason))
                .into_iter()
                .collect();
        }
        let mut decided = Vec::new();
        if let Some(key) = self.reach.filter(|key| self.before(position, *key)) {
            let (goal, steps) = self.goal(position, key);
            let large = steps > self.margin();
            let may = self.rights.update || (!large && self.rights.usage);
            decided.push(match may {
                true => SequenceMove {
                    from: Some(position.last_value),
                    to: Some(self.number(goal)),
                    cache: (self.cache > 1).then_some(self.cache),
                    ..self.described(key)
                },
                false => {
                    let needed = if large { "UPDATE" } else { "USAGE" };
                    let reason =
                        format!("role {role} may not move it: {}", self.grant(needed, role));
                    not_moved(key, reason)
                }
            });
        }
        if let Some(key) = self.beyond.filter(|key| self.before(position, *key)) {
            let reason = "past that key, less than a tenth of its numbers would be left".to_owned();
            decided.push(not_moved(key, reason));
        }
        decided
    }

    fn grant(&self, rights: &str, role: &str) -> String {
        format!(
            "GRANT {rights} ON SEQUENCE {} TO {}",
            self.name.sql(),
            quote_ident(role)
        )
    }

    async fn position(&self, session: &Session) -> Result<Option<Position>, PgError> {
        if !self.rights.select {
            return Ok(None);
        }
        let sql = format!("select last_value, is_called from {}", self.name.sql());
        let doing = format!("looking where sequence {} stands", self.name);
        let rows = session.ask(&doing, &sql, &[]).await?;
        Ok(rows.first().map(|row| Position {
            last_value: row.get(0),
            is_called: row.get(1),
        }))
    }
}

/// Takes the keys of a unit that is to come back into account.
pub(super) fn meet(sequences: &mut [Sequence], unit: &UnitRows) {
    for sequence in sequences {
        for column in 0..sequence.columns.len() {
            let Numbered { table, field, .. } = sequence.columns[column];
            let of_table = unit.1.iter().filter(|(t, _)| *t == table);
            for line in of_table.flat_map(|(_, lines)| lines) {
                let field = raw_fields(line).nth(field);
                let text = field.and_then(|f| std::str::from_utf8(f).ok());
                // A NULL, or a text that is no number, was drawn from no sequence.
                if let Some(key) = text.and_then(|t| t.parse().ok()) {
                    sequence.meet(key);
                }
            }
        }
    }
}

/// The sequences with what is to be done about them, from all that is to come back. Reads only.
pub(super) async fn reckon(
    session: &Session,
    bundle: &Bundle,
    prepared: &Prepared,
    excluded: &Excluded,
) -> Result<(Vec<Sequence>, Vec<SequenceMove>), RestoreError> {
    let mut sequences = find(session, &prepared.targets).await?;
    if sequences.is_empty() {
        return Ok((sequences, Vec::new()));
    }
    let mut excluded = excluded.clone();
    let mut rows = bundle.read()?;
    while let Some(unit) = rows.next_rows(ROWS_AT_ONCE)? {
        let marks = excluded.marks(&prepared.targets, &unit);
        let number = unit.0.unit;
        let history = &prepared.history;
        if !history.done.contains(&number)
            && !history.earlier.contains(&number)
            && !excluded::whole(&marks)
        {
            meet(&mut sequences, &excluded.without(unit, &marks));
        }
    }
    let decided = decide(session, &sequences).await?;
    Ok((sequences, decided))
}

/// What is to be done about each that stands before a key, or of which nobody knows. Reads only.
pub(super) async fn decide(
    session: &Session,
    sequences: &[Sequence],
) -> Result<Vec<SequenceMove>, PgError> {
    let mut all = Vec::new();
    for sequence in sequences {
        if sequence.reach.max(sequence.beyond).is_some() {
            let position = sequence.position(session).await?;
            all.extend(sequence.decide(position, &session.target().role));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
