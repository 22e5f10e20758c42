//! The files that rows point at: where each of them is, in the primary store, in an older version, or in the backup store.
//!
//! `check` reads only; `copy` writes to the primary store. Guarantees: a blob is `lost` only where a store said so in so many words, for its key, and every other place was
//! asked too; what a store would not say is `unverifiable`, with the reason. Memory is bounded, however many blobs there are.

mod check;
mod copy;
mod error;
mod inventory;
mod location;
mod record;
mod row;
mod sort;
mod store;
mod stored_size;
mod wanted;

pub use check::{Checking, Counts, Level, Method, Sides, Strategy, Tally};
pub use copy::{
    BroughtBack, Copied, CopyOptions, Copying, Journal, Means, Outcome, Outcomes, Unfinished,
    rows as blob_rows, wanted as wants_copy,
};
pub use error::CheckError;
pub use inventory::{Listed, read as read_inventory};
pub use location::{Layout, Location, Side, StoreConfig};
pub use record::{Progress, Record};
pub use row::{BlobRow, CopySource, Proof, Seen, State};
pub use store::{
    Condition, Description, Fault, Fetched, Gate, History, Object, Page, Patience, Receiving,
    Store, StoreError, Versioning, Written,
};
pub use stored_size::StoredSize;
pub use wanted::{Blob, Blobs, Expected, Owner, Wanted};
