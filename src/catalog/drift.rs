//! What two schemas have in common, table by table, and what they do not.

use serde::Serialize;

use crate::ident::TableName;

use super::model::{Column, Schema, Table, TableKind};
use super::rowhash::{HashExpressions, HashedColumn, hash_expressions};

/// How one table differs between snapshot and live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDrift {
    /// What the snapshot calls the table, where that is not live's name.
    pub renamed: Option<TableName>,
    /// Columns that the snapshot calls otherwise: its name, live's name.
    pub renamed_columns: Vec<(String, String)>,
    /// Columns that only the snapshot has.
    pub only_in_snapshot: Vec<String>,
    /// Columns that only live has.
    pub only_in_live: Vec<String>,
    /// Columns with another type: name, snapshot's type, live's type.
    pub retyped: Vec<(String, String, String)>,
}

impl TableDrift {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sentence().is_none()
    }

    /// One line for people, or `None` without drift.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(before) = &self.renamed {
            parts.push(format!("was {before} in the snapshot"));
        }
        for (before, now) in &self.renamed_columns {
            parts.push(format!("{now} was {before}"));
        }
        if !self.only_in_snapshot.is_empty() {
            parts.push(format!(
                "only in snapshot: {}",
                self.only_in_snapshot.join(", ")
            ));
        }
        if !self.only_in_live.is_empty() {
            parts.push(format!("only in live: {}", self.only_in_live.join(", ")));
        }
        for (name, before, now) in &self.retyped {
            parts.push(format!("{name} was {before}, is {now}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// A table of both sides, ready to be compared.
#[derive(Debug, Clone)]
pub struct Comparable {
    /// The table as the snapshot has it.
    pub snapshot: Table,
    /// The table as live has it.
    pub live: Table,
    /// The key both sides agree on; empty: compared as a bag of rows.
    pub key: Vec<String>,
    /// Columns compared besides the key: common, not generated.
    pub columns: Vec<String>,
    /// Key columns sort alike on both sides, and both have an index in that order.
    pub ordered: bool,
    /// The two databases encode text differently.
    pub recoded: bool,
    /// How they differ.
    pub drift: TableDrift,
}

impl Comparable {
    /// The hash expressions over `alias`, the same on both sides.
    pub fn hashes(&self, alias: &str) -> HashExpressions {
        let hashed = |names: &[String]| -> Vec<HashedColumn> {
            names.iter().map(|n| self.hashed(n)).collect()
        };
        hash_expressions(alias, &hashed(&self.key), &hashed(&self.columns))
    }

    fn hashed(&self, name: &str) -> HashedColumn {
        let (a, b) = (self.snapshot.column(name), self.live.column(name));
        let same = a
            .zip(b)
            .filter(|(a, b)| a.type_name == b.type_name || a.builtin == b.builtin);
        HashedColumn {
            name: name.to_owned(),
            builtin: same.and_then(|(a, _)| a.builtin.clone()),
            not_null: a.zip(b).is_some_and(|(a, b)| a.not_null && b.not_null),
            recoded: self.recoded,
        }
    }

    /// The built-in type of a sole key column, where both sides share it.
    pub fn single_key_type(&self) -> Option<String> {
        match self.key.as_slice() {
            [one] => self.hashed(one).builtin,
            _ => None,
        }
    }
}

/// Why a table is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Only the snapshot has it.
    OnlyInSnapshot,
    /// Only live has it.
    OnlyInLive,
    /// Both have it, but a role may not read it: on the snapshot, in live, or both.
    Unreadable {
        /// What the snapshot calls it, where its role may not.
        snapshot: Option<TableName>,
        /// What live calls it, where its role may not.
        live: Option<TableName>,
    },
    /// Both have it, but it cannot or should not be compared, for this reason.
    Skipped(String),
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OnlyInSnapshot => "live does not have this table",
            Self::OnlyInLive => "the snapshot does not have this table",
            Self::Unreadable { live: None, .. } => {
                "the snapshot's role may not read it: grant SELECT"
            }
            Self::Unreadable { snapshot: None, .. } => "live's role may not read it: grant SELECT",
            Self::Unreadable { .. } => "neither side's role may read it: grant SELECT",
            Self::Skipped(reason) => reason,
        })
    }
}

/// Pairs up the tables of two schemas: each is comparable, or says why not. Sorted by name.
pub fn compare(
    snapshot: &Schema,
    live: &Schema,
) -> Vec<(TableName, Result<Box<Comparable>, Drift>)> {
    let mut names: Vec<&TableName> = snapshot.tables.keys().chain(live.tables.keys()).collect();
    names.sort();
    names.dedup();
    let recoded = snapshot.encoding != live.encoding;
    names
        .into_iter()
        .map(|name| {
            let pair = match (snapshot.tables.get(name), live.tables.get(name)) {
                (Some(s), Some(l)) => pair(s, l, recoded),
                (Some(_), None) => Err(Drift::OnlyInSnapshot),
                _ => Err(Drift::OnlyInLive),
            };
            (name.clone(), pair)
        })
        .collect()
}

fn pair(snapshot: &Table, live: &Table, recoded: bool) -> Result<Box<Comparable>, Drift> {
    let skip = |reason: String| Err(Drift::Skipped(reason));
    if snapshot.kind == TableKind::Foreign || live.kind == TableKind::Foreign {
        return skip("a foreign table: its rows live in another database".into());
    }
    if snapshot.foreign_partition || live.foreign_partition {
        return skip(
            "one of its partitions is a foreign table, whose rows live in another database".into(),
        );
    }
    if snapshot.unlogged && snapshot.pages == 0 && live.pages > 0 {
        return skip(
            "unlogged, and without a page in the snapshot: no physical backup has its rows, and nobody can say which are \
             missing"
                .into(),
        );
    }
    if let Some(extension) = snapshot.extension.as_ref().or(live.extension.as_ref()) {
        return skip(format!("belongs to extension {extension}"));
    }
    let unreadable = |t: &Table| (!t.readable).then(|| t.stored_name().clone());
    if !snapshot.readable || !live.readable {
        return Err(Drift::Unreadable {
            snapshot: unreadable(snapshot),
            live: unreadable(live),
        });
    }
    let common: Vec<&Column> = snapshot
        .columns
        .iter()
        .filter(|c| live.column(&c.name).is_some())
        .collect();
    if common.is_empty() {
        return skip("the two sides have no column in common".into());
    }
    let key = if same_key(snapshot, live) {
        snapshot.key.clone()
    } else {
        common_key(snapshot, live)
    };
    let columns = common
        .iter()
        .filter(|c| !key.contains(&c.name) && !c.generated)
        .filter(|c| live.column(&c.name).is_some_and(|l| !l.generated))
        .map(|c| c.name.clone())
        .collect();
    let ordered = has_index(snapshot, &key)
        && has_index(live, &key)
        && key
            .iter()
            .all(|name| same_order(snapshot, live, name, recoded));
    Ok(Box::new(Comparable {
        key,
        columns,
        ordered,
        recoded,
        drift: table_drift(snapshot, live),
        snapshot: snapshot.clone(),
        live: live.clone(),
    }))
}

fn same_key(snapshot: &Table, live: &Table) -> bool {
    !snapshot.key.is_empty() && snapshot.key == live.key
}

/// A key of the snapshot whose columns are a key in live too, whatever either side prefers.
fn common_key(snapshot: &Table, live: &Table) -> Vec<String> {
    let unique_in = |table: &Table, columns: &[String]| {
        let sorted = |c: &[String]| {
            let mut c = c.to_vec();
            c.sort();
            c
        };
        columns
            .iter()
            .all(|c| table.column(c).is_some_and(|c| c.not_null))
            && table
                .uniques
                .iter()
                .any(|u| !u.special && sorted(&u.columns) == sorted(columns))
    };
    let candidates =
        std::iter::once(&snapshot.key).chain(snapshot.uniques.iter().map(|u| &u.columns));
    candidates
        .filter(|columns| !columns.is_empty())
        .find(|columns| unique_in(snapshot, columns) && unique_in(live, columns))
        .cloned()
        .unwrap_or_default()
}

/// Types whose order is the same on every server.
const ORDERED: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "numeric",
];

/// Whether ranges of the key can be read through an index.
fn has_index(table: &Table, key: &[String]) -> bool {
    let fits = |u: &&super::model::Unique| !u.special && u.plain_order && u.columns == key;
    !key.is_empty() && table.uniques.iter().any(|u| fits(&u))
}

fn same_order(snapshot: &Table, live: &Table, name: &str, recoded: bool) -> bool {
    let (Some(s), Some(l)) = (snapshot.column(name), live.column(name)) else {
        return false;
    };
    let Some(builtin) = s.builtin.as_deref() else {
        return false;
    };
    if s.builtin != l.builtin {
        return false;
    }
    match (&s.collation, &l.collation) {
        (Some(a), Some(b)) => !recoded && matches!(builtin, "text" | "varchar") && a.same_order(b),
        _ => ORDERED.contains(&builtin),
    }
}

fn table_drift(snapshot: &Table, live: &Table) -> TableDrift {
    let missing_in = |from: &Table, other: &Table| -> Vec<String> {
        from.columns
            .iter()
            .filter(|c| other.column(&c.name).is_none())
            .map(|c| c.name.clone())
            .collect()
    };
    let retyped = snapshot
        .columns
        .iter()
        .filter_map(|s| {
            let l = live.column(&s.name)?;
            (s.type_name != l.type_name)
                .then(|| (s.name.clone(), s.type_name.clone(), l.type_name.clone()))
        })
        .collect();
    let stored = snapshot.stored.iter();
    let names = stored.flat_map(|s| s.columns.iter().zip(&snapshot.columns));
    TableDrift {
        renamed: (*snapshot.stored_name() != snapshot.name).then(|| snapshot.stored_name().clone()),
        renamed_columns: names
            .filter(|(before, now)| **before != now.name)
            .map(|(before, now)| (before.clone(), now.name.clone()))
            .collect(),
        only_in_snapshot: missing_in(snapshot, live),
        only_in_live: missing_in(live, snapshot),
        retyped,
    }
}
