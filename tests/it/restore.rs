//! `restore`: every loss story under `fixtures/` through the harness, and small tests for what a story cannot say.
//!
//! A story is a directory (see `fixtures/README.md`) that says only what to do and what must hold. The harness builds
//! the state before, makes the snapshot, loses the data, extracts, plans, restores, compares, verifies, undoes
//! and restores again, so that no story can forget a step. How a plan is carried out is a parameter of it: undisturbed, or killed.

mod by_hand;
mod by_key;
mod computed;
mod conflicts;
mod cut;
mod dependents;
mod disturbed;
mod filled;
mod foretold;
mod harness;
mod huge_values;
mod identity;
mod interrupted;
mod labels;
mod large;
mod large_objects;
mod ledger;
mod library;
mod locked;
mod neighbours;
mod people;
mod points;
mod random;
mod reached;
mod refused;
mod relinks;
mod renamed;
mod resolve;
mod resolve_again;
mod resolve_resumed;
mod resolve_shapes;
mod retyped;
mod rights;
mod schedules;
mod sequences;
mod skipped;
mod split;
mod stories;
mod story;
mod triggers;
mod undo;
mod undoable;

use by_hand::by_hand;
pub(crate) use harness::{Incident, difference, journal_of};
pub(crate) use ledger::Ledger;
