//! One file per verb.

mod blobs;
mod build;
mod contacts;
mod declared;
mod diff;
mod doctor;
mod extract;
mod flag;
mod given;
mod hold;
mod init;
mod recorder;
mod renamed;
mod restore;
mod select;
mod sources;
mod timeline;
mod undecided;
mod undo;
mod verify;

use tokio::signal::unix::{SignalKind, signal};

use crate::bundle::Manifest;
use crate::pg::{Access, Conninfo, Session};

use super::args::{Blobs, Command};
use super::context::Context;
use super::error::{Code, Failure};

/// Runs a command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Code, Failure> {
    match command {
        // Stops between two batches by itself.
        Command::Restore(args) if args.execute => restore::run(context, args).await,
        Command::Undo(args) if args.execute => undo::run(context, args).await,
        // Stops between two files by itself.
        Command::Blobs(Blobs::Copy(args)) if args.execute => {
            blobs::run(context, Blobs::Copy(args)).await
        }
        Command::Flag(args) if args.execute => flag::run(context, args).await,
        Command::Unflag(args) if args.execute => flag::unflag(context, args).await,
        // Acts at once, and has its own word on being interrupted.
        Command::Hold(args) => hold::run(context, args).await,
        Command::Unhold => hold::unhold(context).await,
        reading => tokio::select! {
            done = read(context, reading) => done,
            () = stop_asked() => {
                context.ui.status("interrupted; nothing was changed");
                Ok(Code::Interrupted)
            }
        },
    }
}

/// The commands that change no database: dropping them removes what they had begun to write.
async fn read(context: &Context, command: Command) -> Result<Code, Failure> {
    match command {
        Command::Doctor => doctor::run(context).await,
        Command::Hold(args) => hold::run(context, args).await,
        Command::Unhold => hold::unhold(context).await,
        Command::Init => init::run(context).await,
        Command::Diff(args) => diff::run(context, args).await,
        Command::Timeline(args) => timeline::run(context, args).await,
        Command::Extract(args) => extract::run(context, args).await,
        Command::Contacts(args) => contacts::run(context, args).await,
        Command::Blobs(args) => blobs::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Flag(args) => flag::run(context, args).await,
        Command::Unflag(args) => flag::unflag(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Undo(args) => undo::run(context, args).await,
    }
}

/// Returns at the next SIGINT or SIGTERM.
async fn stop_asked() {
    let (Ok(mut int), Ok(mut term)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers the signals end the process, as they always do.
        return std::future::pending().await;
    };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}

/// Opens a reading session with both sides and makes sure that they are two databases.
async fn open_both(context: &Context) -> Result<Both, Failure> {
    let (snapshot, live) = (context.snapshot()?, context.live()?);
    let (s, l) = tokio::join!(
        context.open(&snapshot, Access::Reading, "schema"),
        context.open(&live, Access::Reading, "schema")
    );
    let (s, l) = (
        s.map_err(|e| e.about("snapshot"))?,
        l.map_err(|e| e.about("live"))?,
    );
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

/// Refuses a live that is the snapshot, where the snapshot is known: a swapped connection string would otherwise find
/// everything in its place. A snapshot that cannot be reached any more is passed over.
async fn refuse_snapshot(context: &Context, live: &Session) -> Result<(), Failure> {
    if !context.has_snapshot() {
        return Ok(());
    }
    let opened = context
        .open(&context.snapshot()?, Access::Reading, "schema")
        .await;
    let Ok(snapshot) = opened else {
        context.ui.detail(
            "the snapshot cannot be reached; whether live is another database was not checked",
        );
        return Ok(());
    };
    if crate::pg::same_database(&snapshot, live).await? {
        return Err(
            Failure::refused(format!("--live reaches the snapshot ({})", live.target()))
                .hint("the snapshot is only ever read; check --live and REINSTATE_LIVE"),
        );
    }
    Ok(())
}

/// Says of rows of an older bundle that they come back under strangers. Where the bundle has what tells them, `restore` looks.
fn warn_of_parents(context: &Context, manifest: &Manifest) {
    if manifest.format.minor >= 2 {
        return;
    }
    for parent in &manifest.doubtful_parents {
        let warning = format!("{}, and they come back under them", parent.describe());
        context.ui.warning(&warning);
    }
}

/// Both sides.
struct Both {
    snapshot: Conninfo,
    live: Conninfo,
    snapshot_session: Session,
    live_session: Session,
}
