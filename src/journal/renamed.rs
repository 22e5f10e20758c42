//! A journal that was written before live's tables got other names: it has the old ones, and what it knows of their rows would not
//! be found. Telling it the new ones is an operator's deed.

use std::fmt;

use crate::ident::{TableName, quote_literal, shown};
use crate::pg::Session;

use super::{JournalError, exists};

/// Where the journal names tables.
const TABLES: &[(&str, &str)] = &[
    ("batch_rows", "table_name"),
    ("undo_rows", "table_name"),
    ("resolved", "table_name"),
    ("relinked", "table_name"),
    ("relinked", "parent_table"),
    ("postponed", "table_name"),
    ("quarantined", "root_table"),
];

/// Where it names columns, in `columns`, beside the table in `table_name`.
const COLUMNS: &[&str] = &["relinked", "postponed"];

/// Names that live had, and has no longer.
#[derive(Debug)]
pub struct OldNames {
    /// Before, and now, as the journal writes them.
    tables: Vec<(String, String)>,
    /// Table (as it is called now), column before, and now.
    columns: Vec<(String, String, String)>,
}

/// Names that the journal has and live has not.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    run: String,
    names: Vec<String>,
    /// What tells the journal the new ones.
    statements: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the journal has what run {} did under names that live has no longer: {}",
            self.run,
            self.names.join(", ")
        )
    }
}

impl Found {
    /// What to do about it.
    pub fn way_out(&self) -> String {
        format!(
            "nothing was changed. Tell the journal the new names, while no run is at work, and run again: begin; {}; commit",
            self.statements.join("; ")
        )
    }

    fn note(found: &mut Option<Self>, run: String, name: String, statement: String) {
        let found = found.get_or_insert_with(|| Self {
            run,
            names: Vec::new(),
            statements: Vec::new(),
        });
        if !found.names.contains(&name) {
            found.names.push(name);
        }
        found.statements.push(statement);
    }
}

impl OldNames {
    /// Of tables, before and now; of columns, with the table as it was called before.
    pub fn new<'a>(
        tables: impl Iterator<Item = (&'a TableName, &'a TableName)>,
        columns: impl Iterator<Item = (&'a TableName, &'a str, &'a str)>,
    ) -> Self {
        let tables: Vec<(String, String)> = tables
            .map(|(from, to)| (from.to_string(), to.to_string()))
            .collect();
        let now = |table: &TableName| {
            let before = table.to_string();
            let renamed = tables.iter().find(|(from, _)| *from == before);
            renamed.map_or(before.clone(), |(_, to)| to.clone())
        };
        let columns = columns.map(|(t, from, to)| (now(t), from.to_owned(), to.to_owned()));
        Self {
            columns: columns.collect(),
            tables,
        }
    }

    /// What runs of this bundle, and undos of them, are known by; none where there is no journal.
    pub async fn in_journal(
        &self,
        session: &Session,
        bundle: &str,
    ) -> Result<Option<Found>, JournalError> {
        if !exists(session).await? {
            return Ok(None);
        }
        let mut found = None;
        for (journal, column) in TABLES {
            for (before, now) in &self.tables {
                let is_it = format!("{column} = {}", quote_literal(before));
                let Some(run) = used(session, journal, &is_it, bundle).await? else {
                    continue;
                };
                let now = quote_literal(now);
                let tell = format!("update reinstate.{journal} set {column} = {now} where {is_it}");
                Found::note(&mut found, run, before.clone(), tell);
            }
        }
        for journal in COLUMNS {
            self.columns_in(session, journal, bundle, &mut found)
                .await?;
        }
        Ok(found)
    }

    async fn columns_in(
        &self,
        session: &Session,
        journal: &str,
        bundle: &str,
        found: &mut Option<Found>,
    ) -> Result<(), JournalError> {
        for (table, before, now) in &self.columns {
            let of_table = |name: &str| {
                let (name, column) = (quote_literal(name), quote_literal(before));
                format!("table_name = {name} and {column} = any (columns)")
            };
            let mut renamed = self.tables.iter().filter(|(_, now)| now == table);
            let earlier = renamed.next().map_or(table, |(before, _)| before);
            // The tables have their new names by the time this statement runs.
            let is_it = format!("(({}) or ({}))", of_table(table), of_table(earlier));
            let Some(run) = used(session, journal, &is_it, bundle).await? else {
                continue;
            };
            let tell = format!(
                "update reinstate.{journal} set columns = array_replace(columns, {}, {}) where {}",
                quote_literal(before),
                quote_literal(now),
                of_table(table)
            );
            let name = format!("{table}, {}", shown(before));
            Found::note(found, run, name, tell);
        }
        Ok(())
    }
}

/// A run of the bundle that a table of the journal knows by such a name. Journals of earlier builds lack some of them.
async fn used(
    session: &Session,
    journal: &str,
    is_it: &str,
    bundle: &str,
) -> Result<Option<String>, JournalError> {
    let doing = "looking for old names in the journal";
    let name = format!("reinstate.{journal}");
    let there = "select to_regclass($1) is not null";
    if !session
        .query_one(doing, there, &[&name])
        .await?
        .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let sql = format!(
        "select run from {name} join reinstate.run using (run) where bundle = $1 and {is_it} limit 1"
    );
    let rows = session.query(doing, &sql, &[&bundle]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}
