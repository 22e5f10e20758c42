//! Rows that point at files: asked of a database by SQL that is shipped for an application (a preset) or is the operator's own.
//!
//! Reads only, one row at a time. Refuses SQL that lacks a needed column or gives one that means nothing here: a misspelt
//! `checksum` would leave every file unverified.

mod checksum;
mod error;
mod owners;
mod preset;

use std::collections::BTreeMap;

use crate::ident::quote_ident;
use crate::pg::copy::{CopyLines, raw_fields, unescape};
use crate::pg::{Session, trimmed};

pub use checksum::{Algorithm, Checksum, Hasher};
pub use error::AttachmentsError;
pub use owners::{Meaning, Owners};
pub use preset::Preset;

/// Columns that the SQL must give.
const NEEDED: [&str; 3] = ["owner_table", "owner_key", "blob_key"];
/// All that it may give, in the order in which they are fetched.
const COLUMNS: [&str; 13] = [
    "owner_table",
    "owner_key",
    "blob_key",
    "name",
    "filename",
    "content_type",
    "byte_size",
    "checksum",
    "checksum_algorithm",
    "store",
    "derived",
    "via_table",
    "via_key",
];
/// What stands for the key of the row in `key = "…"`.
pub const PLACEHOLDER: &str = "{blob_key}";

/// `[[attachments]]`: one entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentSource {
    /// The preset, or `sql`.
    pub name: String,
    /// Gives a row for each record and file.
    pub sql: String,
    /// Tables of classes.
    pub classes: BTreeMap<String, String>,
    /// The store of rows that name none.
    pub store: Option<String>,
    /// The object's key, with [`PLACEHOLDER`] where the row's goes.
    pub key: Option<String>,
    /// How recorded checksums are computed, where the row does not say.
    pub algorithm: Option<Algorithm>,
    /// By how many bytes a file's size may differ from what is recorded.
    pub size_tolerance: u64,
}

/// A row that points at a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRow {
    /// Table or class of the record whose file it is.
    pub owner_table: String,
    /// Its key.
    pub owner_key: String,
    /// The object's key in the store.
    pub key: String,
    /// What the file is to the record.
    pub name: Option<String>,
    /// What people call it.
    pub filename: Option<String>,
    /// Its type.
    pub content_type: Option<String>,
    /// Bytes.
    pub byte_size: Option<u64>,
    /// As recorded.
    pub checksum: Option<String>,
    /// How that was computed, where it is said.
    pub algorithm: Option<Algorithm>,
    /// The store, where it is said.
    pub store: Option<String>,
    /// The application can make it again.
    pub derived: bool,
    /// Table and key of the row that ties the file to its owner, where that is another one.
    pub via: Option<(String, String)>,
}

/// Asks one source, number `entry` (from 1), and hands on what it gives, in the same order each time. A row without an owner's table
/// or key, or without a file, is passed over.
pub async fn each_file<E: From<AttachmentsError>>(
    session: &Session,
    entry: usize,
    source: &AttachmentSource,
    mut take: impl FnMut(FileRow) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |cause| AttachmentsError::Sql {
        entry,
        name: source.name.clone(),
        cause: Box::new(cause),
    };
    let sql = trimmed(&source.sql);
    let whole = format!("select * from ({sql}\n) a");
    let given = session.columns("reading the SQL of [[attachments]]", &whole);
    let given = given.await.map_err(failed)?;
    check_columns(entry, &given)?;
    let columns = COLUMNS.map(|name| match given.iter().any(|g| g == name) {
        true => format!("a.{}::text collate \"C\"", quote_ident(name)),
        false => "null::text".to_owned(),
    });
    let columns = columns.join(", ");
    // Ordered, so that the listing is the same each time.
    let places: Vec<String> = (1..=COLUMNS.len()).map(|n| n.to_string()).collect();
    let sql = format!(
        "copy (select {columns} from ({sql}\n) a order by {}) to stdout",
        places.join(", ")
    );
    let mut lines = CopyLines::start(session, "asking for attachments", &sql)
        .await
        .map_err(failed)?;
    while let Some(line) = lines.next().await.map_err(failed)? {
        let fields = raw_fields(&line).map(unescape).collect();
        if let Some(row) = row(entry, source, fields)? {
            take(row)?;
        }
    }
    Ok(())
}

fn check_columns(entry: usize, given: &[String]) -> Result<(), AttachmentsError> {
    let lacks = |c: &&str| !given.iter().any(|g| g == c);
    if let Some(missing) = NEEDED.into_iter().find(lacks) {
        return Err(AttachmentsError::Missing {
            entry,
            missing,
            given: given.join(", "),
        });
    }
    match given.iter().find(|g| !COLUMNS.contains(&g.as_str())) {
        None => Ok(()),
        Some(name) => Err(AttachmentsError::Unknown {
            entry,
            name: name.clone(),
            known: COLUMNS.join(", "),
        }),
    }
}

fn row(
    entry: usize,
    source: &AttachmentSource,
    fields: Vec<Option<String>>,
) -> Result<Option<FileRow>, AttachmentsError> {
    let mut fields = fields
        .into_iter()
        .map(|f| f.filter(|text| !text.is_empty()));
    let mut next = || fields.next().flatten();
    let (Some(owner_table), Some(owner_key), Some(blob_key)) = (next(), next(), next()) else {
        return Ok(None);
    };
    let (name, filename, content_type) = (next(), next(), next());
    let (byte_size, checksum, algorithm) = (next(), next(), next());
    let (store, derived, via_table, via_key) = (next(), next(), next(), next());
    let wrong = |column, value: &str, wrong| AttachmentsError::Value {
        entry,
        column,
        value: value.to_owned(),
        key: blob_key.clone(),
        wrong,
    };
    let byte_size = byte_size.map(|text| match text.parse() {
        Ok(n) => Ok(n),
        Err(_) => Err(wrong("byte_size", &text, "no number of bytes")),
    });
    let algorithm = algorithm.map(|text| match text.parse() {
        Ok(a) => Ok(a),
        Err(_) => Err(wrong(
            "checksum_algorithm",
            &text,
            "not md5, sha1, sha256 or sha512",
        )),
    });
    Ok(Some(FileRow {
        owner_table,
        owner_key,
        name,
        filename,
        content_type,
        byte_size: byte_size.transpose()?,
        checksum,
        algorithm: algorithm.transpose()?.or(source.algorithm),
        store: store.or_else(|| source.store.clone()),
        derived: derived.is_some_and(|d| d == "t" || d == "true"),
        via: via_table.zip(via_key),
        key: match &source.key {
            None => blob_key,
            Some(template) => template.replace(PLACEHOLDER, &blob_key),
        },
    }))
}
