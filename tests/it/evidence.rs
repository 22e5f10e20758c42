//! When was it deleted: each source on a real server, alone and together, and what `extract` and `timeline` make of it.
//!
//! The truth is recorded by the test itself, in plain SQL, as it deletes.

mod audit;
mod bracket;
mod dead_tuples;
mod erasure;
mod excluded;
mod scene;
mod timeline;
mod window;
