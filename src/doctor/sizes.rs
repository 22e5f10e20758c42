//! How big everything is, and how long comparing and restoring may take: estimates, from bytes and from the planner's
//! counts, for people who have to say when it will be over.

use crate::catalog::{Schema, Table, TableKind};
use crate::pg::{PgError, Session, Size, lasting};

use super::{Findings, Level, Side};

/// Bytes a second that `diff` reads, from a cold disk and from memory.
const READ: (f64, f64) = (50e6, 250e6);
/// Rows a second that `restore` brings back, beside a busy application and alone.
const WRITTEN: (f64, f64) = (5e3, 5e4);
/// Tables named.
const NAMED: usize = 3;

pub(super) async fn look(live: &Session, schema: &Schema, findings: &mut Findings) {
    let outcome = size(live, schema, findings).await;
    findings.unless_seen(live, Side::Live, "the database's size", outcome);
}

async fn size(live: &Session, schema: &Schema, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select pg_database_size(current_database())";
    let row = live.query_one("asking for its size", sql, &[]).await?;
    let whole = Size::of(row.get(0));
    let bytes = read_by_diff(schema);
    let mut tables: Vec<&Table> = compared(schema).collect();
    tables.sort_by_key(|t| std::cmp::Reverse(t.bytes));
    let biggest: Vec<String> = tables
        .iter()
        .take(NAMED)
        .map(|t| format!("{} {}", t.name, Size(t.bytes)))
        .collect();
    let text = format!(
        "the database has {whole}; {} of it are tables that diff reads, the biggest {}",
        Size(bytes),
        biggest.join(", ")
    );
    let finding = findings.add(Level::Note, Side::Live, "size", text);
    finding.advice(format!(
        "an estimate, from bytes alone: diff takes {}, restore {} for each 100,000 rows",
        between(bytes as f64, READ),
        between(1e5, WRITTEN)
    ));
    Ok(())
}

/// With both sides: how much seems to be missing.
pub(super) fn estimate(live: &Schema, snapshot: &Schema, findings: &mut Findings) {
    let missing: u64 = compared(snapshot)
        .map(|there| {
            let here = live.tables.get(&there.name).map_or(0, |t| t.estimated_rows);
            there.estimated_rows.saturating_sub(here)
        })
        .sum();
    let bytes = read_by_diff(live).max(read_by_diff(snapshot));
    let restore = match missing {
        0 => String::new(),
        n => format!(
            "; the planner's counts differ by about {n} rows, which restore would bring back in {}",
            between(n as f64, WRITTEN)
        ),
    };
    let text = format!(
        "an estimate: diff takes {} (both sides at once, {}){restore}",
        between(bytes as f64, READ),
        Size(bytes)
    );
    findings.add(Level::Note, Side::Both, "estimate", text);
}

fn compared(schema: &Schema) -> impl Iterator<Item = &Table> {
    let ours = |t: &&Table| t.kind != TableKind::Foreign && t.extension.is_none();
    schema.tables.values().filter(ours)
}

fn read_by_diff(schema: &Schema) -> u64 {
    compared(schema).map(|t| t.bytes).sum()
}

/// `amount` at the two speeds.
fn between(amount: f64, (slow, fast): (f64, f64)) -> String {
    match (lasting(amount / fast), lasting(amount / slow)) {
        (least, most) if least == most => least,
        (least, most) => format!("{least} to {most}"),
    }
}
