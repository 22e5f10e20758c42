//! Whom the rows of a bundle concern: asked of the snapshot, since live may have lost the addresses too, before
//! anything is restored.
//!
//! The operator's SQL gives contacts; those whose record is in the bundle are kept. Guarantees: reads only; every
//! record of the bundle is in the file, with everybody it concerns or with nobody; no cell of the file is a formula.
//!
//! A *record* is the root of a unit that was asked for, or any row of a table that some contact speaks of. A *person* is
//! one contact, as the SQL writes it.
//!
//! Memory: about 50 bytes for each row of the bundle and each row of the file, and each person's contact and particulars.

mod gathering;
mod people;
mod records;
mod sheet;

use std::io::Write;
use std::path::Path;

use crate::bundle::{Bundle, BundleError};
use crate::catalog::{Rename, introspect};
use crate::ident::TableName;
use crate::pg::{PgError, Session, trimmed};

use gathering::Gathering;
use people::People;
use records::Records;
use sheet::Sheet;
pub use sheet::{OWN_COLUMNS, neutral, original, rfc4180};

/// Columns that each source must give.
const ASKED_FOR: [&str; 3] = ["owner_table", "owner_key", "contact"];

/// What can go wrong while contacts are gathered.
#[derive(Debug, thiserror::Error)]
pub enum ContactsError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The server refused something that is not the operator's SQL, or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The operator's SQL failed.
    #[error("[[contacts]] {entry}: {cause}")]
    Sql {
        /// Which of the entries, from 1.
        entry: usize,
        /// The server's refusal.
        cause: PgError,
    },
    /// The operator's SQL does not give a column that is needed.
    #[error("[[contacts]] {entry}: the SQL gives no column {missing}, only {given}")]
    Column {
        /// Which of the entries, from 1.
        entry: usize,
        /// The column.
        missing: &'static str,
        /// What it gives.
        given: String,
    },
    /// The operator's SQL gives a column that the file has itself.
    #[error(
        "[[contacts]] {entry}: the SQL gives a column {name}, which contacts.csv has itself; give it another name"
    )]
    Taken {
        /// Which of the entries, from 1.
        entry: usize,
        /// The column.
        name: String,
    },
    /// An unqualified name that stands for several tables of the bundle.
    #[error(
        "[[contacts]] {entry}: owner_table {name} is several tables of the bundle: {tables}; write schema.table"
    )]
    Ambiguous {
        /// Which of the entries, from 1.
        entry: usize,
        /// The name.
        name: String,
        /// The tables.
        tables: String,
    },
    /// The file could not be written.
    #[error("cannot write contacts.csv: {0}")]
    Write(std::io::Error),
}

impl From<csv::Error> for ContactsError {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<std::io::Error> for ContactsError {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

/// Records of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfTable {
    /// Records.
    pub records: u64,
    /// Those that concern nobody.
    pub without_contact: u64,
}

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Distinct contacts.
    pub persons: u64,
    /// By table, in the bundle's order; tables without records left out.
    pub tables: Vec<(TableName, OfTable)>,
    /// Rows of the SQL whose record is not in the bundle.
    pub elsewhere: u64,
    /// Rows of the SQL without a contact, or with an empty one.
    pub empty: u64,
    /// Names that are no table of the snapshot, and how many rows of the SQL have them.
    pub unknown: Vec<(String, u64)>,
}

impl Gathered {
    /// Over all tables.
    pub fn total(&self) -> OfTable {
        self.tables
            .iter()
            .fold(OfTable::default(), |sum, (_, t)| OfTable {
                records: sum.records + t.records,
                without_contact: sum.without_contact + t.without_contact,
            })
    }
}

/// Asks `sources`, in the snapshot, whom the rows of `bundle` concern, and writes them to `out`. They may call a table that was
/// renamed by either name. What must wait for the
/// rest is kept in a nameless file in `scratch`.
pub async fn gather(
    session: &Session,
    bundle: &Bundle,
    sources: &[String],
    renames: &[Rename],
    scratch: &Path,
    out: impl Write,
) -> Result<Gathered, ContactsError> {
    let schema = introspect(session).await?;
    let names = schema.tables.into_keys().collect();
    // As in psql: the operator's SQL need not name schemas.
    session
        .batch("preparing to ask for contacts", "reset search_path")
        .await?;
    let sources = described(session, sources).await?;
    let mut gathering = Gathering {
        records: Records::read(bundle, renames)?,
        people: People::default(),
        sheet: Sheet::begin(&extra_columns(&sources), scratch)?,
        found: Gathered::default(),
        names,
    };
    for source in &sources {
        gathering.ask(session, source).await?;
    }
    gathering.finish(bundle, out)
}

/// One entry of the configuration.
struct Source {
    /// From 1.
    entry: usize,
    sql: String,
    /// Columns beside those asked for.
    extra: Vec<String>,
}

/// Learns which columns each source gives, before anything is fetched.
async fn described(session: &Session, sources: &[String]) -> Result<Vec<Source>, ContactsError> {
    let mut described = Vec::with_capacity(sources.len());
    for (i, sql) in sources.iter().enumerate() {
        let entry = i + 1;
        let sql = trimmed(sql).to_owned();
        let whole = format!("select * from ({sql}\n) c");
        let given = session
            .columns("reading the SQL", &whole)
            .await
            .map_err(|cause| ContactsError::Sql { entry, cause })?;
        if let Some(missing) = ASKED_FOR
            .into_iter()
            .find(|c| !given.iter().any(|g| g == c))
        {
            return Err(ContactsError::Column {
                entry,
                missing,
                given: given.join(", "),
            });
        }
        let extra: Vec<String> = given
            .into_iter()
            .filter(|g| !ASKED_FOR.contains(&g.as_str()))
            .collect();
        if let Some(name) = extra.iter().find(|g| OWN_COLUMNS.contains(&g.as_str())) {
            let name = name.clone();
            return Err(ContactsError::Taken { entry, name });
        }
        described.push(Source { entry, sql, extra });
    }
    Ok(described)
}

/// The further columns of all sources, each once.
fn extra_columns(sources: &[Source]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in sources.iter().flat_map(|s| &s.extra) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}
