//! Integration tests: real PostgreSQL, one binary.
