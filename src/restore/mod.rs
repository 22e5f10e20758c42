//! Room: restore.
