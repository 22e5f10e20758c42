//! `reinstate.toml`. Unknown keys are errors that name the nearest known one: a misspelt exclusion must not pass.

use std::path::Path;

use toml::{Table, Value};

use crate::attachments::AttachmentSource;
use crate::blobs::StoreConfig;
use crate::catalog::{IdentityRule, OnDelete, Relation, Rename};
use crate::evidence::Exclusion;
use crate::evidence::audit::AuditLog;
use crate::flag::{Notice, OperatorSql};
use crate::ident::ColumnRef;
use crate::restore::Fill;

use super::error::Failure;

mod files;
mod lists;

/// The configuration of a case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) live: Option<String>,
    pub(crate) snapshot: Option<String>,
    pub(crate) snapshot_time: Option<String>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) audits: Vec<AuditLog>,
    pub(crate) exclusions: Vec<Exclusion>,
    pub(crate) identities: Vec<IdentityRule>,
    pub(crate) renames: Vec<Rename>,
    pub(crate) fills: Vec<Fill>,
    /// SQL that says whom a record concerns.
    pub(crate) contacts: Vec<String>,
    /// What tells which files the rows point at.
    pub(crate) attachments: Vec<AttachmentSource>,
    /// Where those are.
    pub(crate) stores: Vec<StoreConfig>,
    /// What people are told of files that are lost.
    pub(crate) notices: Vec<Notice>,
    /// What the operator does about marked records besides.
    pub(crate) flag: OperatorSql,
    pub(crate) on_conflict: Option<String>,
    pub(crate) target_batch: Option<String>,
}

/// Keys that are read.
const TOP: &[&str] = &[
    "live",
    "snapshot",
    "snapshot_time",
    "relation",
    "identity",
    "rename",
    "fill",
    "audit",
    "exclude",
    "contacts",
    "attachments",
    "stores",
    "notice",
    "flag",
    "restore",
];
/// Keys of the format whose meaning this version does not have: passing over them would be silent.
const LATER: &[&str] = &["after", "throttle"];
const RELATION: &[&str] = &["from", "to", "when"];
const CONTACTS: &[&str] = &["sql"];
const FLAG: &[&str] = &["sql", "unflag_sql"];
const NOTICE: &[&str] = &["audience", "text", "table", "attachment"];
const RESTORE: &[&str] = &["on_conflict", "target_batch"];

impl Config {
    /// Reads a file; a missing one is an empty configuration unless it was asked for by name.
    pub(crate) fn read(path: &Path, asked_for: bool) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !asked_for => {
                return Ok(Self::default());
            }
            Err(e) => {
                return Err(Failure::usage(format!(
                    "cannot read {}: {e}",
                    path.display()
                )));
            }
        };
        Self::parse(&text).map_err(|reason| Failure::usage(format!("{}: {reason}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|e| not_toml(text, &e))?;
        for key in table.keys() {
            if LATER.contains(&key.as_str()) {
                return Err(format!(
                    "`{key}` is not supported by this version; take it out to go on without it"
                ));
            }
        }
        known(&table, TOP, "")?;
        let mut config = Self {
            live: text_of(&table, "live")?,
            snapshot: text_of(&table, "snapshot")?,
            snapshot_time: time_of(&table, "snapshot_time")?,
            ..Self::default()
        };
        config.relations = each(&table, "relation", relation)?;
        config.audits = each(&table, "audit", lists::audit)?;
        config.exclusions = each(&table, "exclude", lists::exclusion)?;
        config.identities = each(&table, "identity", lists::identity)?;
        config.renames = each(&table, "rename", lists::rename)?;
        config.fills = each(&table, "fill", lists::fill)?;
        config.contacts = each(&table, "contacts", contacts)?;
        config.attachments = each(&table, "attachments", files::attachments)?;
        config.stores = files::stores(&table)?;
        config.notices = each(&table, "notice", notice)?;
        config.flag = flag(&table)?;
        match table.get("restore") {
            None => {}
            Some(Value::Table(restore)) => {
                known(restore, RESTORE, "restore.")?;
                config.on_conflict = text_of(restore, "on_conflict")?;
                config.target_batch = text_of(restore, "target_batch")?;
            }
            Some(_) => return Err("`restore` is a table: write [restore]".into()),
        }
        Ok(config)
    }
}

/// `[[notice]]`.
fn notice(table: &Table) -> Result<Notice, String> {
    known(table, NOTICE, "notice.")?;
    let wanted = |key: &str| text_of(table, key)?.ok_or_else(|| format!("`{key}` is missing"));
    Ok(Notice {
        audience: wanted("audience")?,
        text: wanted("text")?,
        table: text_of(table, "table")?,
        attachment: text_of(table, "attachment")?,
    })
}

/// `[flag]`.
fn flag(table: &Table) -> Result<OperatorSql, String> {
    match table.get("flag") {
        None => Ok(OperatorSql::default()),
        Some(Value::Table(flag)) => {
            known(flag, FLAG, "flag.")?;
            let (sql, unflag) = (text_of(flag, "sql")?, text_of(flag, "unflag_sql")?);
            if sql.is_some() != unflag.is_some() {
                return Err("[flag] `sql` and `unflag_sql` belong together: what is marked must be unmarked, too".into());
            }
            Ok(OperatorSql { flag: sql, unflag })
        }
        Some(_) => Err("`flag` is a table: write [flag]".into()),
    }
}

/// Where and why, without the line itself: it may hold a password.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            format!("line {line} is no TOML: {}", error.message())
        }
        None => format!("no TOML: {}", error.message()),
    }
}

/// The entries of a list of tables, `[[key]]`.
fn each<T>(
    table: &Table,
    key: &str,
    read: impl Fn(&Table) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let entries = match table.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(format!("`{key}` is a list: write [[{key}]]")),
    };
    let one = |(i, entry): (usize, &Value)| {
        match entry {
            Value::Table(table) => read(table),
            _ => Err(format!("write [[{key}]]")),
        }
        .map_err(|e| format!("{key} {}: {e}", i + 1))
    };
    entries.iter().enumerate().map(one).collect()
}

fn known(table: &Table, keys: &[&str], path: &str) -> Result<(), String> {
    for key in table.keys() {
        if !keys.contains(&key.as_str()) {
            let likeness = |known: &&&str| strsim::jaro_winkler(known, key);
            let nearest = keys
                .iter()
                .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            let meant = match nearest.filter(|n| likeness(n) > 0.8) {
                Some(near) => format!("did you mean `{path}{near}`?"),
                None => format!("known are {}", keys.join(", ")),
            };
            return Err(format!("unknown key `{path}{key}`; {meant}"));
        }
    }
    Ok(())
}

fn text_of(table: &Table, key: &str) -> Result<Option<String>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(_) => Err(format!("`{key}` must be a string")),
    }
}

/// A time may be written as a string or as TOML's own date-time.
fn time_of(table: &Table, key: &str) -> Result<Option<String>, String> {
    match table.get(key) {
        Some(Value::Datetime(t)) => Ok(Some(t.to_string())),
        _ => text_of(table, key),
    }
}

fn relation(table: &Table) -> Result<Relation, String> {
    known(table, RELATION, "relation.")?;
    let side = |key: &str| -> Result<ColumnRef, String> {
        let text = text_of(table, key)?.ok_or_else(|| format!("`{key}` is missing"))?;
        text.parse()
            .map_err(|e: crate::ident::NameError| e.to_string())
    };
    let (from, to) = (side("from")?, side("to")?);
    if from.columns.len() != to.columns.len() {
        return Err("`from` and `to` name different numbers of columns".into());
    }
    let mut when = Vec::new();
    match table.get("when") {
        None => {}
        Some(Value::Table(conditions)) => {
            for (column, value) in conditions {
                let value = match value {
                    Value::String(s) => s.clone(),
                    Value::Integer(n) => n.to_string(),
                    Value::Boolean(b) => b.to_string(),
                    _ => {
                        return Err(format!(
                            "`when.{column}` must be a string, an integer or a boolean"
                        ));
                    }
                };
                when.push((column.clone(), value));
            }
        }
        Some(_) => return Err("`when` must be a table: when = { column = \"value\" }".into()),
    }
    Ok(Relation {
        child: from.table,
        child_columns: from.columns,
        parent: to.table,
        parent_columns: to.columns,
        when,
        declared: true,
        on_delete: OnDelete::Refuse,
        required: false,
    })
}

/// The SQL of an entry.
fn contacts(table: &Table) -> Result<String, String> {
    known(table, CONTACTS, "contacts.")?;
    text_of(table, "sql")?
        .filter(|sql| !sql.trim().is_empty())
        .ok_or_else(|| "`sql` is missing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read() {
        let config = Config::parse(
            "snapshot_time = 2020-01-21T03:00:00+01:00\n[[relation]]\nfrom = 'a(b_id)'\nto = 'b(id)'\nwhen = { t = 'B' }",
        )
        .unwrap();
        assert_eq!(config.relations[0].when, [("t".into(), "B".into())]);
        assert_eq!(
            config.snapshot_time.as_deref(),
            Some("2020-01-21T03:00:00+01:00")
        );
    }

    #[test]
    fn a_misspelt_key_names_the_nearest() {
        let message = Config::parse("snapshto = 'x'").unwrap_err();
        assert!(
            message.contains("`snapshto`; did you mean `snapshot`?"),
            "{message}"
        );
        let message =
            Config::parse("[[relation]]\nfrom = 'a(b)'\nto = 'b(id)'\nwhne = {}").unwrap_err();
        assert!(
            message.contains("did you mean `relation.when`?"),
            "{message}"
        );
        let message = Config::parse("[[relation]]\nchild = 'a(b)'").unwrap_err();
        assert!(
            message.contains("`relation.child`; known are from, to, when"),
            "{message}"
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_quoted() {
        for text in [
            "snapshot = 'x'\nlive = \"postgres://u:s3cr3t@h/db",
            "snapshot = 'x'\nlive = postgres://u:s3cr3t@h/db",
            "live = 's3cr3t'\nlive = 's3cr3t'",
        ] {
            let message = Config::parse(text).unwrap_err();
            assert!(message.starts_with("line 2 is no TOML: "), "{message}");
            assert!(!message.contains("s3cr3t"), "{message}");
        }
    }

    #[test]
    fn what_is_not_supported_is_not_passed_over() {
        assert!(
            Config::parse("[throttle]\nmax_lag = '5s'")
                .unwrap_err()
                .contains("not supported")
        );
    }
}
