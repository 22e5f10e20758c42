//! Integration tests: real PostgreSQL, one binary.

mod bundle;
