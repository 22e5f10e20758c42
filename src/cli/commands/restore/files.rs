//! The files of a case that a restore leaves: `restored.csv`, `quarantine.jsonl`, `resolved.jsonl`, `conflicts.jsonl`.

use std::io::Write;

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::journal::{KeptRow, Store, Undos};
use crate::pg::{Access, Conninfo};
use crate::restore::{Execution, Met, RestoreError, Settings};

use super::asked::as_asked;

/// `restored.csv`, with `resolved.jsonl` beside it: keys given back by any run of this bundle and not taken back since, for
/// search indexes, caches and counters of the application.
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
    resolved(context, &store, bundle).await
}

/// `resolved.jsonl`: rows that did not go in as they are, of every run of this bundle, unless they were taken back since.
async fn resolved(context: &Context, store: &Store<'_>, bundle: &Bundle) -> Result<(), Failure> {
    let history = store.history(&bundle.id, None).await;
    let history = history.map_err(RestoreError::from)?;
    let mut file = context.create("resolved.jsonl")?;
    for row in &history.resolved {
        let line = json!({
            "unit": row.unit, "table": row.table, "key": row.key, "state": row.state, "live_key": row.live_key,
            "reason": row.reason,
        });
        writeln!(file, "{line}").map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(())
}

/// `conflicts.jsonl`: rows of live in the way of rows of the bundle, side by side, with values.
pub(super) fn conflicts(context: &Context, met: &[Met]) -> Result<(), Failure> {
    let mut file = context.create("conflicts.jsonl")?;
    for met in met {
        writeln!(file, "{}", json!(met)).map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(())
}

/// `quarantine.jsonl`: every unit left out, with the reason, and the command that tries those units again.
pub(super) fn quarantined(
    context: &Context,
    bundle: &Bundle,
    execution: &Execution,
    settings: &Settings,
) -> Result<(), Failure> {
    let retry = Settings {
        only_quarantined: Some(execution.run.clone()),
        max_units: None,
        ..settings.clone()
    };
    let retry = format!(
        "{} --execute{} --unrehearsed REASON",
        context.next_on("restore", &bundle.dir),
        as_asked(&retry)
    );
    let mut file = context.create("quarantine.jsonl")?;
    for unit in &execution.quarantined {
        let line = json!({
            "unit": unit.unit, "root": {"table": unit.root_table, "key": unit.root_key}, "reason": unit.reason,
            "sqlstate": unit.sqlstate, "rows": unit.rows, "run": execution.run, "retry": retry,
        });
        writeln!(file, "{line}").map_err(|e| file.failed(&e))?;
    }
    file.finish()?;
    Ok(())
}
