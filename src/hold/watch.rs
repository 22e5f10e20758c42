//! Watches a hold, and gives it up before it harms: the slot itself would fill the disk.

use std::time::Duration;

use crate::event::{Event, Sink};
use crate::journal::{Hold, Holds};
use crate::pg::{Access, Conninfo, Session};

use super::space::Measured;
use super::{HoldError, Limits, slot, unhold};

/// How a hold that was watched ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was given up here, for this reason.
    GivenUp(String),
    /// Somebody else gave it up.
    Elsewhere,
}

/// Looks every few seconds until the hold has ended. A server that cannot be reached is asked again: while it is down,
/// it writes no WAL.
pub async fn watch(
    conninfo: &Conninfo,
    hold: &Hold,
    measured: Option<&Measured>,
    every: Duration,
    sink: Sink<'_>,
) -> Result<Ended, HoldError> {
    let mut session: Option<Session> = None;
    let mut said = Said::default();
    loop {
        let outcome = look(conninfo, &mut session, hold, measured, sink, &mut said).await;
        match outcome {
            Ok(Some(ended)) => return Ok(ended),
            Ok(None) => said.unreachable = false,
            Err(error) if error.may_pass() => {
                session = None;
                if !said.unreachable {
                    let text = format!("not in hand at this moment: {error}; trying again");
                    sink(Event::Note { text });
                }
                said.unreachable = true;
            }
            Err(other) => return Err(other),
        }
        tokio::time::sleep(every).await;
    }
}

/// What was said already.
#[derive(Default)]
struct Said {
    unreachable: bool,
    tenths: u64,
}

async fn look(
    conninfo: &Conninfo,
    session: &mut Option<Session>,
    hold: &Hold,
    measured: Option<&Measured>,
    sink: Sink<'_>,
    said: &mut Said,
) -> Result<Option<Ended>, HoldError> {
    let opened = match session.take().filter(|s| !s.is_closed()) {
        Some(open) => open,
        None => Session::open(conninfo, Access::Writing, "hold").await?,
    };
    let ended = decide(&opened, hold, measured, sink, said).await;
    *session = Some(opened);
    ended
}

async fn decide(
    session: &Session,
    hold: &Hold,
    measured: Option<&Measured>,
    sink: Sink<'_>,
    said: &mut Said,
) -> Result<Option<Ended>, HoldError> {
    // Limits are read again: another `hold` may have changed them.
    let open = Holds::new(session).open().await?;
    let Some(now) = open.filter(|open| open.hold == hold.hold) else {
        return Ok(Some(Ended::Elsewhere));
    };
    let limits = Limits {
        max_wal: now.max_wal,
        margin: now.margin,
    };
    let Some(slot) = slot::look(session).await? else {
        unhold(session, "").await?;
        return Ok(Some(Ended::Elsewhere));
    };
    let free = measured.and_then(|m| m.free().ok());
    let objection = if slot.lost() {
        Some("the server itself took its WAL (max_slot_wal_keep_size, or idle_replication_slot_timeout)".to_owned())
    } else {
        limits.objection(slot.retained, free)
    };
    let Some(reason) = objection else {
        let tenths = slot.retained.0.saturating_mul(10) / limits.max_wal.0.max(1);
        if tenths > said.tenths {
            let free = free
                .map(|f| format!("; {f} of disk are free"))
                .unwrap_or_default();
            let text = format!("{} of {} kept{free}", slot.retained, limits.max_wal);
            sink(Event::Note { text });
            said.tenths = tenths;
        }
        return Ok(None);
    };
    unhold(session, &reason).await?;
    Ok(Some(Ended::GivenUp(reason)))
}
