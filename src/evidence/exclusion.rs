//! Rows that must not come back: erased at their owner's request, for example. Whoever names them gives a query or a file.

use serde::Serialize;

use super::EvidenceError;
use super::listing::{Column, Origin, key_texts, lacking, read_file, resolve, trimmed};
use crate::diff::Candidates;
use crate::ident::{Key, TableName};
use crate::pg::Session;
use crate::pg::copy::{CopyLines, raw_fields, unescape};

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

    /// The candidates that it names.
    pub async fn nodes(
        &self,
        snapshot: &Session,
        live: &Session,
        candidates: &Candidates,
    ) -> Result<Vec<u32>, EvidenceError> {
        let Some(table) = candidates.table(&self.table) else {
            return Err(self.wrong("the snapshot and live have no such table in common"));
        };
        let pair = &candidates.tables[table];
        if pair.key.is_empty() {
            return Err(self.wrong("the table has no key by which its rows could be named"));
        }
        let mut nodes = Vec::new();
        let session = match &self.rows {
            Origin::File(path) => {
                let listing = read_file(path, &pair.key, &[], &[]).map_err(|e| self.wrong(&e))?;
                let found = resolve(snapshot, candidates, table, &listing.keys).await?;
                return Ok(found.into_iter().map(|(_, node)| node).collect());
            }
            Origin::Live(_) => live,
            Origin::Snapshot(_) => snapshot,
        };
        let texts = key_texts("a", &pair.snapshot, &pair.key);
        let mut take = |key: Key| nodes.extend(candidates.find_key(table, &key));
        self.query(session, &pair.key, &texts, &mut take).await?;
        Ok(nodes)
    }

    /// Runs its query; `texts` are the key's columns of the alias `a`. Nothing where it is a file.
    pub async fn query(
        &self,
        session: &Session,
        key: &[String],
        texts: &[String],
        take: &mut (dyn FnMut(Key) + Send),
    ) -> Result<(), EvidenceError> {
        let (Origin::Live(sql) | Origin::Snapshot(sql)) = &self.rows else {
            return Ok(());
        };
        let doing = format!("reading the [[exclude]] of {}", self.table);
        session.search_as_role(true).await?;
        let columns = Column::of_query(session, &doing, sql).await?;
        let needed: Vec<&str> = key.iter().map(String::as_str).collect();
        if let Some(reason) = lacking(&columns, &needed) {
            return Err(self.wrong(&reason));
        }
        let copy = format!(
            "copy (select {} from (\n{}\n) a) to stdout",
            texts.join(", "),
            trimmed(sql)
        );
        let mut lines = CopyLines::start(session, &doing, &copy).await?;
        while let Some(line) = lines.next().await? {
            let fields: Option<Vec<String>> = raw_fields(&line).map(unescape).collect();
            if let Some(key) = fields {
                take(Key(key));
            }
        }
        session.search_as_role(false).await?;
        Ok(())
    }
}
