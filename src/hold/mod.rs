//! Keeps live's WAL from being recycled: a physical replication slot that reserves it at once, with the disk that it may
//! use measured against the free space, watched, and recorded in the journal.
//!
//! Guarantees that only this program's own slot is ever dropped. Refuses a standby, a server without room for a slot, a
//! role without the right, a disk whose free space nobody knows. Promises nothing else: what was recycled before does
//! not come back, and a slot has no limit of its own, so that somebody must watch it.
//!
//! Source: PostgreSQL manual, 27.2.6 "Replication Slots".

mod checks;
mod error;
mod limits;
mod rate;
mod slot;
mod space;
mod watch;

use crate::journal::{self, Hold, Holds, NewHold};
use crate::pg::{Session, Size};

pub use error::HoldError;
pub use limits::Limits;
pub use rate::Rate;
pub use slot::{SLOT, Slot};
pub use space::{Measured, Space};
pub use watch::{Ended, watch};

/// What the operator asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Most WAL that the slot may keep.
    pub max_wal: Option<Size>,
    /// Free space to be left.
    pub margin: Option<Size>,
    /// Free space, where it cannot be measured.
    pub free_space: Option<Size>,
}

impl Wanted {
    /// Whether what is held already must agree with it.
    fn says_something(&self) -> bool {
        self.max_wal.is_some() || self.margin.is_some() || self.free_space.is_some()
    }
}

/// Who holds: for the journal.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Id of the hold.
    pub hold: String,
    /// Operating system user.
    pub os_user: String,
    /// Host.
    pub host: String,
    /// Command line.
    pub command: String,
}

/// What is held now.
#[derive(Debug)]
pub struct Held {
    /// As the journal has it.
    pub hold: Hold,
    /// The slot.
    pub slot: Slot,
    /// Whether it was made just now.
    pub new: bool,
    /// The disk, where its free space is known.
    pub space: Option<Space>,
    /// Where the server itself gives a slot up, if it does (`max_slot_wal_keep_size`).
    pub server_limit: Option<Size>,
    /// When it gives up a slot that nobody reads from, if it does (`idle_replication_slot_timeout`).
    pub idle_limit: Option<String>,
}

impl Held {
    /// That the disk has no room for what an earlier hold may keep, if so: others have used it since.
    pub fn shortage(&self) -> Option<HoldError> {
        let space = self.space.as_ref().filter(|_| !self.new)?;
        let limits = Limits {
            max_wal: self.hold.max_wal,
            margin: self.hold.margin,
        };
        limits.check(space.free, self.slot.retained).err()
    }
}

/// What became of a hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Unheld {
    /// The slot was dropped; it kept so much.
    Released {
        /// Since when it was held.
        since: String,
        /// WAL that it kept.
        kept: Size,
    },
    /// The journal knew of a hold whose slot somebody had dropped.
    Gone {
        /// Since when it was held.
        since: String,
    },
    /// Nothing was held.
    Nothing,
}

/// Holds WAL from now on, or says since when it is held. Acts at once; a refusal changes nothing.
pub async fn hold(session: &Session, wanted: &Wanted, who: Holder) -> Result<Held, HoldError> {
    checks::server(session).await?;
    if let Some(held) = already(session, wanted).await? {
        return Ok(held);
    }
    checks::room_for_a_slot(session).await?;
    let space = space::find(session, wanted.free_space).await?;
    let limits = Limits::choose(space.free, wanted.max_wal, wanted.margin)?;
    journal::ensure_holds(session).await?;
    let new = NewHold {
        hold: who.hold,
        slot: SLOT.to_owned(),
        max_wal: limits.max_wal,
        margin: limits.margin,
        free_space: space.free,
        os_user: who.os_user,
        host: who.host,
        command: who.command,
    };
    reserve(session, &new).await?;
    let held = already(session, wanted).await?;
    held.map(|held| Held { new: true, ..held })
        .ok_or_else(|| HoldError::Vanished {
            target: session.target().to_string(),
        })
}

/// The journal first: a slot that it does not know is not ours.
async fn reserve(session: &Session, new: &NewHold) -> Result<(), HoldError> {
    let holds = Holds::new(session);
    holds.begin(new).await?;
    match slot::create(session).await {
        Ok(lsn) => Ok(holds.reserved(&new.hold, &lsn).await?),
        Err(error) => {
            let refused = HoldError::refused(session, error);
            holds.end(&new.hold, &refused.to_string()).await?;
            Err(refused)
        }
    }
}

/// What is held already. A hold whose slot is gone is ended in the journal.
async fn already(session: &Session, wanted: &Wanted) -> Result<Option<Held>, HoldError> {
    let holds = Holds::new(session);
    let target = || session.target().to_string();
    let (mut hold, slot) = match (holds.open().await?, slot::look(session).await?) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(HoldError::NotOurs { target: target() }),
        (Some(hold), None) => {
            holds
                .end(&hold.hold, "its slot was dropped by somebody")
                .await?;
            return Ok(None);
        }
        (Some(hold), Some(slot)) => (hold, slot),
    };
    if slot.lost() {
        return Err(HoldError::Lost {
            target: target(),
            since: hold.since,
        });
    }
    let space = space::find(session, wanted.free_space).await.ok();
    let limits = Limits {
        max_wal: wanted.max_wal.unwrap_or(hold.max_wal),
        margin: wanted.margin.unwrap_or(hold.margin),
    };
    if let (true, Some(space)) = (wanted.says_something(), &space) {
        limits.check(space.free, slot.retained)?;
    }
    if (limits.max_wal, limits.margin) != (hold.max_wal, hold.margin) {
        let (max, margin) = (limits.max_wal, limits.margin);
        holds.limit(&hold.hold, max, margin).await?;
        (hold.max_wal, hold.margin) = (max, margin);
    }
    Ok(Some(Held {
        hold,
        slot,
        new: false,
        space,
        server_limit: slot::server_limit(session).await?,
        idle_limit: slot::idle_limit(session).await?,
    }))
}

/// Gives the hold up: drops our slot, and nothing else.
pub async fn unhold(session: &Session, reason: &str) -> Result<Unheld, HoldError> {
    checks::server(session).await?;
    let holds = Holds::new(session);
    match (holds.open().await?, slot::look(session).await?) {
        (None, None) => Ok(Unheld::Nothing),
        (None, Some(_)) => Err(HoldError::NotOurs {
            target: session.target().to_string(),
        }),
        (Some(hold), None) => {
            holds
                .end(&hold.hold, "its slot was dropped by somebody")
                .await?;
            Ok(Unheld::Gone { since: hold.since })
        }
        (Some(hold), Some(slot)) => {
            if let Some(pid) = slot.active_pid {
                return Err(HoldError::InUse {
                    target: session.target().to_string(),
                    pid,
                });
            }
            slot::drop(session).await?;
            holds.end(&hold.hold, reason).await?;
            Ok(Unheld::Released {
                since: hold.since,
                kept: slot.retained,
            })
        }
    }
}
