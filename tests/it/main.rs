//! Integration tests: real PostgreSQL, one binary.

mod cluster;
mod edges;
mod support;
