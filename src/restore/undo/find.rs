//! Which restore is meant, and how far an undo of it has come.

use crate::ident::RunId;
use crate::journal::{self, Recorded, Run, Undos};
use crate::pg::Session;

use super::UndoError;

/// What was asked for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// This run.
    Run(RunId),
    /// The last restore that wrote something and is not yet taken back.
    Last,
}

/// The restore to take back.
#[derive(Debug, Clone)]
pub struct Found {
    /// It.
    pub restore: Run,
    /// Its bundle's id.
    pub bundle: String,
    /// Its undos that have ended, oldest first.
    pub ended: Vec<RunId>,
    /// The undo that is to be gone on with.
    pub unfinished: Option<RunId>,
}

/// Finds it; reads only.
///
/// Errors: `Unknown`, `None`, `NoRestore`.
pub async fn find(session: &Session, asked: &Asked) -> Result<Found, UndoError> {
    let target = session.target().to_string();
    let missing = |asked: &Asked, kept: Option<RunId>| match asked {
        Asked::Run(run) => UndoError::Unknown {
            target: target.clone(),
            run: run.0.clone(),
        },
        Asked::Last => UndoError::None {
            target: target.clone(),
            kept: kept.map(|run| run.0),
        },
    };
    if !journal::exists(session).await? {
        return Err(missing(asked, None));
    }
    let undos = Undos::new(session);
    let recorded = match asked {
        Asked::Run(run) => undos.find(run).await?,
        Asked::Last => undos.last().await?,
    };
    let Some(Recorded { run, kind, bundle }) = recorded else {
        return Err(missing(asked, undos.last_kept().await?));
    };
    if kind != "restore" {
        return Err(UndoError::NoRestore {
            run: run.run.0,
            kind,
        });
    }
    let (mut ended, mut unfinished) = (Vec::new(), None);
    for undo in undos.of(&run.run).await? {
        match undo.state.unfinished() {
            true => unfinished = Some(undo.run),
            false => ended.push(undo.run),
        }
    }
    Ok(Found {
        restore: run,
        bundle,
        ended,
        unfinished,
    })
}
