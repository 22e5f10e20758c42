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

impl std::fmt::Display for Interval {
    /// `[2020-01-21T16:40:00Z, 2020-01-21T17:30:00Z)`, or `[unknown, …)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.from {
            Some(from) => write!(f, "[{from}, {})", self.to),
            None => write!(f, "[unknown, {})", self.to),
        }
    }
}

/// Times for tests: seconds of the epoch.
#[cfg(test)]
pub(super) mod times {
    use super::*;

    /// A moment.
    pub(in crate::evidence) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// From one moment to another.
    pub(in crate::evidence) fn interval(from: i64, to: i64) -> Interval {
        Interval {
            from: Some(at(from)),
            to: at(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interval() -> impl Strategy<Value = Interval> {
        (prop::option::of(0..40_i64), 1..20_i64).prop_map(|(from, length)| {
            let at = |s| Timestamp::from_second(s).unwrap();
            Interval {
                from: from.map(at),
                to: at(from.unwrap_or(0) + length),
            }
        })
    }

    fn holds(interval: Interval, second: i64) -> bool {
        let moment = Timestamp::from_second(second).unwrap();
        interval.from.is_none_or(|from| from <= moment) && moment < interval.to
    }

    proptest! {
        #[test]
        fn an_intersection_holds_what_both_hold(a in interval(), b in interval()) {
            let both = a.intersect(b);
            prop_assert_eq!(both, b.intersect(a));
            for second in -5..70 {
                prop_assert_eq!(both.is_some_and(|i| holds(i, second)), holds(a, second) && holds(b, second));
            }
        }

        #[test]
        fn a_place_says_where_every_moment_lies(a in interval(), window in interval()) {
            let moments: Vec<i64> = (-5..70).filter(|s| holds(a, *s)).collect();
            let inside = moments.iter().filter(|s| holds(window, **s)).count();
            let expected = match inside {
                0 => Place::Outside,
                n if n == moments.len() && (a.from.is_some() || window.from.is_none()) => Place::Inside,
                _ => Place::Straddling,
            };
            prop_assert_eq!(a.place(window), expected);
        }
    }
}
