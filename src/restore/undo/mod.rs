//! Takes a restore back, online: the rows that it inserted, as far as nobody has touched them or built upon them since.
//!
//! ```text
//!  batches of the restore, last first ─▶ piece ─▶ lock ─▶ look again ─▶ decide ─▶ delete ─▶ journal
//! ```
//!
//! References of other rows that the restore filled are emptied first ([`unlink`]), in transactions of their own: a row that one
//! points at could not go. A piece is whole units of one batch, and one transaction, in this order:
//!
//! 1. its row in the journal, so that a retry waits for a predecessor that is still committing;
//! 2. its rows, locked `FOR UPDATE NOWAIT` in key order: where the application holds one, we give way and come back;
//! 3. in a new statement, which sees what was committed meanwhile: is each row still the one that we wrote (`xmin`), and
//!    what refers to it, along every foreign key of live and every declared relation;
//! 4. [`decide`](decide::decide), a pure function: a row goes only where all that refers to it goes with it. Batches are worked
//!    off backwards, so what refers to a row had its turn before: what is kept keeps its ancestors;
//! 5. the rows, deleted in one statement by their place under lock and `xmin`; triggers as a person has said ([`triggers`]);
//! 6. declared relations, which nothing guards, once more; then the journal.
//!
//! Nothing that the restore did not insert is ever deleted, not by a cascade either.

mod attempt;
mod checks;
mod decide;
mod deferred;
mod error;
mod find;
mod look;
mod objects;
mod piece;
mod plan;
mod postponed;
mod remove;
mod run;
mod scope;
mod standing;
mod tally;
mod triggers;
mod unlink;

pub use error::UndoError;
pub use find::{Asked, Found, find};
pub use objects::ObjectTotals;
pub use plan::{Left, UndoPlan, plan};
pub use run::{Undoing, Undone, undo};
pub use tally::{UndoStates, UndoTally};
pub use triggers::TreatedOnDelete;
pub use unlink::UnlinkTotals;
