//! Rows are looked up by index, and no batch reads a whole table.

use super::{Incident, Ledger};

const SETUP: &str = "
create table roots (id int primary key, note text);
create table children (id int primary key, root_id int not null references roots, note text);
create index on children (root_id);
insert into roots select n, repeat('r', 50) from generate_series(1, 12000) n;
insert into children select n, 1 + n % 12000, repeat('c', 50) from generate_series(1, 36000) n;
analyze";

/// Small enough, beside a batch, for the server's own settings to read it whole.
const LOSS: &str = "
delete from children where root_id % 4 = 0;
delete from roots where id % 4 = 0;
analyze";

#[test]
fn no_batch_reads_a_whole_table() {
    let incident = Incident::new(SETUP, LOSS);
    incident.extract(&["--root", "roots"]);
    let sum = "select sum(seq_scan)::int8 from pg_stat_user_tables where schemaname = 'public'";
    let whole = || incident.live.count(sum);
    for command in ["restore", "verify", "undo"] {
        let before = whole();
        let output = match command {
            "restore" => incident.restore(),
            "verify" => incident.verify(&[]),
            _ => incident.undo(),
        };
        Ledger::of(&output.ok());
        let batches = incident
            .live
            .count("select count(*) from reinstate.batch_rows");
        assert!(batches >= 6, "{batches} batches tell nothing");
        let read = whole() - before;
        assert!(read < 4, "{command} read a table whole {read} times");
    }
}
