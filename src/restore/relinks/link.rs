//! The references of a bundle that may be filled, as live has them, and what is in the way of filling them.

use std::collections::HashMap;

use super::chunk::{Chunk, Chunks, Head};
use super::decide::{Reason, Verdict, barred};
use super::{ChildTriggers, Relinking};
use crate::bundle::Bundle;
use crate::catalog::{Locator, Schema, Table, TableKind};
use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};
use crate::restore::{RestoreError, Settings, Triggers};

/// What is in the way of a whole reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Barrier {
    pub(super) reason: String,
    pub(super) sqlstate: Option<String>,
}

/// One reference.
pub(super) struct Link {
    pub(super) head: Head,
    /// The table that refers; none where live lacks it, or what the bundle names of it.
    pub(super) child: Option<Table>,
    /// Looks its rows up by key.
    pub(super) locator: Locator,
    pub(super) barrier: Option<Barrier>,
    pub(super) triggers: ChildTriggers,
    /// A column of it belongs to a unique index: writing to it takes the row's whole lock.
    pub(super) in_index: bool,
    /// Some of its rows hold NULL; where all hold their default, nothing is written.
    fillable: bool,
}

impl Link {
    /// What becomes of a chunk's references where something is in the way of all.
    pub(super) fn barred(&self, chunk: &Chunk, mode: Relinking) -> Option<Vec<Verdict>> {
        let barrier = self.barrier.as_ref()?;
        let refused = Reason::Refused(barrier.reason.clone(), barrier.sqlstate.clone());
        let records = chunk.records.iter();
        Some(
            records
                .map(|r| Verdict::Left(barred(r, mode, &refused)))
                .collect(),
        )
    }
}

/// All of them.
pub(in crate::restore) struct Links {
    pub(super) all: Vec<Link>,
    pub(super) places: HashMap<Head, usize>,
    /// Live keeps commit timestamps.
    pub(super) timed: bool,
    /// References in the bundle.
    pub(super) records: u64,
}

impl Links {
    /// Reads which references the bundle lists, and looks at their tables in live.
    pub(in crate::restore) async fn find(
        session: &Session,
        bundle: &Bundle,
        live: &Schema,
        settings: &Settings,
    ) -> Result<Self, RestoreError> {
        let sql = "select current_setting('track_commit_timestamp') = 'on'";
        let rows = session.ask("asking what live keeps", sql, &[]).await?;
        let mut links = Self {
            all: Vec::new(),
            places: HashMap::new(),
            timed: rows.first().is_some_and(|row| row.get(0)),
            records: 0,
        };
        for record in bundle.relinks()? {
            let record = record?;
            let head = Head::of(&record);
            links.records += 1;
            let place = match links.places.get(&head) {
                Some(place) => *place,
                None => {
                    links.places.insert(head.clone(), links.all.len());
                    let parent = &bundle.manifest.tables[head.parent].table;
                    let link = link(session, (head, parent), live, settings);
                    links.all.push(link.await?);
                    links.all.len() - 1
                }
            };
            links.all[place].fillable |= !record.set_default;
        }
        Ok(links)
    }

    pub(super) fn chunks(&self, bundle: &Bundle) -> Result<Chunks<'_>, RestoreError> {
        Ok(Chunks::of(bundle, &self.places)?)
    }

    /// Whether the bundle lists any reference.
    pub(in crate::restore) fn any(&self) -> bool {
        self.records > 0
    }

    /// Triggers that can be accepted by name.
    pub(in crate::restore) fn trigger_names(&self) -> Vec<String> {
        self.all
            .iter()
            .flat_map(|l| l.triggers.named.clone())
            .collect()
    }

    /// Whether rows of some table are written to as a replica does.
    pub(in crate::restore) fn suppresses(&self) -> bool {
        let mut all = self.all.iter().filter(|l| l.fillable);
        all.any(|l| l.triggers.as_replica)
    }

    /// The tables whose references may be filled, with their UPDATE triggers.
    pub(in crate::restore) fn triggers(&self) -> Vec<(TableName, &ChildTriggers)> {
        let all = self
            .all
            .iter()
            .filter(|l| l.barrier.is_none() && l.fillable);
        let mut tables: Vec<(TableName, &ChildTriggers)> = Vec::new();
        for link in all {
            if !tables.iter().any(|(name, _)| *name == link.head.table) {
                tables.push((link.head.table.clone(), &link.triggers));
            }
        }
        tables
    }
}

async fn link(
    session: &Session,
    (head, parent): (Head, &TableName),
    live: &Schema,
    settings: &Settings,
) -> Result<Link, PgError> {
    let found = live.tables.get(&head.table);
    let named = || head.columns.iter().chain(&head.key_columns);
    let child = found.filter(|t| named().all(|c| t.column(c).is_some()));
    let Some(child) = child.cloned() else {
        let reason = "live lacks the table, or a column that the bundle names".to_owned();
        return Ok(Link {
            barrier: Some(Barrier {
                reason,
                sqlstate: None,
            }),
            child: None,
            locator: Locator::by_columns([]),
            triggers: ChildTriggers::default(),
            in_index: false,
            fillable: false,
            head,
        });
    };
    let held = |c: &String| head.columns.contains(c);
    let in_index = child
        .uniques
        .iter()
        .any(|u| u.special || u.columns.iter().any(held));
    let barrier = match shape(&child, &head, settings) {
        Some(reason) => Some(Barrier {
            reason,
            sqlstate: None,
        }),
        None => rights(session, &child, &head).await?,
    };
    let barrier = match barrier {
        None if live.tables.contains_key(parent) => lockable(session, parent).await?,
        barrier => barrier,
    };
    Ok(Link {
        locator: Locator::by_names(&child, &head.key_columns),
        triggers: ChildTriggers::of(&child, settings.said()),
        child: Some(child),
        barrier,
        in_index,
        fillable: false,
        head,
    })
}

/// What the table itself says against it.
fn shape(child: &Table, head: &Head, settings: &Settings) -> Option<String> {
    if child.kind == TableKind::Foreign {
        return Some("its rows live in another database".to_owned());
    }
    let mut key = head.key_columns.clone();
    key.sort_unstable();
    let is_key = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns == key
    };
    let unique = |u: &crate::catalog::Unique| !u.special && is_key(&u.columns);
    if !is_key(&child.key) && !child.uniques.iter().any(unique) {
        return Some("in live its key is another".to_owned());
    }
    let computed = |c: &&String| child.column(c).is_some_and(|c| c.generated);
    if let Some(column) = head.columns.iter().find(computed) {
        return Some(format!("{column} is computed by the server"));
    }
    let as_replica = settings.triggers == Some(Triggers::Suppress)
        && child
            .triggers
            .iter()
            .any(|t| t.on_update && t.enabled == "O");
    let of_reference = |u: &&crate::catalog::Unique| {
        u.deferrable && (u.special || u.columns.iter().any(|c| head.columns.contains(c)))
    };
    let unchecked = child
        .uniques
        .iter()
        .find(of_reference)
        .filter(|_| as_replica)?;
    Some(format!(
        "while triggers are suppressed, nobody checks {}",
        unchecked.name
    ))
}

/// Rights, row-level security and rules.
async fn rights(session: &Session, child: &Table, head: &Head) -> Result<Option<Barrier>, PgError> {
    let name = child.name.sql();
    let may: Vec<String> = head
        .columns
        .iter()
        .map(|c| {
            let column = crate::ident::quote_literal(c);
            format!("has_column_privilege($1::regclass, {column}, 'UPDATE')")
        })
        .collect();
    let sql = format!(
        "select has_table_privilege($1::regclass, 'SELECT') and {}, row_security_active($1::regclass),
                (select string_agg(rulename::text, ', ') from pg_rewrite
                  where ev_class = $1::regclass and ev_type = '2' and ev_enabled <> 'D')",
        may.join(" and ")
    );
    let doing = format!("looking at rights on {}", child.name);
    let rows = session.ask(&doing, &sql, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let role = &session.target().role;
    if !row.get::<_, bool>(0) {
        let columns: Vec<String> = head.columns.iter().map(|c| quote_ident(c)).collect();
        return Ok(Some(Barrier {
            reason: format!(
                "role {role} lacks the right: GRANT SELECT, UPDATE ({}) ON {name} TO {role}",
                columns.join(", ")
            ),
            sqlstate: Some("42501".to_owned()),
        }));
    }
    let reason = match (row.get(1), row.get::<_, Option<String>>(2)) {
        (true, _) => format!(
            "row-level security limits what role {role} sees there; use a role with BYPASSRLS"
        ),
        (_, Some(rules)) => format!("rules rewrite what is written to it ({rules})"),
        _ => return Ok(None),
    };
    Ok(Some(Barrier {
        reason,
        sqlstate: None,
    }))
}

/// The rows referred to are locked against deletion.
async fn lockable(session: &Session, parent: &TableName) -> Result<Option<Barrier>, PgError> {
    let sql = "select has_any_column_privilege($1::regclass, 'UPDATE'),
                      (select quote_ident(attname) from pg_attribute
                        where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum limit 1)";
    let (name, role) = (parent.sql(), &session.target().role);
    let doing = format!("looking at rights on {parent}");
    let rows = session.ask(&doing, sql, &[&name]).await?;
    let lacking = rows.first().filter(|row| !row.get::<_, bool>(0));
    Ok(lacking.map(|row| Barrier {
        reason: format!(
            "rows of {parent} are locked while references are pointed to them, which takes UPDATE on one of its columns: GRANT \
             UPDATE ({}) ON {name} TO {role}",
            row.get::<_, &str>(1)
        ),
        sqlstate: Some("42501".to_owned()),
    }))
}
