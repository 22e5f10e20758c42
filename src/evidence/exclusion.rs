//! Rows that must not come back: erased at their owner's request, for example. Whoever names them gives a query or a file.

use serde::Serialize;

use super::EvidenceError;
use super::listing::{Column, Origin, check_file, lacking, locate, read_file};
use super::portions::{Keys, Portions};
use crate::catalog::Table;
use crate::diff::Candidates;
use crate::ident::{Key, TableName};
use crate::pg::Session;

/// One `[[exclude]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exclusion {
    /// The table whose rows it names.
    pub table: TableName,
    /// Why they must not come back.
    pub reason: String,
    /// Which they are.
    pub rows: Origin,
}

impl Exclusion {
    /// What went wrong with it.
    pub fn wrong(&self, reason: &str) -> EvidenceError {
        EvidenceError::Exclude {
            table: self.table.clone(),
            reason: reason.to_owned(),
        }
    }

    /// What is being done while it is asked.
    pub fn doing(&self) -> String {
        format!("reading the [[exclude]] of {}", self.table)
    }

    /// Its place among the tables compared, which must have a key.
    pub fn place(&self, candidates: &Candidates) -> Result<usize, EvidenceError> {
        let Some(table) = candidates.table(&self.table) else {
            return Err(self.wrong(&candidates.lacks(&self.table)));
        };
        if candidates.tables[table].key.is_empty() {
            return Err(self.keyless());
        }
        Ok(table)
    }

    /// Its table has no key.
    pub fn keyless(&self) -> EvidenceError {
        self.wrong("the table has no key by which its rows could be named")
    }

    /// Hands over the rows of the snapshot that it names, by the snapshot's own `=`: their keys as the snapshot writes
    /// them, and their nodes where they are candidates. Returns how many keys it names.
    pub async fn rows(
        &self,
        snapshot: &Session,
        live: &Session,
        candidates: &Candidates,
        take: &mut (dyn FnMut(Key, Option<u32>) + Send),
    ) -> Result<u64, EvidenceError> {
        let table = self.place(candidates)?;
        let session = match &self.rows {
            Origin::Live(_) => live,
            Origin::Snapshot(_) | Origin::File(_) => snapshot,
        };
        let source = &candidates.tables[table];
        let named_by = (&source.snapshot, source.key.as_slice());
        let mut keys = self.keys(session, named_by).await?;
        let mut named = 0;
        while let Some(portion) = keys.next().await? {
            named += portion.len() as u64;
            for (_, key) in locate(snapshot, candidates, table, &portion).await? {
                let node = candidates.find_key(table, &key);
                take(key, node);
            }
        }
        Ok(named)
    }

    /// The keys that it names, as it writes them; `session` is with the side that its query asks, and `table` as that side
    /// has it.
    pub async fn keys<'a>(
        &self,
        session: &'a Session,
        (table, key): (&Table, &[String]),
    ) -> Result<Keys<'a>, EvidenceError> {
        let sql = match &self.rows {
            Origin::Live(sql) | Origin::Snapshot(sql) => sql,
            Origin::File(path) => {
                let wrong = |reason: &str| self.wrong(reason);
                let listing = read_file(path, key, &[], &[]).map_err(|e| wrong(&e))?;
                check_file(session, (table, key), (path, &listing), &wrong).await?;
                return Ok(Keys::File(listing.keys));
            }
        };
        let doing = self.doing();
        session.search_as_role(true).await?;
        let columns = Column::of_query(session, &doing, sql).await?;
        let needed: Vec<&str> = key.iter().map(String::as_str).collect();
        if let Some(reason) = lacking(&columns, &needed) {
            return Err(self.wrong(&reason));
        }
        let portions = Portions::open(session, &doing, sql, key).await?;
        Ok(Keys::Query(portions))
    }
}
