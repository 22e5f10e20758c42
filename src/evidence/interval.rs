//! Half-open intervals of time. Pure.

use jiff::Timestamp;

/// `[from, to)`; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Not before this; none where nobody knows.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Timestamp,
}

/// Where an interval lies with respect to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Wholly inside.
    Inside,
    /// Wholly outside.
    Outside,
    /// Partly: nobody can say.
    Straddling,
}

impl Interval {
    /// What both allow; none where they contradict each other.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let to = self.to.min(other.to);
        from.is_none_or(|from| from < to)
            .then_some(Self { from, to })
    }

    /// Where it lies with respect to `window`, whose own missing start means "since ever".
    pub fn place(self, window: Self) -> Place {
        let begins_inside = match (self.from, window.from) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(from), Some(start)) => from >= start,
        };
        if begins_inside && self.to <= window.to {
            Place::Inside
        } else if self.intersect(window).is_none() {
            Place::Outside
        } else {
            Place::Straddling
        }
    }
}
