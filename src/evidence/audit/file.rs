//! A log in a file. What is wrong with it is told with its line.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use super::AuditLog;
use super::log::Record;
use crate::diff::Candidates;
use crate::evidence::EvidenceError;
use crate::evidence::listing::{check_file, read_file, resolve};
use crate::pg::Session;

/// The records of candidates, by node. Those without a time are passed over, as a query's are.
pub(super) async fn read(
    log: &AuditLog,
    path: &Path,
    snapshot: &Session,
    (candidates, table): (&Candidates, usize),
    notes: &mut Vec<String>,
) -> Result<HashMap<u32, Vec<Record>>, EvidenceError> {
    let wrong = |reason: &str| log.wrong(reason);
    let key = &candidates.tables[table].key;
    let listing = read_file(path, key, &["deleted_at"], &["xid"]).map_err(|e| wrong(&e))?;
    let source = &candidates.tables[table].snapshot;
    check_file(snapshot, (source, key), (path, &listing), &wrong).await?;
    let nodes = resolve(snapshot, candidates, table, &listing.keys).await?;
    let mut records: HashMap<u32, Vec<Record>> = HashMap::new();
    for (n, node) in nodes {
        let [time, xid] = [0, 1].map(|c| listing.others[n][c].as_deref());
        let Some(time) = time else {
            continue;
        };
        let place = format!("{}, line {}", path.display(), listing.lines[n]);
        let deleted_at = time.parse::<Timestamp>().map_err(|_| {
            wrong(&format!(
                "{place}: `{time}` is not an RFC 3339 time with an offset, such as 2020-01-21T16:40:00+01:00"
            ))
        })?;
        let no_xid = |x: &str| wrong(&format!("{place}: `xid` is `{x}`, which is no transaction"));
        let xid = xid.map(|x| log.xid(x).map_err(|_| no_xid(x))).transpose()?;
        let of_node = records.entry(node).or_default();
        of_node.push(Record { deleted_at, xid });
    }
    let empty = listing.others.iter().filter(|o| o[0].is_none()).count();
    if empty > 0 {
        notes.push(format!(
            "[[audit]] of {}: {empty} records of {} have no `deleted_at` and are passed over",
            log.table,
            path.display()
        ));
    }
    Ok(records)
}
