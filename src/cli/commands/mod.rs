//! One file per verb.

mod build;
mod diff;
mod doctor;
mod extract;
mod recorder;
mod restore;
mod verify;

use crate::pg::{Access, Conninfo, Session};

use super::args::Command;
use super::context::Context;
use super::error::{Code, Failure};

/// Runs a command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Code, Failure> {
    match command {
        Command::Doctor => doctor::run(context).await,
        Command::Diff(args) => diff::run(context, args).await,
        Command::Extract(args) => extract::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
    }
}

/// Opens a reading session with both sides and makes sure that they are two databases.
async fn open_both(context: &Context) -> Result<Both, Failure> {
    let (snapshot, live) = (context.snapshot()?, context.live()?);
    let (s, l) = tokio::try_join!(
        Session::open(&snapshot, Access::Reading, "schema"),
        Session::open(&live, Access::Reading, "schema")
    )?;
    if crate::pg::same_database(&s, &l).await? {
        return Err(Failure::refused(format!(
            "--snapshot and --live reach the same database ({})",
            l.target()
        ))
        .hint("the snapshot is a second database, restored from a backup; check both connection strings"));
    }
    Ok(Both {
        snapshot,
        live,
        snapshot_session: s,
        live_session: l,
    })
}

/// Both sides.
struct Both {
    snapshot: Conninfo,
    live: Conninfo,
    snapshot_session: Session,
    live_session: Session,
}
