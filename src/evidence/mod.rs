//! When was it deleted: evidence from several sources, each an interval, combined.
//!
//! A source dates as many candidates as it can. What it says of one is a [`Testimony`]: a half-open interval in which the
//! deletion was committed, and the transaction where it is known. Testimonies of one candidate are intersected; where
//! they contradict each other that is kept and reported, never resolved.
//!
//! Guarantees: nothing is asserted that a source does not say; a candidate that no source dates has the widest interval
//! that the two databases allow, `[snapshot time or unknown, now)`.

mod interval;

pub use interval::{Interval, Place};
