//! Staging: tables that reference each other, and bags, are filled by one statement from temporary tables.

use std::fmt::Write as _;

use crate::catalog::TableKind;
use crate::ident::{quote_ident, quote_literal};
use crate::pg::PgError;
use crate::restore::look::{Looked, Presence};
use crate::restore::read_back::{XID8, units_of_absent};
use crate::restore::{Batch, TargetTable};

use super::{Inserter, absent_rows};

impl Inserter<'_> {
    /// Creates the session's staging tables, for tables that reference each other and for bags.
    pub(in crate::restore) async fn stage(&self) -> Result<(), PgError> {
        let mut sql = String::new();
        for (i, table) in self
            .targets
            .tables
            .iter()
            .enumerate()
            .filter(|(i, _)| self.targets.staged(*i))
        {
            // Writing to a String cannot fail.
            let _ = write!(
                sql,
                "create temporary table if not exists {} as select 0::int8 as {}, {} from {} with no data;",
                stage_name(i),
                number_name(table),
                table.column_list(),
                table.live.from_sql()
            );
        }
        self.session.batch("creating staging tables", &sql).await
    }

    /// Moves staged rows into their tables by a single statement: references among them are checked at its end.
    pub(super) async fn move_staged(
        &self,
        number: i64,
        staged: &[usize],
        batch: &Batch,
        looked: &Looked,
    ) -> Result<(), PgError> {
        let (mut parts, mut counts) = (Vec::new(), Vec::new());
        for &i in staged {
            let table = &self.targets.tables[i];
            let (columns, values) = table.inserted_list();
            // A partitioned table cannot say where a row came to lie.
            let places = !table.keyed() && table.live.kind == TableKind::Plain;
            let returning = if places {
                "returning ctid::text as place, xmin"
            } else {
                "returning 1"
            };
            counts.push(format!("(select count(*) from i{i})"));
            parts.push(format!(
                "i{i} as (insert into {} ({columns}) overriding system value
                     select {values} from {} order by {} {returning})",
                table.name.sql(),
                stage_name(i),
                number_name(table)
            ));
            if places {
                let units = units_of_absent(batch, i, &looked.presence[i]);
                let present = looked.presence[i]
                    .iter()
                    .filter(|p| **p != Presence::Absent)
                    .count();
                parts.push(format!(
                    "j{i} as (insert into reinstate.batch_rows
                       (run, batch, table_name, inserted, already_present, gone_since, units, keys, xmins)
                     select {}, {number}, {}, count(*), {present}, 0, {units},
                            coalesce(array_agg(to_json(array[place])::text), '{{}}'), coalesce(array_agg({XID8}), '{{}}')
                       from i{i})",
                    quote_literal(&self.run.0),
                    quote_literal(&table.name.to_string()),
                ));
            }
        }
        let sql = format!(
            "with {} select {}",
            parts.join(",\n     "),
            counts.join(", ")
        );
        let names: Vec<String> = staged
            .iter()
            .map(|i| self.targets.tables[*i].name.to_string())
            .collect();
        let doing = format!("inserting into {}", names.join(", "));
        let row = self.session.ask(&doing, &sql, &[]).await?;
        for (n, &i) in staged.iter().enumerate() {
            let stored = row.first().map_or(0, |r| r.get::<_, i64>(n));
            let stored = u64::try_from(stored).unwrap_or(0);
            let sent = absent_rows(&looked.presence[i]);
            self.all_stored(&self.targets.tables[i], sent, stored)?;
        }
        Ok(())
    }
}

/// The staging table of a table, as the manifest numbers it.
pub(super) fn stage_name(table: usize) -> String {
    format!(
        "pg_temp.{}",
        quote_ident(&format!("reinstate_stage_{table}"))
    )
}

/// The staging column that numbers the rows: a name that the table itself does not have.
pub(super) fn number_name(table: &TargetTable) -> String {
    let mut name = "reinstate_n".to_owned();
    while table.columns.contains(&name) {
        name.push('_');
    }
    quote_ident(&name)
}
