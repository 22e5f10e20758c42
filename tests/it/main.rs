//! Integration tests: real PostgreSQL, one binary.

// The configuration allows it within test functions; what they share is test code too.
#![allow(clippy::unwrap_used)]

mod bundle;
mod cluster;
mod docs;
mod edges;
mod extract;
mod pg;
mod postgres;
mod restore;
mod support;
mod tokens;
mod verify;
