//! Room: catalog.
