//! `blobs`: where every file is, asked of real S3 protocol.

mod adapters;
mod faults;
mod found;
mod scene;
mod stores;
