//! Marks records whose files are lost, in live, so that the application can say so to the people concerned; and takes the marks off again
//! where a file has turned up.
//!
//! What is known of the files is `blobs.jsonl`; a mark is a row of `reinstate.flagged_record`. Guarantees: every notice is rendered
//! before the first mark is written, so that a template fails in the plan and not half-way; a mark is written in the same transaction as
//! what the operator's SQL does about it; marking again changes nothing. Records that live does not have are not marked.
//!
//! Memory: a few hundred marks at a time.

mod error;
mod lost;
mod marks;
mod notices;
mod records;
mod run;
mod table;

pub use error::FlagError;
pub use lost::{WhoLost, who_lost};
pub use marks::{Mark, Marks, Step};
pub use notices::{Notice, Notices};
pub use run::{Flagged, Flags, OperatorSql};
