//! The bound against histories in which the truth is known.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn position(increment: i64, last_value: i64) -> Position {
    Position {
        increment,
        cycle: false,
        cache: 1,
        start: increment.signum(),
        last_value,
        is_called: true,
    }
}

/// Ten rows in the backup, numbered 1 to 10; live stands at `now` with `beyond` rows after the tenth.
fn seen(now: i64, beyond: i64) -> Seen {
    Seen {
        snapshot: position(1, 10),
        live: position(1, now),
        last: Some(10),
        greatest: Some(10),
        live_greatest: Some(if beyond > 0 { now } else { 10 }),
        beyond,
        on_steps: beyond,
        by_default: true,
        sessions: 100,
    }
}

#[test]
fn numbers_that_no_row_has() {
    assert_eq!(bound(&seen(10, 0)), Ok(0));
    assert_eq!(bound(&seen(15, 0)), Ok(5));
    assert_eq!(bound(&seen(15, 3)), Ok(2));
    assert_eq!(bound(&seen(15, 5)), Ok(0));
    // The backup's sequence runs ahead; the rows count.
    let mut ahead = seen(15, 0);
    ahead.snapshot.last_value = 33;
    assert_eq!(bound(&ahead), Ok(5));
    // Never called: the first number is still to come.
    let mut new = seen(1, 0);
    (new.last, new.greatest, new.live_greatest) = (None, None, None);
    (new.snapshot, new.live) = (position(1, 1), position(1, 1));
    new.live.is_called = false;
    new.snapshot.is_called = false;
    assert_eq!(bound(&new), Ok(0));
    new.live.is_called = true;
    assert_eq!(bound(&new), Ok(1));
}

#[test]
fn other_increments() {
    let by = |increment: i64, now: i64, by_default: bool| {
        let mut seen = seen(10, 0);
        (seen.snapshot, seen.live) = (position(increment, increment), position(increment, now));
        (seen.last, seen.greatest) = (Some(increment), Some(increment));
        (seen.live_greatest, seen.by_default) = (Some(increment), by_default);
        bound(&seen)
    };
    assert_eq!(by(10, 50, true), Ok(4));
    assert_eq!(by(-1, -5, true), Ok(4));
    assert_eq!(by(-10, -50, true), Ok(4));
    // An application that fetches ten at a time uses every number, up to nine after the last.
    assert_eq!(by(10, 50, false), Ok(49));
    // Rows between the steps say so.
    let mut between = seen(50, 1);
    (between.snapshot.increment, between.live.increment) = (10, 10);
    between.live_greatest = Some(43);
    between.on_steps = 0;
    assert_eq!(bound(&between), Ok(48));
}

#[test]
fn where_there_is_no_bound() {
    let mut cyclic = seen(15, 0);
    cyclic.live.cycle = true;
    let mut turned = seen(15, 0);
    turned.live.increment = -1;
    let set_back = seen(9, 0);
    let mut far_back = seen(500, 0);
    far_back.snapshot.last_value = 1_000;
    let mut by_hand = seen(15, 0);
    by_hand.live_greatest = Some(16);
    for (seen, word) in [
        (cyclic, "CYCLE"),
        (turned, "the other way"),
        (set_back, "set back"),
        (far_back, "set back"),
        (by_hand, "by hand"),
    ] {
        let reason = bound(&seen).unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }
}

#[test]
fn numbers_at_the_ends_of_the_range() {
    let mut wide = seen(i64::MAX, 0);
    wide.last = Some(i64::MIN);
    wide.snapshot.last_value = i64::MIN;
    assert_eq!(bound(&wide), Ok(u64::MAX));
}

/// What happens to a table that a sequence numbers.
#[derive(Debug, Clone)]
enum Step {
    /// A session inserts a row; its cache gives the number, or the sequence does.
    Insert(usize),
    /// A number is drawn and lost: a rollback.
    Lose(usize),
    /// A row is deleted.
    Delete(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Step::Insert),
        1 => (0..3_usize).prop_map(Step::Lose),
        2 => any::<prop::sample::Index>().prop_map(Step::Delete),
    ]
}

/// A server with three sessions.
struct Server {
    sequence: Position,
    caches: [Vec<i64>; 3],
    rows: BTreeSet<i64>,
    /// Every row that there ever was.
    ever: BTreeSet<i64>,
}

impl Server {
    fn draw(&mut self, session: usize) -> i64 {
        if self.caches[session].is_empty() {
            for _ in 0..self.sequence.cache {
                if self.sequence.is_called {
                    self.sequence.last_value += self.sequence.increment;
                }
                self.sequence.is_called = true;
                self.caches[session].insert(0, self.sequence.last_value);
            }
        }
        self.caches[session].pop().unwrap()
    }

    fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Insert(session) => {
                    let number = self.draw(*session);
                    self.rows.insert(number);
                    self.ever.insert(number);
                }
                Step::Lose(session) => {
                    self.draw(*session);
                }
                Step::Delete(index) if !self.rows.is_empty() => {
                    let all: Vec<i64> = self.rows.iter().copied().collect();
                    self.rows.remove(index.get(&all));
                }
                Step::Delete(_) => {}
            }
        }
    }

    fn greatest<'a>(&self, rows: impl Iterator<Item = &'a i64>) -> Option<i64> {
        rows.copied()
            .max_by_key(|n| n * self.sequence.increment.signum())
    }
}

/// Two sessions hold three numbers each; the backup has a row of the later three, and then all others are used and lost.
#[test]
fn numbers_held_back_by_sessions() {
    let mut sequence = position(1, 1);
    (sequence.cache, sequence.is_called) = (3, false);
    let mut server = Server {
        sequence,
        caches: Default::default(),
        rows: BTreeSet::new(),
        ever: BTreeSet::new(),
    };
    server.play(&[Step::Insert(0), Step::Insert(1)]);
    assert_eq!(server.rows, BTreeSet::from([1, 4]));
    server.play(&[0, 0, 1, 1].map(Step::Insert));
    let mut seen = seen(server.sequence.last_value, 0);
    seen.live = server.sequence;
    (seen.snapshot.last_value, seen.last) = (6, Some(4));
    (seen.greatest, seen.live_greatest) = (Some(4), Some(4));
    let found = bound(&seen).unwrap();
    assert!(found >= 4, "{found}");
}

proptest! {
    /// Whatever happened before and after the backup, no more rows were born and lost than the bound says.
    #[test]
    fn never_too_low(
        increment in prop::sample::select(vec![1_i64, 1, 2, 7, -1, -3]),
        cache in 1..4_i64,
        ahead in 0..32_i64,
        before in prop::collection::vec(step(), 0..40),
        after in prop::collection::vec(step(), 0..40),
    ) {
        let mut sequence = position(increment, increment.signum());
        (sequence.cache, sequence.is_called) = (cache, false);
        let mut server = Server { sequence, caches: Default::default(), rows: BTreeSet::new(), ever: BTreeSet::new() };
        server.play(&before);
        let (backup, known) = (server.rows.clone(), server.ever.clone());
        let mut snapshot = server.sequence;
        if snapshot.is_called {
            snapshot.last_value += ahead * increment;
        }
        server.play(&after);
        let born: BTreeSet<i64> = server.ever.difference(&known).copied().collect();
        let truth = born.difference(&server.rows).count() as u64;

        let last = server.greatest(backup.iter());
        let sign = increment.signum();
        let beyond = server.rows.iter().filter(|n| last.is_none_or(|l| **n * sign > l * sign)).count() as i64;
        let found = bound(&Seen {
            snapshot,
            live: server.sequence,
            last,
            greatest: last,
            live_greatest: server.greatest(server.rows.iter()),
            beyond,
            on_steps: beyond,
            by_default: true,
            sessions: 3,
        });
        let found = found.expect("nothing was set back");
        prop_assert!(found >= truth, "{found} < {truth}");
        // And it says something: not more than what was drawn since, the holes at the end of the backup, and the caches.
        let drawn = born.len() as u64 + 40 * 3;
        prop_assert!(found <= drawn + 3 * (cache as u64 - 1) + 40, "{found}");
    }
}
