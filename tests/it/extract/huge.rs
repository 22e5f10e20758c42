//! A value that the server cannot write as text.

use super::refused;
use crate::restore::{Incident, Ledger};
use crate::support::{Case, copy_database, database, long};

/// A bytea's text is twice as long as it is, and the server makes no text of a gigabyte. Takes a few gigabytes of memory.
#[test]
fn a_row_whose_text_is_too_long_is_named() {
    if !long() {
        return;
    }
    let live = database();
    live.run(
        "create table files (id int primary key, name text);
         create table parts (id int primary key, file_id int references files on delete cascade, content bytea);
         alter table parts alter content set storage external;
         insert into files select n, 'file ' || n from generate_series(1, 9) n;
         insert into parts select n, n, 'x' from generate_series(1, 9) n;
         update parts set content = convert_to(repeat('x', 540000000), 'UTF8') where id = 5",
    );
    let snapshot = copy_database(&live);
    live.run("delete from files where id between 3 and 7");
    // pg_dump cannot write such a row either.
    let incident = Incident {
        snapshot,
        live,
        case: Case::new(),
        before: String::new(),
        after_loss: String::new(),
        restore_args: Vec::new(),
        undo_args: Vec::new(),
    };
    refused(
        &incident,
        &[],
        2,
        &["public.parts", "key 5", "1 GB", "--where"],
    );
    let extracted = incident.extract(&["--root", "files", "--where", "id <> 5"]);
    assert_eq!(extracted.total("rows"), 8);
    Ledger::of(&incident.restore().ok()).expect(&[("inserted", 8)]);
}
