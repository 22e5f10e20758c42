//! What there is to say about a hold, for people and for programs.

use serde_json::json;

use crate::hold::{Held, Measured, Rate, SLOT, Space};
use crate::pg::{Size, lasting};

use super::document;

/// What a slot is not.
const NOT_PROMISED: &str = "not promised: WAL from before that point is recycled as ever (copy pg_wal away), what was recycled does not come \
                            back, a failover leaves the slot behind, and the archive expires as it always did";

/// What there is to say about a hold.
pub(super) struct Facts {
    pub(super) target: String,
    pub(super) held: Held,
    pub(super) rate: Rate,
    /// Seconds until the limit is reached.
    pub(super) lasts: f64,
}

impl Facts {
    pub(super) fn new(target: String, held: Held, rate: Rate) -> Self {
        let (hold, kept) = (&held.hold, held.slot.retained);
        let room = hold.max_wal.0.saturating_sub(kept.0);
        let spare = |s: &Space| s.free.0.saturating_sub(hold.margin.0);
        let room = room.min(held.space.as_ref().map_or(u64::MAX, spare));
        Self {
            target,
            lasts: rate.lasts(Size(room)),
            held,
            rate,
        }
    }

    pub(super) fn measured(&self) -> Option<&Measured> {
        self.held.space.as_ref()?.measured.as_ref()
    }

    pub(super) fn text(&self) -> Vec<String> {
        let (hold, slot) = (&self.held.hold, &self.held.slot);
        let word = if self.held.new {
            "held"
        } else {
            "already held"
        };
        let mut lines = vec![
            format!("{word}: {}", self.target),
            format!(
                "slot {SLOT} keeps WAL from {} on, since {}, by {}",
                slot.restart_lsn.as_deref().unwrap_or("?"),
                hold.since,
                hold.by
            ),
            format!(
                "it keeps {} now and may keep {}{}",
                slot.retained,
                hold.max_wal,
                self.disk()
            ),
            self.speed(),
        ];
        if let Some(limit) = self.held.server_limit {
            lines.push(format!(
                "the server itself gives a slot up at {limit} (max_slot_wal_keep_size)"
            ));
        }
        if let Some(limit) = &self.held.idle_limit {
            lines.push(format!(
                "the server itself gives up a slot that nobody reads from after {limit} (idle_replication_slot_timeout): \
                 set it to 0"
            ));
        }
        lines.push(NOT_PROMISED.to_owned());
        lines
    }

    fn disk(&self) -> String {
        let Some(space) = &self.held.space else {
            return String::new();
        };
        let place = match &space.measured {
            None => "as you say".to_owned(),
            Some(m) if m.is_wal => format!("in {}", m.directory.display()),
            Some(m) => format!(
                "in {}; if pg_wal is on another disk, say --free-space",
                m.directory.display()
            ),
        };
        format!(
            "; {} are free ({place}), of which {} are to stay free",
            space.free, self.held.hold.margin
        )
    }

    fn speed(&self) -> String {
        let average = self
            .rate
            .average
            .map_or_else(String::new, |a| format!(" ({} on average)", Size(a as u64)));
        format!(
            "{} of WAL a second at this moment{average}: the limit is reached in {}",
            Size(self.rate.now as u64),
            lasting(self.lasts)
        )
    }

    pub(super) fn document(&self, watched: Option<&str>) -> String {
        let (hold, slot) = (&self.held.hold, &self.held.slot);
        let free = self.held.space.as_ref().map(|s| s.free);
        let lasts = self.lasts.is_finite().then_some(self.lasts as u64);
        document(
            "hold",
            vec![
                (
                    "state",
                    json!(if self.held.new {
                        "held"
                    } else {
                        "already_held"
                    }),
                ),
                ("watch", json!(watched)),
                ("slot", json!(SLOT)),
                ("since", json!(hold.since)),
                ("by", json!(hold.by)),
                ("restart_lsn", json!(slot.restart_lsn)),
                ("retained_bytes", json!(slot.retained)),
                ("max_wal_bytes", json!(hold.max_wal)),
                ("margin_bytes", json!(hold.margin)),
                ("free_bytes", json!(free)),
                ("wal_bytes_per_second", json!(self.rate.now as u64)),
                (
                    "average_wal_bytes_per_second",
                    json!(self.rate.average.map(|a| a as u64)),
                ),
                ("seconds_left", json!(lasts)),
            ],
        )
    }
}
