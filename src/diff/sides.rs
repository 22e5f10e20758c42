//! Both sides of a comparison: several reading sessions each.

use futures_util::future::try_join_all;

use crate::pg::{Access, Conninfo, PgError, Session};

/// Sessions with the snapshot and with live, as many on either side.
pub struct Sides {
    /// Sessions with the snapshot.
    pub snapshot: Vec<Session>,
    /// Sessions with live.
    pub live: Vec<Session>,
}

impl Sides {
    /// Opens `jobs` reading sessions a side.
    pub async fn open(snapshot: &Conninfo, live: &Conninfo, jobs: usize) -> Result<Self, PgError> {
        let side = |conninfo: Conninfo| async move {
            try_join_all((0..jobs.max(1)).map(|_| open(&conninfo))).await
        };
        let (snapshot, live) = tokio::try_join!(side(snapshot.clone()), side(live.clone()))?;
        Ok(Self { snapshot, live })
    }
}

/// A session whose plans suit what is asked here: parallelism comes from several sessions, so that `--jobs` means what
/// it says; ranges of a key are read through its index, keys alone without touching the table.
async fn open(conninfo: &Conninfo) -> Result<Session, PgError> {
    let session = Session::open(conninfo, Access::Reading, "diff").await?;
    session
        .batch(
            "preparing to compare",
            "set max_parallel_workers_per_gather = 0; set enable_seqscan = off; set enable_bitmapscan = off;
             set work_mem = '32MB'",
        )
        .await?;
    Ok(session)
}
