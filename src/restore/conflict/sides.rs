//! Both rows of a conflict, side by side: for a file of the case, never for the terminal.

use bytes::Bytes;
use serde::Serialize;

use crate::ident::{Key, TableName, UnitId};
use crate::pg::copy::{raw_fields, unescape};

use super::super::look::Conflict;
use super::super::{Batch, BatchRow, TargetTable, Targets};

/// A row of the bundle, and the row of live that has its key or value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BothSides {
    /// The constraint or index.
    pub constraint: String,
    /// Key of the bundle's row; empty in a table without a key.
    pub key: Key,
    /// Key of live's row; empty in a table without a key.
    pub live_key: Key,
    /// The columns that the constraint looks at; where the key itself is taken, those in which the rows differ.
    pub columns: Vec<String>,
    /// What the bundle's row has in them.
    pub bundle: Vec<Option<String>>,
    /// What live's row has in them.
    pub live: Vec<Option<String>>,
}

/// A conflict, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Met {
    /// The unit.
    pub unit: UnitId,
    /// The row's table.
    pub table: TableName,
    /// `quarantined`, `remapped` or `skipped`.
    pub outcome: &'static str,
    /// Both rows.
    #[serde(flatten)]
    pub sides: BothSides,
}

impl Met {
    /// The same, where its unit is left out for another reason.
    pub(in crate::restore) fn left_out(self) -> Self {
        Self {
            outcome: "quarantined",
            ..self
        }
    }

    /// Those among `conflicts` that have two sides, each with what becomes of it.
    pub(in crate::restore) fn of<'a>(
        batch: &'a Batch,
        conflicts: impl Iterator<Item = &'a Conflict> + 'a,
        outcome: &'static str,
    ) -> impl Iterator<Item = Self> + 'a {
        conflicts.filter_map(move |conflict| {
            Some(Self {
                unit: batch.units[conflict.unit].unit,
                table: conflict.table.clone(),
                outcome,
                sides: conflict.sides.as_deref()?.clone(),
            })
        })
    }
}

/// The fields of a COPY line, as values.
pub(in crate::restore) fn fields(line: &[u8]) -> Vec<Option<String>> {
    raw_fields(line).map(unescape).collect()
}

/// The conflict of a row whose key live has, with other content.
pub(in crate::restore) fn other_content(
    table: &TargetTable,
    place: (usize, usize),
    row: &BatchRow,
    live: &Bytes,
) -> Conflict {
    let mut sides = BothSides {
        constraint: key_name(table),
        key: row.key.clone(),
        live_key: row.key.clone(),
        columns: Vec::new(),
        bundle: Vec::new(),
        live: Vec::new(),
    };
    let pairs = fields(&row.line).into_iter().zip(fields(live));
    for (column, (bundle, live)) in table.columns.iter().zip(pairs) {
        if bundle != live {
            sides.columns.push(column.clone());
            sides.bundle.push(bundle);
            sides.live.push(live);
        }
    }
    Conflict {
        unit: row.unit,
        table: table.name.clone(),
        reason: format!(
            "{} {} exists in live with other content",
            table.name, row.key
        ),
        missing_parent: false,
        sqlstate: "23505",
        row: Some(place),
        sides: Some(Box::new(sides)),
    }
}

/// Name of the index behind the key.
fn key_name(table: &TargetTable) -> String {
    let mut uniques = table.live.uniques.iter();
    let key = uniques.find(|u| !u.special && u.columns == table.key);
    key.map_or_else(|| table.key.join(", "), |u| u.name.clone())
}

/// The root of a unit, as people read it.
pub(in crate::restore) fn root_name(targets: &Targets, batch: &Batch, unit: usize) -> String {
    let root = &batch.units[unit].root;
    format!("{} {}", targets.tables[root.table].name, root.key)
}
