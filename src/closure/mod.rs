//! Room: closure.
