//! Both sides of a comparison: several reading sessions each.

use futures_util::future::try_join_all;

use crate::pg::{Access, Conninfo, PgError, Session};

use super::Depth;

/// Sessions with the snapshot and with live, as many on either side.
pub struct Sides {
    /// Sessions with the snapshot.
    pub snapshot: Vec<Session>,
    /// Sessions with live.
    pub live: Vec<Session>,
}

impl Sides {
    /// Opens `jobs` reading sessions a side.
    pub async fn open(
        snapshot: &Conninfo,
        live: &Conninfo,
        jobs: usize,
        depth: Depth,
    ) -> Result<Self, PgError> {
        let side = |conninfo: Conninfo| async move {
            try_join_all((0..jobs.max(1)).map(|_| open(&conninfo, depth))).await
        };
        let (snapshot, live) = tokio::try_join!(side(snapshot.clone()), side(live.clone()))?;
        Ok(Self { snapshot, live })
    }
}

/// A session whose plans suit what is asked here. Parallelism comes from several sessions, so that `--jobs` means what
/// it says. Ranges of a key are read through its index: keys alone from the index itself; whole rows page by page
/// (a bitmap), which fetches each page once where an index scan looks up every row.
async fn open(conninfo: &Conninfo, depth: Depth) -> Result<Session, PgError> {
    let session = Session::open(conninfo, Access::Reading, "diff").await?;
    let not = match depth {
        Depth::Keys => "enable_bitmapscan",
        Depth::Rows => "enable_indexscan",
    };
    let sql = format!(
        "set max_parallel_workers_per_gather = 0; set enable_seqscan = off; set {not} = off; set work_mem = '32MB'"
    );
    session.batch("preparing to compare", &sql).await?;
    Ok(session)
}
