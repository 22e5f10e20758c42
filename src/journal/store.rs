//! Reads and writes the journal.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::ident::{Key, RunId, UnitId, part_number, quote_literal, unit_of};
use crate::pg::{PgError, Session};

use super::{
    BatchRows, History, JournalError, KeptRow, NewRun, Part, Parts, QuarantinedUnit, ResolvedRow,
    ResolvedRows, Run, RunEvent, RunState, Undos, next,
};

/// The journal of one database.
pub struct Store<'a> {
    session: &'a Session,
}

/// The next event's effect on a stored state must be legal; see [`next`].
impl<'a> Store<'a> {
    /// Of the database that `session` is connected to.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// The last restore of a bundle, if there was one.
    pub async fn last_run(&self, bundle: &str) -> Result<Option<Run>, JournalError> {
        let sql = "select run, state from reinstate.run where bundle = $1 and kind = 'restore'
                    order by started desc, run desc limit 1";
        let rows = self
            .session
            .query("reading the journal", sql, &[&bundle])
            .await?;
        Ok(rows.first().map(|row| Run {
            run: RunId(row.get(0)),
            // A word this build does not know can only come from a newer one, which has ended the run in its own way.
            state: row.get::<_, &str>(1).parse().unwrap_or(RunState::Partly),
        }))
    }

    /// Every restore of a bundle, oldest first.
    pub async fn runs(&self, bundle: &str) -> Result<Vec<RunId>, JournalError> {
        let sql = "select run from reinstate.run where bundle = $1 and kind = 'restore' order by started, run";
        let rows = self
            .session
            .query("reading the journal", sql, &[&bundle])
            .await?;
        Ok(rows.iter().map(|row| RunId(row.get(0))).collect())
    }

    /// The exclusions of each restore of a bundle, oldest first: table, as shown, and reason.
    pub async fn exclusions(
        &self,
        bundle: &str,
    ) -> Result<Vec<(RunId, Vec<(String, String)>)>, JournalError> {
        let sql = "select run, array_agg(e ->> 'table'), array_agg(e ->> 'reason')
                     from reinstate.run, jsonb_path_query(settings, '$.exclusions[*]') e
                    where bundle = $1 and kind = 'restore' and e ->> 'table' is not null and e ->> 'reason' is not null
                    group by run order by run";
        let rows = self
            .session
            .query("reading the journal", sql, &[&bundle])
            .await?;
        let stated = |row: &crate::pg::Row| {
            let (tables, reasons): (Vec<String>, Vec<String>) = (row.get(1), row.get(2));
            (RunId(row.get(0)), tables.into_iter().zip(reasons).collect())
        };
        Ok(rows.iter().map(stated).collect())
    }

    /// Records settings with which a run goes on: they replace those of the same names.
    pub async fn restate(&self, run: &RunId, settings: &Value) -> Result<(), JournalError> {
        let sql = "update reinstate.run set settings = settings || $2::text::jsonb where run = $1";
        let settings = settings.to_string();
        self.session
            .execute("recording the settings", sql, &[&run.0, &settings])
            .await?;
        Ok(())
    }

    /// Ends runs of a kind whose process died: nothing of them is left to do.
    pub async fn give_up(&self, kind: &str) -> Result<(), JournalError> {
        let sql = "update reinstate.run set state = $2, ended = clock_timestamp() where kind = $1 and state = $3";
        let (ended, running) = (
            RunState::Interrupted.to_string(),
            RunState::Running.to_string(),
        );
        self.session
            .execute("ending runs that died", sql, &[&kind, &ended, &running])
            .await?;
        Ok(())
    }

    /// Records a run that begins.
    pub async fn begin(&self, new: &NewRun) -> Result<(), JournalError> {
        let sql = "insert into reinstate.run
                   (run, kind, bundle, state, tool, settings, unrehearsed, os_user, host, command)
                   values ($1, $2, $3, 'running', $4, $5::text::jsonb, $6, $7, $8, $9)";
        let settings = new.settings.to_string();
        self.session
            .execute(
                "recording the run",
                sql,
                &[
                    &new.run.0,
                    &new.kind,
                    &new.bundle,
                    &new.tool,
                    &settings,
                    &new.unrehearsed,
                    &new.os_user,
                    &new.host,
                    &new.command,
                ],
            )
            .await?;
        Ok(())
    }

    /// Moves a run to the state that an event leads to.
    pub async fn record(&self, run: &RunId, event: RunEvent) -> Result<RunState, JournalError> {
        let sql = "select state from reinstate.run where run = $1 for update";
        let row = self
            .session
            .query_one("reading the run's state", sql, &[&run.0])
            .await?;
        let state = row.get::<_, &str>(0).parse().unwrap_or(RunState::Partly);
        let state = next(state, event)?;
        let ended = if state == RunState::Running {
            "null"
        } else {
            "clock_timestamp()"
        };
        let sql = format!("update reinstate.run set state = $2, ended = {ended} where run = $1");
        self.session
            .execute(
                "recording the run's state",
                &sql,
                &[&run.0, &state.to_string()],
            )
            .await?;
        Ok(state)
    }

    /// What is known about a bundle's units; `run` is the run at hand, if one has begun.
    pub async fn history(
        &self,
        bundle: &str,
        run: Option<&RunId>,
    ) -> Result<History, JournalError> {
        let run = run.map(|r| r.0.as_str()).unwrap_or_default();
        let mut history = History::default();
        let undone = Undos::new(self.session).undone(bundle).await?;
        let sql = "select b.run, b.batch, b.units from reinstate.batch b
                     join reinstate.run r using (run) where r.bundle = $1 and r.kind = 'restore'";
        for row in self
            .session
            .query("reading the journal", sql, &[&bundle])
            .await?
        {
            let of = row.get::<_, &str>(0);
            let taken_back = |unit: &UnitId| undone.took_back(of, *unit);
            let units = row
                .get::<_, Vec<i64>>(2)
                .into_iter()
                .filter_map(|u| UnitId::try_from(u).ok())
                // Parts of a unit are known by themselves.
                .filter(|u| !taken_back(u) && unit_of(*u) == *u);
            if of == run {
                history.done.extend(units);
                history.last_batch = history.last_batch.max(row.get(1));
            } else {
                history.earlier.extend(units);
            }
        }
        for (of, row) in ResolvedRows::new(self.session).all(bundle, None).await? {
            if !undone.took_back(&of.0, row.unit) {
                let unit = unit_of(row.unit);
                history.resolved.push(ResolvedRow { unit, ..row });
            }
        }
        let taken_back = |of: &str, part: &Part| undone.when(of, part_number(part.unit, part.part));
        let parts = Parts::new(self.session)
            .known(bundle, run, taken_back)
            .await?;
        history.done.extend(parts.whole.0);
        history.earlier.extend(parts.whole.1);
        (history.begun, history.postponed) = (parts.begun, parts.postponed);
        history.kept = undone
            .kept
            .into_iter()
            .map(|row| KeptRow {
                unit: unit_of(row.unit),
                ..row
            })
            .collect();
        // A run that retries what another left out speaks of those units only.
        let sql = "with recursive said (run) as (
                     (select run from reinstate.run where bundle = $1 and kind = 'restore'
                       order by started desc, run desc limit 1)
                     union select r.settings ->> 'only_quarantined' from reinstate.run r join said using (run)
                            where r.settings ->> 'only_quarantined' is not null)
                   select distinct q.unit from reinstate.quarantined q join said using (run)";
        for row in self
            .session
            .query("reading the journal", sql, &[&bundle])
            .await?
        {
            history
                .quarantined
                .extend(UnitId::try_from(row.get::<_, i64>(0)).ok());
        }
        Ok(history)
    }

    /// The units that a run left out.
    pub async fn left_out(&self, run: &RunId) -> Result<HashSet<UnitId>, JournalError> {
        let sql = "select unit from reinstate.quarantined where run = $1";
        let rows = self
            .session
            .ask("reading the journal", sql, &[&run.0])
            .await?;
        let units = rows
            .iter()
            .map(|row| UnitId::try_from(row.get::<_, i64>(0)));
        Ok(units.filter_map(Result::ok).collect())
    }

    /// The run whose units a run retries, if it is such a run.
    pub async fn only_quarantined(&self, run: &RunId) -> Result<Option<RunId>, JournalError> {
        let sql = "select settings ->> 'only_quarantined' from reinstate.run where run = $1";
        let rows = self
            .session
            .ask("reading the journal", sql, &[&run.0])
            .await?;
        let only = rows.first().and_then(|row| row.get::<_, Option<String>>(0));
        Ok(only.map(RunId))
    }

    /// The SQL that claims a batch: the first statement of its transaction. It waits for a predecessor that is still
    /// committing the same batch, and gives no row when that has happened.
    pub fn claim_batch(run: &RunId, batch: i64, units: &[UnitId]) -> String {
        let units: Vec<String> = units.iter().map(ToString::to_string).collect();
        format!(
            "insert into reinstate.batch (run, batch, units) values ({}, {batch}, '{{{}}}')
             on conflict do nothing returning batch",
            quote_literal(&run.0),
            units.join(",")
        )
    }

    /// Records a unit that is left out; a later reason replaces an earlier one.
    pub async fn quarantine(&self, run: &RunId, unit: &QuarantinedUnit) -> Result<(), PgError> {
        let sql = "insert into reinstate.quarantined (run, unit, root_table, root_key, reason, sqlstate, rows)
                   values ($1, $2, $3, $4, $5, $6, $7::text::jsonb)
                   on conflict (run, unit) do update set reason = excluded.reason, sqlstate = excluded.sqlstate";
        let number = i64::try_from(unit.unit).unwrap_or(i64::MAX);
        let key = serde_json::to_string(&unit.root_key).unwrap_or_default();
        let rows = serde_json::to_string(&unit.rows).unwrap_or_default();
        let params: &[&(dyn crate::pg::ToSql + Sync)] = &[
            &run.0,
            &number,
            &unit.root_table,
            &key,
            &unit.reason,
            &unit.sqlstate,
            &rows,
        ];
        self.session
            .execute("recording a unit that is left out", sql, params)
            .await?;
        Ok(())
    }

    /// Takes back the quarantine of a run that is taken up again: its units get another chance.
    pub async fn clear_quarantine(&self, run: &RunId) -> Result<(), PgError> {
        let sql = "delete from reinstate.quarantined where run = $1";
        self.session
            .execute("clearing the quarantine of a resumed run", sql, &[&run.0])
            .await?;
        Ok(())
    }

    /// What a run did, per table.
    pub async fn totals(&self, run: &RunId) -> Result<Vec<BatchRows>, JournalError> {
        let sql = "select table_name, sum(inserted)::int8, sum(already_present)::int8, sum(gone_since)::int8
                     from reinstate.batch_rows where run = $1 group by 1 order by 1";
        let rows = self
            .session
            .query("reading the journal", sql, &[&run.0])
            .await?;
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(rows
            .iter()
            .map(|row| BatchRows {
                table: row.get(0),
                inserted: unsigned(row.get(1)),
                already_present: unsigned(row.get(2)),
                gone_since: unsigned(row.get(3)),
            })
            .collect())
    }

    /// Rows left out by a run, per table.
    pub async fn quarantined_rows(
        &self,
        run: &RunId,
    ) -> Result<BTreeMap<String, u64>, JournalError> {
        let sql = "select r.key, sum(r.value::int8)::int8 from reinstate.quarantined q,
                          lateral jsonb_each_text(q.rows) r where q.run = $1 group by 1";
        let rows = self
            .session
            .query("reading the journal", sql, &[&run.0])
            .await?;
        Ok(rows
            .iter()
            .map(|r| (r.get(0), u64::try_from(r.get::<_, i64>(1)).unwrap_or(0)))
            .collect())
    }

    /// The rows that a run inserted, batch by batch: table as shown, unit, key as an array's text.
    pub async fn restored(
        &self,
        run: &RunId,
        after_batch: i64,
    ) -> Result<Option<(i64, Vec<(String, i64, Key)>)>, JournalError> {
        let sql = "select b.batch, r.table_name, r.units, r.keys
                     from (select min(batch) as batch from reinstate.batch where run = $1 and batch > $2) b
                     left join reinstate.batch_rows r on r.run = $1 and r.batch = b.batch
                    where b.batch is not null order by r.table_name";
        let rows = self
            .session
            .query("reading the journal", sql, &[&run.0, &after_batch])
            .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut restored = Vec::new();
        for row in &rows {
            let Some(table) = row.get::<_, Option<String>>(1) else {
                continue;
            };
            let (units, keys): (Vec<i64>, Vec<String>) = (row.get(2), row.get(3));
            for (unit, key) in units.into_iter().zip(keys) {
                let key = serde_json::from_str(&key).unwrap_or_else(|_| Key(vec![key]));
                restored.push((table.clone(), unit, key));
            }
        }
        Ok(Some((first.get(0), restored)))
    }
}
