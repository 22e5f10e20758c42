//! `blobs`: where every file is, asked of real S3 protocol.

mod adapters;
mod copied;
mod copy_disturbed;
mod faults;
mod flagged;
mod found;
mod scene;
mod stores;
