//! What can be recovered, with which rights, what stands in the way, and what is decaying right now: findings, each with
//! a level. Reads only; every question is bounded, and one that is not answered is a finding, never a failure.
//!
//! Works with whatever is there already: live alone before a backup is restored, then both sides. [`draft`] writes a
//! configuration from the same findings.

mod activity;
mod both;
mod clocks;
mod draft;
mod finding;
mod isolation;
mod managed;
mod measure;
mod origin;
mod references;
mod rights;
mod server;
mod sizes;
mod suspect;
mod tables;
mod wal;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::catalog::{Relation, Rename, Renames, Schema, guess_renames, introspect};
use crate::clock::Clock;
use crate::ident::TableName;
use crate::pg::{Session, same_database};

pub use draft::{Draft, draft};
pub use finding::{Finding, Findings, Level, Side};
use measure::Sampling;

pub use suspect::{Class, Points, Rate, Suspect, Target};

/// Oldest server version that is supported.
pub const OLDEST: u32 = 14;
/// Newest server version that this build was tested with.
pub const NEWEST: u32 = 18;

/// Longest wait for a lock, and longest time of one question.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What there is to look at.
pub struct Given<'a> {
    /// Production, where it could be reached.
    pub live: Option<&'a Session>,
    /// The restored backup, where there is one.
    pub snapshot: Option<&'a Session>,
    /// Relations that the configuration states.
    pub declared: &'a [Relation],
    /// Tables and columns that the configuration says were renamed since the backup.
    pub renames: &'a [Rename],
    /// When the backup was taken, where that is known already.
    pub snapshot_time: Option<&'a str>,
    /// This machine's time.
    pub clock: &'a dyn Clock,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Examination {
    /// The findings.
    pub findings: Findings,
    /// Columns that look like references which nothing states, measured.
    pub suspects: Vec<Suspect>,
    /// Live's schema; the snapshot's where live could not be read.
    pub schema: Option<Schema>,
    /// What may have been renamed since the backup.
    pub renames: Vec<Rename>,
    /// The time of the last transaction that the snapshot replayed, where it says so (RFC 3339).
    pub snapshot_time: Option<String>,
    /// Tables of live with dead rows that can be evidence: they are not read.
    spared: BTreeSet<TableName>,
}

/// Looks at what could be connected to.
pub async fn examine(given: &Given<'_>) -> Examination {
    let mut exam = Examination::default();
    let live = look_at_live(given, &mut exam).await;
    let snapshot = look_at_snapshot(given, &mut exam).await;
    let snapshot = snapshot.map(|s| renamed(given, live.as_ref(), s, &mut exam.findings));
    references(given, live.as_ref(), snapshot.as_ref(), &mut exam).await;
    if let (Some(live), Some(snapshot)) = (&live, &snapshot) {
        compare(given, live, snapshot, &mut exam.findings).await;
        exam.renames = guess_renames(snapshot, live);
    }
    exam.schema = live.or(snapshot);
    exam
}

async fn look_at_live(given: &Given<'_>, exam: &mut Examination) -> Option<Schema> {
    let session = given.live?;
    let found = &mut exam.findings;
    let schema = look_at_side(session, Side::Live, given.clock, found).await?;
    // Sampled twice, with everything else in between.
    let before = activity::sample(session).await;
    let outcome = rights::look(session, &schema, found).await;
    found.unless_seen(session, Side::Live, "rights", outcome);
    managed::look(session, found).await;
    wal::look(session, found).await;
    sizes::look(session, &schema, found).await;
    exam.spared = activity::look(session, before, found).await;
    Some(schema)
}

async fn look_at_snapshot(given: &Given<'_>, exam: &mut Examination) -> Option<Schema> {
    let session = given.snapshot?;
    let found = &mut exam.findings;
    let schema = look_at_side(session, Side::Snapshot, given.clock, found).await?;
    let same_server = origin::look(session, given.live, found).await;
    if !same_server {
        isolation::look(session, found).await;
    }
    exam.snapshot_time = origin::time(session, given.snapshot_time, found).await;
    Some(schema)
}

/// The snapshot's schema in live's names, as far as the configuration states them. An entry that cannot be followed is a finding.
fn renamed(
    given: &Given<'_>,
    live: Option<&Schema>,
    snapshot: Schema,
    found: &mut Findings,
) -> Schema {
    if let Some(Err(error)) = live.map(|live| Renames::check(given.renames, &snapshot, live)) {
        found
            .add(Level::Problem, Side::Both, "rename", error.to_string())
            .advice("every command that compares the two sides refuses it");
    }
    Renames::of(given.renames, &snapshot).apply(snapshot)
}

/// What is asked of either side; `None` where nothing more can be asked.
async fn look_at_side(
    session: &Session,
    side: Side,
    clock: &dyn Clock,
    found: &mut Findings,
) -> Option<Schema> {
    if server::version(session, side, found) == Level::Problem {
        // Too old to be asked more.
        return None;
    }
    let bounded = session.set_timeouts(PATIENCE.0, PATIENCE.1).await;
    found.unless_seen(session, side, "the server", bounded);
    let outcome = server::look(session, side, found).await;
    found.unless_seen(session, side, "role and state", outcome);
    let outcome = clocks::look(session, side, clock, found).await;
    found.unless_seen(session, side, "the clock", outcome);
    let schema = match introspect(session).await {
        Ok(schema) => schema,
        Err(error) => {
            found
                .add(Level::Problem, side, "schema_unread", error.to_string())
                .advice("without the schema there is nothing to compare");
            return None;
        }
    };
    let outcome = tables::look(session, side, &schema, found).await;
    found.unless_seen(session, side, "row-level security", outcome);
    Some(schema)
}

/// References are read from live where it can be reached (the closure uses both), and measured in the snapshot where
/// there is one: in live, what the incident deleted is missing.
async fn references(
    given: &Given<'_>,
    live: Option<&Schema>,
    snapshot: Option<&Schema>,
    exam: &mut Examination,
) {
    let (side, schema) = match (live, snapshot) {
        (Some(schema), _) => (Side::Live, schema),
        (None, Some(schema)) => (Side::Snapshot, schema),
        (None, None) => return,
    };
    references::foreign_keys(side, schema, &mut exam.findings);
    exam.suspects = suspect::suspects(schema, given.declared);
    let measured_in = match (snapshot, given.snapshot, live, given.live) {
        (Some(schema), Some(session), ..) => Some((Side::Snapshot, session, schema)),
        (_, _, Some(schema), Some(session)) => Some((Side::Live, session, schema)),
        _ => None,
    };
    if let Some((measured, session, schema)) = measured_in {
        let sampling = Sampling {
            session,
            schema,
            spared: match measured {
                Side::Live => &exam.spared,
                _ => &BTreeSet::new(),
            },
        };
        measure::measure(&sampling, measured, &mut exam.suspects, &mut exam.findings).await;
    }
    references::suspects(side, &exam.suspects, &mut exam.findings);
}

async fn compare(given: &Given<'_>, live: &Schema, snapshot: &Schema, found: &mut Findings) {
    let (Some(l), Some(s)) = (given.live, given.snapshot) else {
        return;
    };
    match same_database(l, s).await {
        Ok(true) => {
            found
                .add(
                    Level::Problem,
                    Side::Both,
                    "same_database",
                    "live and snapshot are the same database",
                )
                .advice("the snapshot is a second database, restored from a backup: check both connection strings");
        }
        Ok(false) => {
            both::look(snapshot, live, found);
            clocks::compare(found);
            sizes::estimate(live, snapshot, found);
        }
        Err(error) => {
            let what = "whether they are two databases";
            found.unless_seen(l, Side::Both, what, Err(error));
        }
    }
}
