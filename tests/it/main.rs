//! Integration tests: real PostgreSQL, one binary.

// The configuration allows it within test functions; what they share is test code too.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod blobs;
mod bundle;
mod catalog;
mod cli;
mod cluster;
mod contacts;
mod diff;
mod docs;
mod doctor;
mod edges;
mod evidence;
mod extract;
mod hold;
mod init;
mod pg;
mod postgres;
mod postgres_hashes;
mod restore;
mod s3;
mod support;
mod tokens;
mod verify;
