//! `reinstate` gives deleted data back to a PostgreSQL application that is still running.
//!
//! Data flows one way, and the modules stand in that order:
//!
//! ```text
//!  snapshot ──┐
//!             ├─ catalog ─ diff ─ evidence ─ closure ─ extract ─ bundle ─ restore ─ verify
//!  live ──────┘                                                             │
//!                                                                        journal
//! ```
//!
//! `catalog` learns both schemas and how they relate, `diff` finds the rows that live lacks, `evidence`
//! tells when they were deleted, `closure` groups them into units with all that belongs to them, `extract` packs the units into a `bundle`, `restore` puts a bundle back
//! batch by batch under the `journal`, and `verify` compares the outcome with the bundle. Beside them, `contacts` tells whom
//! a bundle's rows concern.
//!
//! What holds everywhere: the snapshot is only ever read; no live row that this program did not insert is updated or
//! deleted; units become visible whole or not at all; running again ends where an undisturbed run would have ended.

// The ground: names, time, announcements, the server, throwaway servers.
pub mod clock;
pub mod cluster;
pub mod event;
pub mod ident;
pub mod pg;
// The flow, in order.
pub mod attachments;
pub mod blobs;
pub mod bundle;
pub mod catalog;
pub mod closure;
pub mod contacts;
pub mod diff;
pub mod doctor;
pub mod evidence;
pub mod extract;
pub mod flag;
pub mod hold;
pub mod journal;
pub mod restore;
pub mod verify;
// The shell.
pub mod cli;
