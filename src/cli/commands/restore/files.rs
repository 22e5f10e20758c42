//! The files of a case that a restore leaves: `restored.csv` and `quarantine.jsonl`.

use std::io::Write;

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::journal::{KeptRow, Store, Undos};
use crate::pg::{Access, Conninfo};
use crate::restore::{Execution, RestoreError};

/// `restored.csv`: keys given back by any run of this bundle and not taken back since, for search indexes, caches and counters of the
/// application.
pub(in crate::cli::commands) async fn restored(
    context: &Context,
    conninfo: &Conninfo,
    bundle: &Bundle,
) -> Result<(), Failure> {
    let session = context.open(conninfo, Access::Reading, "report").await?;
    let store = Store::new(&session);
    let mut writer = csv::Writer::from_writer(context.create("restored.csv")?);
    let failed = |e: csv::Error| Failure::usage(format!("cannot write restored.csv: {e}"));
    writer
        .write_record(["table", "unit", "key"])
        .map_err(failed)?;
    let undone = Undos::new(&session).undone(&bundle.id).await;
    let undone = undone.map_err(RestoreError::from)?;
    for run in store.runs(&bundle.id).await.map_err(RestoreError::from)? {
        let mut after = 0;
        while let Some((batch, rows)) = store
            .restored(&run, after)
            .await
            .map_err(RestoreError::from)?
        {
            for (table, unit, key) in rows {
                let row = KeptRow {
                    table,
                    unit: u64::try_from(unit).unwrap_or_default(),
                    key,
                };
                if undone.holds(&run, &row) {
                    continue;
                }
                let KeptRow { table, key, .. } = row;
                let key = match key.0.as_slice() {
                    [one] => one.clone(),
                    _ => serde_json::to_string(&key).unwrap_or_default(),
                };
                writer
                    .write_record([table, unit.to_string(), key])
                    .map_err(failed)?;
            }
            after = batch;
        }
    }
    let file = writer
        .into_inner()
        .map_err(|e| Failure::usage(format!("cannot write restored.csv: {}", e.error())))?;
    file.finish()?;
    Ok(())
}

/// `quarantine.jsonl`: every unit left out, with the reason.
pub(super) fn quarantined(context: &Context, execution: &Execution) -> Result<(), Failure> {
    let mut file = context.create("quarantine.jsonl")?;
    for unit in &execution.quarantined {
        let line = json!({
            "unit": unit.unit, "root": {"table": unit.root_table, "key": unit.root_key}, "reason": unit.reason,
            "sqlstate": unit.sqlstate, "rows": unit.rows,
        });
        writeln!(file, "{line}").map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(())
}
