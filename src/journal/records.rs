//! What the store writes and reads.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{Begun, KeptRow, Postponed, ResolvedRow, RunState};
use crate::ident::{Key, RunId, UnitId};

/// A run as it begins.
pub struct NewRun {
    /// Id.
    pub run: RunId,
    /// `restore` or `undo`.
    pub kind: String,
    /// The bundle's id.
    pub bundle: String,
    /// Version, commit and digest of the build.
    pub tool: String,
    /// Settings that decide what it does.
    pub settings: Value,
    /// Why there was no rehearsal.
    pub unrehearsed: Option<String>,
    /// Who, where, what was typed (without connection strings).
    pub os_user: String,
    /// Host it runs on.
    pub host: String,
    /// Command line.
    pub command: String,
}

/// A run as the journal knows it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Id.
    pub run: RunId,
    /// State.
    pub state: RunState,
}

/// What a batch did to one table.
pub struct BatchRows {
    /// Table, as shown.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows that were there already, with the same content.
    pub already_present: u64,
    /// Rows that an earlier run inserted and somebody deleted since.
    pub gone_since: u64,
}

/// A unit that was left out.
#[derive(Debug, Clone)]
pub struct QuarantinedUnit {
    /// The unit.
    pub unit: UnitId,
    /// Table of its root, as shown.
    pub root_table: String,
    /// Key of its root.
    pub root_key: Key,
    /// Why.
    pub reason: String,
    /// The server's code, where it refused.
    pub sqlstate: Option<String>,
    /// Rows by table, as shown.
    pub rows: BTreeMap<String, u64>,
}

/// What earlier runs, and this one so far, did with a bundle's units.
#[derive(Debug, Default)]
pub struct History {
    /// Units restored by the run at hand.
    pub done: HashSet<UnitId>,
    /// Units restored by earlier runs of the same bundle, and not taken back since.
    pub earlier: HashSet<UnitId>,
    /// Units of which some parts have come back, and not all.
    pub begun: HashMap<UnitId, Begun>,
    /// References of parts that have come back which are still to be filled.
    pub postponed: Vec<Postponed>,
    /// Rows that an undo left where they were, of units that it took back.
    pub kept: HashSet<KeptRow>,
    /// Rows of units that came back, and are still, that did not go in as they are.
    pub resolved: Vec<ResolvedRow>,
    /// Units that the last run left out.
    pub quarantined: HashSet<UnitId>,
    /// The highest batch of the run at hand.
    pub last_batch: i64,
}
