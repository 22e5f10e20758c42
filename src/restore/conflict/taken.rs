//! Who has a row's unique values.

use crate::catalog::Locator;
use crate::ident::{Key, qualified_list};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::super::look::{Conflict, numbered};
use super::super::{BatchRow, TargetTable, TargetUnique};
use super::probe::probe;
use super::sides::{BothSides, fields};

/// Rows whose values under another constraint than their key belong to another row of live.
pub(in crate::restore) async fn taken(
    session: &Session,
    (place, table): (usize, &TargetTable),
    rows: &[(usize, &BatchRow)],
    locked: bool,
    conflicts: &mut Vec<Conflict>,
) -> Result<(), PgError> {
    for unique in &table.uniques {
        by_columns(session, (place, table), unique, rows, conflicts).await?;
    }
    probe(session, (place, table), rows, locked, conflicts).await
}

/// A constraint over columns in which NULLs are in nobody's way.
async fn by_columns(
    session: &Session,
    (place, table): (usize, &TargetTable),
    unique: &TargetUnique,
    rows: &[(usize, &BatchRow)],
    conflicts: &mut Vec<Conflict>,
) -> Result<(), PgError> {
    let listed: Vec<(usize, &BatchRow, Key)> = rows
        .iter()
        .filter_map(|(n, row)| Some((*n, *row, table.values_of(&row.stored, unique)?)))
        .collect();
    if listed.is_empty() {
        return Ok(());
    }
    let locator = Locator::by_names(&table.live, &unique.columns);
    // By COPY, so that the holder's key reads as the bundle writes keys (a boolean is `t`, not `true`).
    let mut shown = vec!["k.n".to_owned()];
    if table.keyed() {
        shown.extend(table.locator.columns("t"));
    }
    shown.push(qualified_list("t", &unique.columns));
    let sql = format!(
        "copy (select {} from {} join {} t on {}) to stdout",
        shown.join(", "),
        locator.list(listed.iter().map(|l| &l.2)),
        table.live.from_sql(),
        locator.matches("t"),
    );
    let doing = format!("looking at {} by {}", table.name, unique.name);
    let mut lines = CopyLines::start(session, &doing, &sql).await?;
    while let Some(line) = lines.next().await? {
        let Some((n, rest)) = numbered(&line) else {
            continue;
        };
        let Some((at, row, values)) = listed.get(n) else {
            continue;
        };
        let mut found = fields(&rest);
        let live = found.split_off(table.key.len().min(found.len()));
        let holder = Key(found.into_iter().map(Option::unwrap_or_default).collect());
        if holder == row.key && table.keyed() {
            continue;
        }
        let sides = BothSides {
            constraint: unique.name.clone(),
            key: row.key.clone(),
            live_key: holder,
            columns: unique.columns.clone(),
            bundle: values.0.iter().cloned().map(Some).collect(),
            live,
        };
        let under = format!("unique {} ({})", unique.name, unique.columns.join(", "));
        conflicts.push(conflict(table, (place, *at), row, &under, "23505", sides));
    }
    Ok(())
}

/// The conflict of a row with the live row that has its value.
pub(super) fn conflict(
    table: &TargetTable,
    row: (usize, usize),
    of: &BatchRow,
    under: &str,
    sqlstate: &'static str,
    sides: BothSides,
) -> Conflict {
    Conflict {
        unit: of.unit,
        table: table.name.clone(),
        reason: format!(
            "{} {}: its value under {under} now belongs to row {} of live",
            table.name, of.key, sides.live_key,
        ),
        missing_parent: false,
        sqlstate,
        row: Some(row),
        sides: Some(Box::new(sides)),
    }
}
