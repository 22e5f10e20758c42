//! How much disk a hold may use. Pure.

use crate::pg::Size;

use super::HoldError;

/// What a hold may use, and what it must leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most WAL that the slot may keep.
    pub max_wal: Size,
    /// Free space that is to be left.
    pub margin: Size,
}

impl Limits {
    /// What was asked for, or half of the free space and a tenth as margin.
    ///
    /// Errors: `TooMuch` where that is more than there is.
    pub fn choose(
        free: Size,
        max_wal: Option<Size>,
        margin: Option<Size>,
    ) -> Result<Self, HoldError> {
        let margin = margin.unwrap_or(Size(free.0 / 10));
        let room = free.0.saturating_sub(margin.0);
        let max_wal = max_wal.unwrap_or(Size((free.0 / 2).min(room)));
        let limits = Self { max_wal, margin };
        limits.check(free, Size(0))?;
        Ok(limits)
    }

    /// Whether there is room for that. What is kept already is no longer free, and need not be.
    ///
    /// Errors: `TooMuch`.
    pub fn check(&self, free: Size, kept: Size) -> Result<(), HoldError> {
        let room = free.0.saturating_add(kept.0).saturating_sub(self.margin.0);
        if self.max_wal.0 == 0 || self.max_wal.0 > room {
            return Err(HoldError::TooMuch {
                asked: self.max_wal,
                margin: self.margin,
                free,
                kept,
            });
        }
        Ok(())
    }

    /// Why the slot must be given up, if it must.
    pub fn objection(&self, retained: Size, free: Option<Size>) -> Option<String> {
        if retained >= self.max_wal {
            return Some(format!(
                "it kept {retained} of WAL, and {} is the limit",
                self.max_wal
            ));
        }
        let free = free.filter(|free| *free < self.margin)?;
        Some(format!(
            "{free} of disk were left, and {} are to stay free",
            self.margin
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    fn choose(free: u64, max: Option<u64>, margin: Option<u64>) -> Option<(u64, u64)> {
        let size = |n: Option<u64>| n.map(|n| Size(n * GB));
        let limits = Limits::choose(Size(free * GB), size(max), size(margin)).ok()?;
        Some((limits.max_wal.0 / GB, limits.margin.0 / GB))
    }

    #[test]
    fn half_of_what_is_free_at_the_most_and_a_margin_in_any_case() {
        assert_eq!(choose(100, None, None), Some((50, 10)));
        assert_eq!(choose(100, Some(90), None), Some((90, 10)));
        assert_eq!(choose(100, Some(91), None), None);
        assert_eq!(choose(100, None, Some(70)), Some((30, 70)));
        assert_eq!(choose(100, None, Some(100)), None);
        assert_eq!(choose(0, None, None), None);
    }

    #[test]
    fn what_is_kept_already_need_not_be_free() {
        let limits = Limits {
            max_wal: Size(10 * GB),
            margin: Size(GB),
        };
        assert!(limits.check(Size(11 * GB), Size(0)).is_ok());
        assert!(limits.check(Size(6 * GB), Size(5 * GB)).is_ok());
        let refused = limits.check(Size(2 * GB), Size(5 * GB)).unwrap_err();
        let said = "10 GB of WAL and a margin of 1 GB are more than the 2 GB that are free and the 5 GB that the slot keeps \
                    already: ask for less (--max-wal, --margin), free some space, or give it up (reinstate unhold)";
        assert_eq!(refused.to_string(), said);
    }

    #[test]
    fn either_limit_ends_it() {
        let limits = Limits {
            max_wal: Size(10 * GB),
            margin: Size(GB),
        };
        let objection =
            |kept, free: Option<u64>| limits.objection(Size(kept), free.map(|f| Size(f * GB)));
        assert_eq!(objection(10 * GB - 1, Some(1)), None);
        assert_eq!(objection(0, None), None);
        let said = objection(10 * GB, Some(50)).unwrap();
        assert_eq!(said, "it kept 10 GB of WAL, and 10 GB is the limit");
        let said = objection(1, Some(0)).unwrap();
        assert_eq!(said, "0 bytes of disk were left, and 1 GB are to stay free");
    }
}
