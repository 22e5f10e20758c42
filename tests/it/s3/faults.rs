//! What goes wrong on purpose.

use std::time::Duration;

/// What happens instead of an answer, or to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// This status, with this code where there is a body.
    Refuse(u16, &'static str),
    /// The same, with a `Date` an hour ahead.
    Skewed,
    /// The answer comes that much later.
    Late(Duration),
    /// Half of the body, and then the connection is closed.
    Cut,
    /// Half of the body, and then nothing.
    Stall,
    /// The body with its first byte changed.
    Corrupt,
}

/// When it happens.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// `list`, `versions`, `versioning`, `head`, `get`; empty: any.
    pub(crate) op: &'static str,
    /// Only requests whose path ends so.
    pub(crate) key: String,
    /// So many are let through first.
    pub(crate) after: usize,
    /// So many are hit then.
    pub(crate) times: usize,
    pub(crate) what: What,
}

impl Rule {
    /// Hits every request of that kind.
    pub(crate) fn always(op: &'static str, what: What) -> Self {
        Self {
            op,
            key: String::new(),
            after: 0,
            times: usize::MAX,
            what,
        }
    }

    /// Hits the first `times` of them.
    pub(crate) fn first(times: usize, op: &'static str, what: What) -> Self {
        Self {
            times,
            ..Self::always(op, what)
        }
    }

    /// Lets so many through first.
    pub(crate) fn after(mut self, after: usize) -> Self {
        self.after = after;
        self
    }

    /// Only of this key.
    pub(crate) fn of(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// Whether a request is hit; counts it.
    pub(super) fn hits(&mut self, op: &str, path: &str) -> bool {
        if (!self.op.is_empty() && self.op != op) || !path.ends_with(&self.key) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        let hit = self.times > 0;
        self.times = self.times.saturating_sub(1);
        hit
    }
}
