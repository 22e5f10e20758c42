//! Room: bundle.
