//! Integration tests: real PostgreSQL, one binary.

// The configuration allows it within test functions; what they share is test code too.
#![allow(clippy::unwrap_used)]

mod bundle;
mod catalog;
mod cluster;
mod diff;
mod edges;
mod pg;
mod postgres_hashes;
mod support;
mod tokens;
