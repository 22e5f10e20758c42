//! Everything a running step can announce. Terminal, log file and tests are consumers of the same stream, so that a
//! live run and its record cannot tell different stories.

use serde::Serialize;

use crate::ident::{TableName, UnitId};

/// One announcement.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Work on a table begins; `rows` is what the server estimates.
    TableStarted {
        /// The table.
        table: TableName,
        /// Rows expected, both sides together.
        rows: u64,
    },
    /// So many rows of a table are behind us.
    TableProgress {
        /// The table.
        table: TableName,
        /// Rows done since the last announcement.
        rows: u64,
    },
    /// Work on a table ended.
    TableFinished {
        /// The table.
        table: TableName,
    },
    /// A run begins or goes on.
    RunStarted {
        /// Its id.
        run: String,
        /// Rows of the bundle.
        rows: u64,
    },
    /// A run ended.
    RunFinished {
        /// Its id.
        run: String,
        /// `done`, or why it stopped.
        state: String,
    },
    /// A batch of units was committed.
    BatchCommitted {
        /// Its number in the run.
        batch: i64,
        /// Units in it.
        units: u64,
        /// Rows inserted.
        rows: u64,
        /// Milliseconds from BEGIN to COMMIT.
        milliseconds: u64,
    },
    /// A batch was rolled back and will be tried again.
    BatchRetried {
        /// Why, in the server's words.
        reason: String,
        /// How many units the next attempt takes.
        units: u64,
    },
    /// Triggers changed rows of a batch as they came in.
    RowsChanged {
        /// Its number in the run.
        batch: i64,
        /// The table.
        table: TableName,
        /// Rows that are not as in the bundle.
        rows: u64,
    },
    /// A sequence was moved forward, past keys that come back.
    SequenceMoved {
        /// The sequence, as shown.
        sequence: String,
        /// Where it stood.
        from: i64,
        /// Where it stands.
        to: i64,
    },
    /// A unit was left out.
    UnitQuarantined {
        /// The unit.
        unit: UnitId,
        /// Its root, for people.
        root: String,
        /// Why.
        reason: String,
        /// The server's code, where the server refused.
        sqlstate: Option<String>,
    },
    /// A reference of a row that live still has could not be filled, or emptied again.
    ReferenceRefused {
        /// The row's table.
        table: TableName,
        /// Its key, for people.
        key: String,
        /// Why.
        reason: String,
        /// The server's code, where the server refused.
        sqlstate: Option<String>,
    },
    /// An undo left a row where it is.
    RowKept {
        /// Its table.
        table: TableName,
        /// Its key, for people.
        key: String,
        /// Its unit.
        unit: UnitId,
        /// `kept_changed` or `kept_referenced`.
        state: String,
    },
    /// An undo could not look at a unit, and left it where it is.
    UnitKept {
        /// The unit.
        unit: UnitId,
        /// Its rows.
        rows: u64,
        /// Why.
        reason: String,
        /// The server's code, where the server refused.
        sqlstate: Option<String>,
    },
    /// An undo left a large object where it is.
    LargeObjectKept {
        /// Its number.
        loid: u32,
        /// `kept_changed`, `kept_referenced` or `kept`.
        state: String,
        /// Why.
        reason: String,
    },
    /// Files will be looked for.
    FilesStarted {
        /// Distinct ones are at most these.
        files: u64,
    },
    /// Files were found, or not.
    FilesChecked {
        /// How many since the last announcement.
        files: u64,
    },
    /// A file is back in its primary store.
    FileBack {
        /// The store.
        store: String,
        /// The key.
        key: String,
        /// `undelete`, `older_version`, `server_side` or `streamed`.
        means: String,
    },
    /// A file could not be brought back.
    FileLeft {
        /// The store.
        store: String,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// Something a person should know.
    Note {
        /// The text.
        text: String,
    },
}

/// Where announcements go.
pub type Sink<'a> = &'a (dyn Fn(Event) + Sync);

/// Goes nowhere.
pub fn silent(_: Event) {}
