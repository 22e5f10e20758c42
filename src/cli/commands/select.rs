//! Which tables a command looks at: patterns that match nothing, and tables that cannot be read, are refused by name.

use std::collections::BTreeSet;

use crate::catalog::{
    Comparable, Drift, Relation, Rename, Renames, Schema, TablePatterns, compare, introspect,
    nearest_table,
};
use crate::cli::args;
use crate::cli::error::Failure;
use crate::ident::{TableName, quote_ident};

use super::Both;

/// Tables of either side, by name.
pub(super) type Pairs = [(TableName, Result<Box<Comparable>, Drift>)];

/// Tables named in one hint.
const NAMED: usize = 3;

/// Both schemas, and what their tables have in common.
pub(super) struct Schemas {
    /// In live's names.
    pub(super) snapshot: Schema,
    pub(super) live: Schema,
    /// Which names of the snapshot those are not.
    pub(super) renames: Renames,
    pub(super) pairs: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
}

/// Learns both schemas. Refuses databases without anything in common, renames that cannot be followed, and patterns that match
/// nothing.
pub(super) async fn schemas(
    both: &Both,
    renames: &[Rename],
    tables: &args::Tables,
) -> Result<Schemas, Failure> {
    let (snapshot, live) = tokio::try_join!(
        introspect(&both.snapshot_session),
        introspect(&both.live_session)
    )?;
    let renames = Renames::check(renames, &snapshot, &live)?;
    let snapshot = renames.apply(snapshot);
    let pairs = compare(&snapshot, &live);
    refuse_strangers(both, &pairs)?;
    check_patterns(tables, &pairs)?;
    Ok(Schemas {
        snapshot,
        live,
        renames,
        pairs,
    })
}

/// The patterns of the three options.
pub(super) fn patterns(tables: &args::Tables) -> Result<TablePatterns, Failure> {
    TablePatterns::parse(&tables.schema, &tables.table, &tables.exclude_table)
        .map_err(|e| Failure::usage(e.to_string()))
}

/// Every pattern must match something: a misspelt one would leave a table out, or in, without a word.
fn check_patterns(tables: &args::Tables, pairs: &Pairs) -> Result<(), Failure> {
    let options: [(&str, &[String]); 3] = [
        ("--schema", &tables.schema),
        ("--table", &tables.table),
        ("--exclude-table", &tables.exclude_table),
    ];
    for (option, texts) in options {
        for text in texts {
            let one = std::slice::from_ref(text);
            let alone = match option {
                "--schema" => TablePatterns::parse(one, &[], &[]),
                _ => TablePatterns::parse(&[], one, &[]),
            }
            .map_err(|e| Failure::usage(format!("{option}: {e}")))?;
            if !pairs.iter().any(|(name, _)| alone.chooses(name)) {
                return Err(Failure::usage(format!(
                    "{option} {text}: neither the snapshot nor live has such a table"
                ))
                .hint(nearest(text, pairs)));
            }
        }
    }
    Ok(())
}

/// The table whose name comes closest.
fn nearest(text: &str, pairs: &Pairs) -> String {
    match nearest_table(text, pairs.iter().map(|(name, _)| name)) {
        Some(name) => format!("did you mean {name}?"),
        None => {
            "patterns are written as pg_dump takes them: table, schema.table, * and ?".to_owned()
        }
    }
}

/// Two databases that have nothing to do with each other, or nothing in them.
fn refuse_strangers(both: &Both, pairs: &Pairs) -> Result<(), Failure> {
    let hint = "is one of them the wrong database, or still empty?";
    let (snapshot, live) = (both.snapshot_session.target(), both.live_session.target());
    if pairs.is_empty() {
        return Err(Failure::usage(format!(
            "neither snapshot ({snapshot}) nor live ({live}) has any table"
        ))
        .hint(hint));
    }
    let one_side = |d: &Drift| matches!(d, Drift::OnlyInLive | Drift::OnlyInSnapshot);
    if pairs
        .iter()
        .all(|(_, pair)| pair.as_ref().is_err_and(one_side))
    {
        return Err(Failure::usage(format!(
            "snapshot ({snapshot}) and live ({live}) have no table in common"
        ))
        .hint(hint));
    }
    Ok(())
}

/// Where an exclusion leaves out a whole table, whatever it is connected with.
pub(super) const EXCLUDE: &str = "or leave tables out with --exclude-table (docs/RIGHTS.md)";
/// Where it only keeps a table's rows from being roots.
pub(super) const EXCLUDE_UNRELATED: &str = "or leave out, with --exclude-table, tables that no reference connects with \
                                            those restored (docs/RIGHTS.md)";

/// Leaves out what is excluded, but for tables that references connect, over however many others, with one that is not:
/// their rows can belong to a row that is restored.
pub(super) fn leave_out_unrelated(
    exclude: &[String],
    relations: &[Relation],
    pairs: &mut Vec<(TableName, Result<Box<Comparable>, Drift>)>,
) -> Result<(), Failure> {
    let patterns = TablePatterns::parse(&[], &[], exclude)
        .map_err(|e| Failure::usage(format!("--exclude-table: {e}")))?;
    let names = pairs.iter().map(|(name, _)| name);
    let mut kept: BTreeSet<TableName> = names.filter(|n| patterns.chooses(n)).cloned().collect();
    loop {
        let before = kept.len();
        for relation in relations {
            if kept.contains(&relation.parent) || kept.contains(&relation.child) {
                kept.extend([relation.parent.clone(), relation.child.clone()]);
            }
        }
        if kept.len() == before {
            break;
        }
    }
    pairs.retain(|(name, _)| kept.contains(name));
    Ok(())
}

/// A table that cannot be read could hide any number of losses. `or_else` is the way out beside the rights.
pub(super) fn refuse_unreadable<'p>(
    both: &Both,
    pairs: &'p Pairs,
    or_else: &str,
) -> Result<(), Failure> {
    let unreadable = |side: usize| -> Vec<&TableName> {
        let of_side = |drift: &'p Drift| match drift {
            Drift::Unreadable { snapshot, live } => [snapshot, live][side].as_ref(),
            _ => None,
        };
        let drifts = pairs.iter().filter_map(|(_, pair)| pair.as_ref().err());
        drifts.filter_map(of_side).collect()
    };
    let mut messages = Vec::new();
    let mut grants = Vec::new();
    let sides = [
        ("snapshot", &both.snapshot_session),
        ("live", &both.live_session),
    ];
    for (number, (side, session)) in sides.into_iter().enumerate() {
        let names = unreadable(number);
        if names.is_empty() {
            continue;
        }
        let role = &session.target().role;
        messages.push(format!(
            "{side}: role {role} may not read {}",
            listed(&names)
        ));
        grants.push(grant(&names, role));
    }
    if messages.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(messages.join("; ")).hint(format!("{}; {or_else}", grants.join("; "))))
}

fn listed(names: &[&TableName]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(ToString::to_string).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more tables", shown.join(", ")),
    }
}

/// The statements that let a role read these tables, on one side.
fn grant(names: &[&TableName], role: &str) -> String {
    let role = quote_ident(role);
    if names.len() > NAMED {
        return format!("GRANT pg_read_all_data TO {role}");
    }
    let mut schemas: Vec<String> = names.iter().map(|n| quote_ident(&n.schema)).collect();
    schemas.sort();
    schemas.dedup();
    let tables: Vec<String> = names.iter().map(|n| n.sql()).collect();
    format!(
        "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {} TO {role}",
        schemas.join(", "),
        tables.join(", ")
    )
}
