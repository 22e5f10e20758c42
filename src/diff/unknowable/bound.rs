//! How many numbers a sequence can have handed out that no row has: arithmetic only.
//!
//! Numbers are counted from the last one that the backup has a row for, not from where the backup's sequence stands: a
//! dump reads its sequences after its rows, and a physical copy's run up to 32 numbers ahead (the server logs so many
//! beforehand). Rows in the backup with keys beyond its sequence were not numbered by it, and do not count as the last.
//!
//! A sequence that was set back is noticed where it stands before the backup's, or where live has numbers beyond it. One
//! that was set back less far, with nothing left beyond it (`setval` to the greatest number after a purge), looks like one
//! that never moved: every bound assumes that this did not happen, and says so.

/// A sequence, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) increment: i64,
    pub(super) cycle: bool,
    pub(super) cache: i64,
    pub(super) start: i64,
    pub(super) last_value: i64,
    /// Whether `last_value` itself was handed out.
    pub(super) is_called: bool,
}

impl Position {
    /// The last number handed out. `up` makes a descending sequence ascend.
    fn at(&self) -> i128 {
        let last = self.up(self.last_value);
        last - if self.is_called { 0 } else { self.step() }
    }

    fn step(&self) -> i128 {
        i128::from(self.increment).abs()
    }

    /// The number before the first.
    fn begin(&self) -> i128 {
        self.up(self.start) - self.step()
    }

    fn up(&self, number: i64) -> i128 {
        i128::from(number) * i128::from(self.increment.signum())
    }
}

/// What both sides say of a numbered column. "Greatest" and "beyond" follow the sequence's direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) snapshot: Position,
    pub(super) live: Position,
    /// The backup's greatest number that its sequence can have handed out.
    pub(super) last: Option<i64>,
    /// The backup's greatest number.
    pub(super) greatest: Option<i64>,
    /// Live's greatest number.
    pub(super) live_greatest: Option<i64>,
    /// Rows of live beyond `last` whose number was handed out at the latest at `live.last_value`.
    pub(super) beyond: i64,
    /// Those of them that lie a whole number of increments before it.
    pub(super) on_steps: i64,
    /// The column's default (or identity) draws the numbers: none but those handed out are used.
    pub(super) by_default: bool,
    /// Sessions that can hold numbers back.
    pub(super) sessions: i64,
}

/// Numbers that no row of live has, or why that cannot be bounded.
pub(super) fn bound(seen: &Seen) -> Result<u64, String> {
    let (before, now) = (&seen.snapshot, &seen.live);
    if before.cycle || now.cycle {
        return Err("its sequence starts over when it ends (CYCLE)".into());
    }
    if before.increment.signum() != now.increment.signum() {
        return Err("its sequence counts the other way now".into());
    }
    let last = seen.last.map_or(now.begin(), |n| now.up(n));
    let reached = now.at();
    // A physical copy is ahead by what the server had logged beforehand.
    let ahead = LOGGED_AHEAD * before.step();
    if reached < last || reached < before.at() - ahead {
        return Err("its sequence was set back since the backup".into());
    }
    // One call may stand for as many numbers as the increment (an application that fetches them in blocks).
    let overhang = now.step() - 1;
    let theirs = seen.live_greatest.map(|n| now.up(n));
    let known = seen.greatest.map(|n| now.up(n));
    if theirs > known && theirs.is_some_and(|n| n > reached + overhang) {
        return Err(
            "live has numbers beyond its sequence: it was set back, or they are written by hand"
                .into(),
        );
    }
    let in_steps = seen.by_default
        && before.increment == now.increment
        && seen.on_steps == seen.beyond
        && (reached - last) % now.step() == 0;
    let (numbers, taken) = if in_steps {
        ((reached - last) / now.step(), seen.on_steps)
    } else {
        (reached - last + overhang, seen.beyond)
    };
    let held_back = i128::from(now.cache.max(before.cache) - 1) * i128::from(seen.sessions);
    let left = numbers - i128::from(taken) + held_back;
    Ok(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
}

/// Numbers that the server logs as handed out before they are (`SEQ_LOG_VALS` in `sequence.c`).
const LOGGED_AHEAD: i128 = 32;

#[cfg(test)]
mod tests;
